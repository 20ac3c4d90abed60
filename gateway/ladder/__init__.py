"""A call's SIP messages as a picture: who said what to whom, and when.

rows.py      the messages and verdicts of a timeline, in a few words each; what was repeated is
             shown once
columns.py   which leg stands where
text.py      for a terminal, a pipe or a ticket
svg.py       for a page: one file, no script, light and dark
"""
