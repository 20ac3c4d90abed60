/* How packets that are passed on are numbered: see rtp_numbers.c. Free of PJSIP and of locks. */
#ifndef SWITCHHOOK_RTP_NUMBERS_H
#define SWITCHHOOK_RTP_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* Of an RTP packet, in host byte order. */
struct sh_rtp_numbers {
    uint32_t ssrc;
    uint16_t sequence;
    uint32_t timestamp;
    bool marker;
};

struct sh_renumbering {
    uint32_t clock_rate;  /* of the timestamps */
    uint32_t packet_span; /* what one packet adds to them */
    uint64_t moved_ms;    /* when `sent`'s timestamp was new */

    bool follows;                /* `heard` is set: the source is known */
    struct sh_rtp_numbers heard; /* the newest packet of the source */
    struct sh_rtp_numbers sent;  /* the newest packet of ours */
    uint64_t filled;             /* bit n: the place n before `sent` is not free */
    uint64_t skipped;            /* places that are free, because the source lost them */
};

/* Begin behind what the stream has sent itself. */
void sh_renumbering_begin(struct sh_renumbering *way, uint32_t clock_rate, uint32_t packet_span,
                          const struct sh_rtp_numbers *sent, uint64_t sent_ms);

/* Turn a packet's numbers into ours. False: it has no place among ours and is not sent. */
bool sh_renumber(struct sh_renumbering *way, struct sh_rtp_numbers *packet, uint64_t now_ms);

/* What the stream goes on behind, when it sends by itself again. */
struct sh_rtp_numbers sh_renumbering_end(const struct sh_renumbering *way, uint64_t now_ms);

#endif
