"""A telephone without a human: a PJSIP user agent in its own process, driven by JSON lines.

The demo, the tests and the bench call the gateway with it and let it call agents on it. Start one
with `python -m sip.softphone --bind 127.0.0.2:5070`, or from asyncio with `sip.softphone.driver`.
It takes one command a line on stdin (`sip.softphone.commands`), writes one report a line on stdout
(`sip.softphone.reports`), and leaves PJSIP's own log on stderr. End of stdin, SIGTERM or `quit`
end it: what is still up is hung up first.

A session; `>` is typed, the rest is answered:

    {"event": "ready", "uri": "sip:phone@127.0.0.2:5070", "pid": 4711}
    > {"do": "policy", "user": "sales", "ring": 1.5, "answer": 486}
    {"event": "done", "do": "policy"}
    > {"do": "dial", "call": "a", "to": "sip:100@127.0.0.1:5060", "tone": 440, "record": "a.wav"}
    {"event": "done", "call": "a", "do": "dial"}
    {"event": "calling", "call": "a", "to": "sip:100@127.0.0.1:5060"}
    {"event": "early", "call": "a", "code": 180, "reason": "Ringing", "headers": {…}}
    {"event": "confirmed", "call": "a", "code": 200, "reason": "OK", "headers": {…}}
    {"event": "media", "call": "a", "state": "active", "codec": "PCMU/8000", "remote": …}
    {"event": "heard", "call": "a", "sound": "880 Hz", "at": 0.3}
    > {"do": "dtmf", "call": "a", "digits": "2"}
    {"event": "done", "call": "a", "do": "dtmf"}
    {"event": "refer", "call": "a", "to": "sip:sales@127.0.0.3", "headers": {"Refer-To": …}}
    {"event": "calling", "call": "a-referred", "to": "sip:sales@127.0.0.3"}
    {"event": "notify", "call": "a", "direction": "sent", "sipfrag": "SIP/2.0 200 OK", …}
    {"event": "disconnected", "call": "a", "code": 200, "by": "peer", "headers": {…}, …}
    {"event": "recorded", "call": "a", "file": "a.wav", "seconds": 7.1}
    > {"do": "quit"}
"""
