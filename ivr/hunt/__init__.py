"""The hunt for somebody who takes the caller: one target, or a group's, in waves.

handing_over.py  asked for, announced, hunted for, and tried again
waiting.py       what the caller hears meanwhile
plan.py          who is rung, with whom, by which methods
machine.py       the hunt as a state machine, without I/O
lines.py         what may still ring, and who asked not to be called for a while
chase.py         the machine, carried out on a call
verdicts.py      what an attempt's verdict means for the hunt; what a failed hunt comes to
"""
