"""Handing a call over: by INVITE (two legs, joined here), by REFER (the peer dials), by BYE, or
attended (INVITE first, then REFER with Replaces or joined); and what peers ask for themselves.

orders.py     what a flow has ordered, by the method of the attempt
verdict.py    the REFER verdict: a state machine as a table, without I/O
evidence.py   what an attempt leaves behind
ringing.py    reach one target: dial, ring, answer
talk.py       the target told who is coming, the legs joined until one leaves
invite.py     reach the target, tell it, join the legs
refer.py      REFER on the caller's dialog, and the verdict's timers
hold.py       the hold that a failed REFER leaves behind is undone
bye.py        hand the call back
attended.py   the caller's peer takes over a target that was told, in place of the join

by_peer.py        what peers ask for: REFER, INVITE with Replaces
refer_to.py       where a received REFER points
referral.py       carries one out
join_calls.py     … where it is the referrer's other call: the two are joined
inbound_refer.py  what its referrer is told: a state machine as a table, without I/O
replaces.py       which dialog an INVITE takes the place of
"""
