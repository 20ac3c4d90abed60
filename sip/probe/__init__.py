"""`switchhook trunk probe`: what a trunk's peer takes, asked with OPTIONS (RFC 3261 section 11).

    line.py       a connection of its own to the peer: UDP, TCP or TLS
    question.py   OPTIONS, and a test INVITE that is taken back at once
    answer.py     what the peer's answers tell

Nothing of a running gateway is touched: the questions come from a port of their own.
"""
