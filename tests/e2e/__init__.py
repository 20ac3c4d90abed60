"""The whole gateway as its own process, between real SIP peers and a scripted bot.

Grouped by who the peer is; each class names the section of the RFC that it is about.

    a trunk that dials in       inbound_*, gate, digest, tls, transports, rtp_safety, jitter
    the caller, who is referred refer, refer_*
    the caller, handed back     handback, resume, context
    the agent, who is dialled   agent, attended, hunt, invite_*, second_offer, failover, ping
    caller and agent, who talk  codecs, pass_through*, recording
    a peer with wishes of its   peer_refers, replaces, join_calls
    own for the call
    a peer that misbehaves      faulty_peer, rehearsal, torture, garbage, fuzz*
    the bot                     bot, bot_*, bots_at_once, speech
    the operator                operator, probe, service
    nobody                      softphone, sip_agent, sanitized, tables_swapped

What several of them act with: world, process, bot, parties, and for one kind of transfer each
handing_over, referring and transfers_in.
"""
