/* Whose audio a leg takes (symmetric RTP, RFC 4961, without its hole).
 *
 * A peer behind a NAT sends from another address than its SDP says, so the first packets decide where
 * our audio goes. Stock PJSIP lets anybody decide that: ten packets from anywhere move a quiet stream.
 * Here an address counts only if signalling vouches for it: it is the one that the SDP announces, or
 * has its host, or stands in the networks of the leg's trunk. Among those the first to send is taken,
 * and kept until it falls silent or the announced one speaks up.
 */
#include "rtp_source.h"

/* A source that is silent for so long may be followed by another port of the peer, as when its media
 * server moves. Half a second would be over with a few lost packets of 60 ms. */
#define SILENT_MS 1000

bool sh_address_same(struct sh_address one, struct sh_address other)
{
    return one.host == other.host && one.port == other.port;
}

void sh_rtp_source_announce(struct sh_rtp_source *source, struct sh_address announced)
{
    if (sh_address_same(source->announced, announced))
        return; /* a session refresh: the address that was found stays */
    source->announced = announced;
    source->taken = (struct sh_address){0};
}

enum sh_rtp_verdict sh_rtp_source_judge(struct sh_rtp_source *source, struct sh_address from,
                                        bool trusted, uint64_t now_ms)
{
    if (!sh_address_same(from, source->taken)) {
        bool vouched = trusted || from.host == source->announced.host;
        bool free = !source->taken.host || now_ms - source->heard_ms >= SILENT_MS ||
                    sh_address_same(from, source->announced);

        if (!vouched || !free)
            return SH_RTP_REFUSED;
        source->taken = from;
        source->heard_ms = now_ms;
        return SH_RTP_MOVED;
    }
    source->heard_ms = now_ms;
    return SH_RTP_TAKEN;
}
