/* Whose audio a leg takes: see rtp_source.c. Free of PJSIP and of locks. */
#ifndef SWITCHHOOK_RTP_SOURCE_H
#define SWITCHHOOK_RTP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct sh_address {
    uint32_t host; /* IPv4, host byte order; 0: none */
    uint16_t port;
};

bool sh_address_same(struct sh_address one, struct sh_address other);

enum sh_rtp_verdict {
    SH_RTP_REFUSED,
    SH_RTP_TAKEN,
    SH_RTP_MOVED, /* taken, and from now on our audio goes there */
};

struct sh_rtp_source {
    struct sh_address announced; /* by the peer's SDP */
    struct sh_address taken;     /* where audio comes from; none before the first packet */
    uint64_t heard_ms;           /* when the last packet of `taken` came */
};

void sh_rtp_source_announce(struct sh_rtp_source *source, struct sh_address announced);

enum sh_rtp_verdict sh_rtp_source_judge(struct sh_rtp_source *source, struct sh_address from,
                                        bool trusted, uint64_t now_ms);

#endif
