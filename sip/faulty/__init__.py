"""A SIP peer that misbehaves on demand, in pure Python: for rehearsals and for tests.

    steps.py     what a peer can do, one dataclass each, and `Behaviour`: what it does when
    case.py      a misbehaviour, with the RFC's section and the outcome that it must lead to
    cases.py     all of them by name: invite_cases.py, refer_cases.py, bye_cases.py
    wording.py   requests and responses as text
    dialog.py    one dialog without I/O: messages and time in, datagrams out
    peer.py      the UDP socket, the timers, and calls of its own

It speaks on one UDP socket of a loopback address and holds a port for audio that it never reads.
As a called party, it does the same to everybody, or asks `choose` for each INVITE:

    async with FaultyPeer("127.0.0.3", port, INVITE["503-retry-after"].behaviour) as pbx:
        ...                                     # the gateway dials pbx.uri
        assert pbx.received("CANCEL")

As the caller's trunk it places calls, and answers what comes in them:

    async with FaultyPeer("127.0.0.2") as carrier:
        call = await carrier.call("sip:300@127.0.0.1:5060", REFER["no-notify"].behaviour)
        await call.finished(within=10)
        assert call.received("REFER")

A behaviour of your own is `Behaviour(refer=(Reply(202), Notify("SIP/2.0 100 Trying"), Bye()))`;
`refer_cases.random_refer(rng)` draws one at random.
"""
