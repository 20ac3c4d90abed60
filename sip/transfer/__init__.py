"""Handing a call over: by INVITE (two legs, joined here), by REFER (the peer dials), by BYE.

verdict.py    the REFER verdict: a state machine as a table, without I/O
evidence.py   what an attempt leaves behind
ringing.py    reach one target: dial, ring, answer
talk.py       the legs joined, until one leaves
invite.py     reach the target, join the legs
refer.py      REFER on the caller's dialog, and the verdict's timers
hold.py       the hold that a failed REFER leaves behind is undone
bye.py        hand the call back
"""
