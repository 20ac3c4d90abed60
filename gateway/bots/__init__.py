"""Bot sessions: `switchhook.v1` over WebSocket, the gateway as client.

    port.py         the flow's view: one conversation, its second chance, the music in between
    session.py      one connection: the bot's commands and the caller's events
    listening.py    who speaks, barge-in and dead air
    protocol.py     the rules, without I/O: what a frame means, which error answers it
    messages.py     every message, field by field
    connect.py      reaching the bot within its limit of time
    connection.py   the open WebSocket: whole messages, a bounded outbox, a bounded end
    caller.py       what is used of the caller's leg

docs/bots.md is the same for the authors of bots.
"""
