"""The whole gateway as its own process, between real SIP peers and a scripted bot.

Grouped by who the peer is; each class names the section of the RFC that it is about.

    a trunk that dials in       inbound_trunk, gate, digest, tls, rtp_safety
    the caller, who is referred refer, refer_orders, refer_hold, refer_challenge
    the caller, handed back     handback, resume, context
    the agent, who is dialled   agent, invite, invite_peers, hunt
    a peer with wishes of its   peer_refers, refer_subscription, replaces, join_calls
    own for the call
    a peer that misbehaves      faulty_peer, rehearsal
    the bot, the operator       bot, operator, probe, service
    nobody                      softphone, sip_agent, sanitized
"""
