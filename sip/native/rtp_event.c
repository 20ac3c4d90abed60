/* The keys of a leg: telephone-event (RFC 4733) between socket and stream, the clock that it counts by, and
 * how many keys are told. Packets come and leave on the media clock's thread, under the leg's group lock;
 * the loop sets the clocks under it, and keys that come by INFO are its own.
 */
#include "leg_rtp.h"

#include <string.h>

/* Keys of one leg: dialling equipment needs 40 ms for each and as much between them (ITU-T Q.24), and
 * whoever sends without a pause 25 a second. What a network has held up comes at once. */
#define KEYS ((struct sh_rate){.per_second = 30, .burst = 30})

#define END_OF_EVENT 0x80 /* the E bit, beside the volume (RFC 4733 section 2.3.3) */

static _Atomic uint64_t refused;

unsigned sh_rtp_clock(const pjmedia_stream_info *info)
{
    /* G.722 counts as if it had 8000 samples (RFC 3551 section 4.5.2), Opus always as if it had 48000
     * (RFC 7587 section 4.1). */
    if (pj_stricmp2(&info->fmt.encoding_name, "G722") == 0)
        return 8000;
    return pj_stricmp2(&info->fmt.encoding_name, "opus") == 0 ? 48000 : info->fmt.clock_rate;
}

/* A key's duration (RFC 4733 section 2.3.5) counts the ticks of telephone-event's own clock. That should
 * be the one of the audio beside it (section 2.1), and PJSIP knows no other; but many a peer has 8000
 * beside Opus. So it is turned into ticks of the audio where it comes in, and back where it leaves. */
static void scale_event(uint8_t *event, unsigned from, unsigned to)
{
    uint64_t duration = (uint64_t)(event[2] << 8 | event[3]);

    if (!from || !to || from == to)
        return;
    duration = duration * to / from;
    if (duration > UINT16_MAX)
        duration = UINT16_MAX;
    event[2] = (uint8_t)(duration >> 8);
    event[3] = (uint8_t)duration;
}

void sh_rtp_event_leaves(const struct leg_rtp *leg, uint8_t *event)
{
    scale_event(event, leg->audio_clock, leg->event_clock_out);
}

/* Whether a packet goes on with the key that is down, in a segment of its own: where 65 535 ticks are not
 * enough, 1.4 s beside Opus, the duration begins again from the end of the last segment (RFC 4733 section
 * 2.5.1.3). Some peers end a segment with their last packet that fits in it. */
static bool begins_segment(const struct leg_rtp *leg, const pjmedia_rtp_hdr *header,
                           const uint8_t *event)
{
    unsigned clock = leg->event_clock_in ? leg->event_clock_in : leg->audio_clock;
    uint64_t longest = (uint64_t)UINT16_MAX * leg->audio_clock / clock;
    uint32_t step = pj_ntohl(header->ts) - leg->key.timestamp;

    return leg->key.is_down && event[0] == leg->key.number && !header->m && step <= longest &&
           step > longest - longest / 16;
}

void sh_rtp_event_comes(struct leg_rtp *leg, pjmedia_tp_cb_param *param, uint8_t duration[2])
{
    const pjmedia_rtp_hdr *header;
    const void *payload;
    unsigned size;
    uint8_t *event;
    uint32_t timestamp;

    if (pjmedia_rtp_decode_rtp(NULL, param->pkt, (int)param->size, &header, &payload, &size) !=
            PJ_SUCCESS || size < SH_EVENT_BYTES)
        return;
    event = (uint8_t *)payload;
    scale_event(event, leg->event_clock_in, leg->audio_clock);
    memcpy(duration, event + 2, 2);
    timestamp = pj_ntohl(header->ts);
    if (begins_segment(leg, header, event))
        leg->key.before += timestamp - leg->key.timestamp;
    else if (timestamp != leg->key.timestamp || event[0] != leg->key.number)
        leg->key.before = 0;
    leg->key.number = event[0];
    leg->key.timestamp = timestamp;
    leg->key.is_down = !(event[1] & END_OF_EVENT);
    leg->key.ticks = leg->key.before + (uint32_t)(duration[0] << 8 | duration[1]);
    if (leg->key.before) /* the stream would take a shorter one for another key */
        event[2] = event[3] = UINT8_MAX;
}

/* What telephone-event counts by, both ways, in the stream that is attached next. 0: as its audio. */
void sh_rtp_event_clocks(pjmedia_transport *transport, unsigned in, unsigned out)
{
    struct leg_rtp *leg = (struct leg_rtp *)transport;

    if (!sh_rtp_is_leg(transport))
        return;
    pj_grp_lock_acquire(leg->base.grp_lock);
    leg->event_clock_in = in;
    leg->event_clock_out = out;
    pj_grp_lock_release(leg->base.grp_lock);
}

/* What is told of a key, of what its stream or an INFO says. Of a flood nobody learns more than `KEYS`, and of
 * each key its end once, and all its segments as one. */
struct sh_key sh_rtp_key_judge(pjmedia_transport *transport, struct sh_key found, bool by_info)
{
    struct leg_rtp *leg = (struct leg_rtp *)transport;
    struct sh_key told;

    if (!sh_rtp_is_leg(transport))
        return found;
    pj_grp_lock_acquire(leg->base.grp_lock);
    if (found.begins) {
        leg->key_told = sh_rate_take(&leg->keys, KEYS, sh_now());
        if (!leg->key_told)
            atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
    }
    told = (struct sh_key){.begins = found.begins && leg->key_told,
                           .ends = found.ends && leg->key_told,
                           .ms = found.ms};
    if (!by_info && leg->key.before)
        told.ms = (unsigned)((uint64_t)leg->key.ticks * 1000 / leg->audio_clock);
    if (found.ends)
        leg->key_told = false;
    pj_grp_lock_release(leg->base.grp_lock);
    return told;
}

uint64_t sh_rtp_keys_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}
