/* How the packets of one leg become packets of the other leg's stream.
 *
 * The peer must not notice who has encoded what it hears, the gateway or the other party: it is one
 * RTP stream with one SSRC. So the numbers of packets that are passed on follow those of the packets
 * that the gateway has sent before, shifted by a constant. What the source lost stays a gap, and what
 * it sent late stays late, because a jitter buffer mends both better than a gateway could.
 *
 * A source that begins anew (another SSRC, a jump of its numbers) gets another constant: our numbers
 * go on by one, our timestamps by the time that has passed (RFC 3550 section 5.1).
 */
#include "rtp_numbers.h"

/* As RFC 3550, appendix A.1: a larger step is a new beginning. */
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100

#define WINDOW 64 /* places that are remembered: what comes later than that is of no use */

/* A timestamp that is so far from the clock is a new beginning too. An event's stands still for as long
 * as the key is pressed (RFC 4733 section 2.3), so it must be more than that. */
#define ASTRAY_MS 10000

void sh_renumbering_begin(struct sh_renumbering *way, uint32_t clock_rate, uint32_t packet_span,
                          const struct sh_rtp_numbers *sent, uint64_t sent_ms)
{
    *way = (struct sh_renumbering){.clock_rate = clock_rate, .packet_span = packet_span,
                                   .moved_ms = sent_ms, .sent = *sent};
}

static uint32_t span_of(const struct sh_renumbering *way, uint64_t ms)
{
    return (uint32_t)(ms * way->clock_rate / 1000);
}

/* Whole packets that the clock is ahead of what was sent. */
static uint32_t passed(const struct sh_renumbering *way, uint64_t now_ms)
{
    uint32_t span = now_ms > way->moved_ms ? span_of(way, now_ms - way->moved_ms) : 0;

    return span / way->packet_span * way->packet_span;
}

static bool astray(const struct sh_renumbering *way, uint32_t timestamp, uint64_t now_ms)
{
    int64_t by = (int32_t)(timestamp - way->heard.timestamp);
    int64_t expected = span_of(way, now_ms - way->moved_ms);
    int64_t off = by > expected ? by - expected : expected - by;

    return off > span_of(way, ASTRAY_MS);
}

bool sh_renumber(struct sh_renumbering *way, struct sh_rtp_numbers *packet, uint64_t now_ms)
{
    const struct sh_rtp_numbers heard = *packet;
    int16_t step = (int16_t)(heard.sequence - way->heard.sequence);
    bool same = way->follows && heard.ssrc == way->heard.ssrc && step < MAX_DROPOUT &&
                step > -MAX_MISORDER && (step <= 0 || !astray(way, heard.timestamp, now_ms));

    packet->ssrc = way->sent.ssrc;
    if (!same) {
        uint32_t ahead = passed(way, now_ms);

        packet->sequence = (uint16_t)(way->sent.sequence + 1);
        packet->timestamp = way->sent.timestamp + (ahead ? ahead : way->packet_span);
        packet->marker = true;
        way->follows = true;
        way->filled = UINT64_MAX; /* what the source sent before has no place */
    } else {
        packet->sequence = (uint16_t)(way->sent.sequence + step);
        packet->timestamp = way->sent.timestamp + (heard.timestamp - way->heard.timestamp);
        if (step <= 0) { /* late, or once more */
            uint64_t place = -step < WINDOW ? (uint64_t)1 << -step : 0;

            if (!place || way->filled & place)
                return false;
            way->filled |= place;
            way->skipped--;
            return true;
        }
        way->filled = (step < WINDOW ? way->filled << step : 0) | 1;
        way->skipped += (uint64_t)(step - 1);
    }
    if (packet->timestamp != way->sent.timestamp)
        way->moved_ms = now_ms;
    way->heard = heard;
    way->sent = *packet;
    return true;
}

struct sh_rtp_numbers sh_renumbering_end(const struct sh_renumbering *way, uint64_t now_ms)
{
    struct sh_rtp_numbers sent = way->sent;
    uint32_t ahead = passed(way, now_ms);

    /* The stream's next packet adds its own span. */
    sent.timestamp += ahead > way->packet_span ? ahead - way->packet_span : 0;
    return sent;
}
