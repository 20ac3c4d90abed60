/* The RTP of a leg, shared by rtp.c, rtp_in.c, rtp_probation.c, rtp_event.c, srtp.c and relay.c. */
#ifndef SWITCHHOOK_LEG_RTP_H
#define SWITCHHOOK_LEG_RTP_H

#include "native.h"
#include "rtp_numbers.h"
#include "rtp_source.h"

#define SH_RTP_VERSION 2 /* of RTCP too */
#define SH_EVENT_BYTES 4 /* of a key in a packet (RFC 4733 section 2.3) */

struct leg_rtp {
    pjmedia_transport base;
    pjmedia_transport *below;
    pj_pool_t *pool;
    pj_str_t call_id;
    pjsua_acc_id account;
    unsigned port;
    int slot; /* on the bridge; -1: none. The loop's alone */
    _Atomic uint64_t heard_ms; /* the last packet taken, or the start of the stream; 0: no stream */
    _Atomic uint64_t said_ms;  /* the last packet of what passes: audio or a key; or that start */
    struct leg_rtp *next, **self; /* list of legs, under legs_mutex */

    /* Under the group lock. */
    bool told; /* a stranger was reported */
    uint64_t started_ms; /* the last answer to an offer */
    bool has_heard;      /* since then a packet was taken */
    bool unread_told;    /* and it was told that some fail authentication */
    struct sh_rtp_source source;
    pjmedia_stream *stream;
    void (*rtp_cb)(pjmedia_tp_cb_param *param);
    void (*rtcp_cb)(void *stream, void *packet, pj_ssize_t size);
    uint64_t sent_ms; /* when the stream itself has sent last, or could again; 0: not yet */
    struct sh_rtp_numbers sent; /* and what its next packet follows */
    bool marks;       /* its next one begins anew */
    struct sh_bucket keys;      /* that may still be told */
    bool key_told;              /* of the one that is down, the end is told too */
    struct {
        uint8_t number;
        bool is_down;
        uint32_t timestamp;     /* of its segment */
        uint32_t before, ticks; /* it was down for before that segment, and by now */
    } key;                      /* that the last packet was of */

    /* Passing on, relay.c; under the group lock. */
    struct leg_rtp *partner; /* whose peer's packets leave here, and ours by it */
    uint8_t audio_in, audio_out; /* payload types: what comes from the peer, what it is sent */
    int event_in, event_out;     /* of telephone-event; none where not positive */
    unsigned audio_clock;        /* ticks a second of the RTP timestamps */
    unsigned event_clock_in, event_clock_out; /* and of telephone-event's durations; 0: the same */
    pj_ssize_t heard_size;       /* bytes of audio in the peer's last packet; 0: none has come */
    bool event_goes_on;          /* the partner's peer takes them too */
    struct sh_renumbering way;   /* of what leaves here */
    uint64_t reported_ms;        /* the last RTCP of ours while packets are passed on */
    uint64_t passed;             /* packets of this stream that left here undecoded */
    uint64_t skipped;            /* places left empty among those of all its streams, before `way` */
    bool event_known, event_passes;
    uint32_t event_timestamp; /* of the key that is or was pressed last */
};

/* What is to be done with a packet that counts. */
struct sh_passing {
    struct leg_rtp *partner; /* NULL: the stream alone gets it. Holds a reference to its group lock */
    uint8_t audio;
    bool key; /* it is of a key that passes */
    uint8_t duration[2]; /* of that key, as it goes on */
};

uint64_t sh_rtp_now_ms(void);

/* Whether it is so long ago. The media clock goes on while the loop looks at many legs: what it has noted
 * meanwhile is later than `now`. */
static inline bool sh_rtp_ago(uint64_t then, uint64_t now, uint64_t limit_ms)
{
    return now > then && now - then >= limit_ms;
}

bool sh_rtp_is_leg(const pjmedia_transport *transport);

/* rtp_in.c: what a transport below calls with its packets. */
void sh_rtp_comes(pjmedia_tp_cb_param *packet);
void sh_rtcp_comes(void *leg, void *packet, pj_ssize_t size);

/* rtp_in.c; IPv4, else none. */
struct sh_address sh_rtp_address_of(const pj_sockaddr *from);

/* rtp_in.c, for packets that cannot be read. Under the group lock: whether this one is a stranger's, and counted
 * and told as such. It decides nothing of whom the leg hears. */
bool sh_rtp_refuses(struct leg_rtp *leg, const pj_sockaddr *from, bool is_rtcp);
void sh_rtp_count_malformed(void);

/* rtp_probation.c, under the group lock: what the stream's next packet is does not have to be proved. */
void sh_rtp_believe(pjmedia_stream *stream, const pjmedia_rtp_hdr *header);

/* srtp.c */
void sh_srtp_counters(uint64_t *unauthenticated, uint64_t *replayed);

/* rtp_event.c: of the RTP timestamps of a stream. */
unsigned sh_rtp_clock(const pjmedia_stream_info *info);

/* rtp_event.c, under the group lock: let a key, its four bytes in a packet, count the ticks of the audio
 * where it comes in, and those of the peer where it leaves by this leg. What comes is made one event for the
 * stream; `duration` is the packet's own. */
void sh_rtp_event_comes(struct leg_rtp *leg, pjmedia_tp_cb_param *param, uint8_t duration[2]);
void sh_rtp_event_leaves(const struct leg_rtp *leg, uint8_t *event);

/* relay.c, on the media clock's thread: the first under the leg's group lock, the second without any. */
struct sh_passing sh_relay_judge(struct leg_rtp *leg, const pjmedia_rtp_hdr *header, pj_ssize_t size);
void sh_relay_pass(struct leg_rtp *leg, const struct sh_passing *passing, pjmedia_tp_cb_param *packet,
                   void (*deliver)(pjmedia_tp_cb_param *));

/* relay.c, on the loop: the leg's stream goes, and its place on the bridge with it. */
void sh_relay_leave(struct leg_rtp *leg);

#endif
