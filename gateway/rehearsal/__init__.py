"""`switchhook transfer rehearse`: plays a failure against a flow before production does.

    scene.py      what is rehearsed: flow, node, target, and the failures that node can meet
    loopback.py   the user's configuration with everybody in it on loopback, and its timers short
    stage.py      the SIP side, the faulty peers, and one call for each failure
    result.py     what a call came to: path, prompts, attempts, fallback; good or bad
    printing.py   PJSIP's own words, out of the way
    report.py     results as a table, as text for one failure, and as JSON
    command.py    the command line

The call is a real one: PJSIP, the interpreter, the prompts and the fallback table are those that
`switchhook run` uses. Only the other side is `sip.faulty`, and nothing leaves the machine: the
gateway is bound to a loopback address, and every trunk leads to another one.
"""
