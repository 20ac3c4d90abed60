/* From which packet on a source is believed.
 *
 * PJSIP wants two packets whose numbers follow each other directly, at the beginning and wherever the numbers
 * jump (RFC 3550 appendix A.1), because a stray packet could come from anywhere. Here signalling vouches for
 * the source of each (rtp_source.c), so the first one will do. A peer that counts by twos, or whose every
 * second packet is lost, would never be heard.
 */
#include "leg_rtp.h"

#define NUMBERS 0x10000

/* Numbers from the first packet after a jump to the second one: some between may be lost. */
#define NEAR 16

static void believe(pjmedia_rtp_seq_session *session, uint16_t number)
{
    if (session->probation == 1) { /* one packet has come */
        session->probation = 0;
        session->base_seq = session->max_seq;
    }
    if (session->bad_seq < NUMBERS && (uint16_t)(number - session->bad_seq) < NEAR)
        session->bad_seq = number; /* which is what PJSIP waits for */
}

void sh_rtp_believe(pjmedia_stream *stream, const pjmedia_rtp_hdr *header)
{
    pjmedia_stream_common *common = (pjmedia_stream_common *)stream;
    uint16_t number = pj_ntohs(header->seq);

    believe(&common->dec->rtp.seq_ctrl, number);
    believe(&common->rtcp.seq_ctrl, number);
}
