/* Audio passed on between two joined legs without being decoded.
 *
 * Where both streams speak the same codec and nobody but the two parties listens or speaks, what one
 * sends is sent to the other as it came: the payload stays, the header gets the numbers of our own
 * stream (rtp_numbers.c), the payload type is the other leg's. That happens above SRTP, so each leg is
 * encrypted by itself or not at all. RTP events (RFC 4733) pass the same way; our stream reads them too,
 * because a key is an event of the call.
 *
 * Meanwhile the bridge neither asks these legs for audio nor hands them any: their ports are disabled
 * there, and what is connected to them stays connected. Nothing that arrives goes into a jitter buffer,
 * which nobody would empty: it is empty when the bridge takes over again. Each leg's stream stays the
 * RTP endpoint for its peer: received and sent packets are counted in its RTCP session, whose reports we
 * send in its place, because it does so only when the bridge gives it audio.
 *
 * Threads: begun and ended by the loop; packets pass on the media clock's. A leg's fields are under its
 * group lock, and never are two of those held at once: a packet is judged under the lock of the leg that
 * it came to, and numbered and sent under the lock of the leg that it leaves by, where `partner` is
 * looked at once more. Each holds a reference to the other's lock, and with it the other's memory.
 */
#include "leg_rtp.h"

#include <string.h>

/* As stock PJSIP between two reports (RFC 3550 section 6.2). */
#define REPORT_MS 5000

/* A leg that says nothing for longer gets nobody's packets: its partner hears the bridge, which sends on.
 * Comfort noise (RFC 3389) says nothing: the other peer has not asked for it. */
#define SILENT_MS 1000

/* The leg of this call, if its audio stands on the bridge. */
static struct leg_rtp *of(pjsua_call_id call)
{
    int slot = sh_call_slot(call);
    struct leg_rtp *leg = slot < 0 ? NULL : (struct leg_rtp *)sh_call_transport(call);

    if (!leg || !sh_rtp_is_leg(&leg->base))
        return NULL;
    leg->slot = slot;
    return leg;
}

static pjmedia_stream_common *common(pjmedia_stream *stream)
{
    return (pjmedia_stream_common *)stream;
}

static bool is_opus(const pjmedia_stream_info *info)
{
    return pj_stricmp2(&info->fmt.encoding_name, "opus") == 0;
}

/* Most parameters of Opus are wishes: a receiver takes whatever it gets (RFC 7587 section 6.1). Those of
 * bandwidth and channels are part of the format already. */
static bool matters(const pj_str_t *parameter, bool opus)
{
    return !opus || pj_stricmp2(parameter, "maxaveragebitrate") == 0 ||
           pj_stricmp2(parameter, "cbr") == 0;
}

/* Whether each parameter of the one that matters is the other's, too. */
static bool covers(const pjmedia_codec_fmtp *one, const pjmedia_codec_fmtp *other, bool opus)
{
    for (unsigned i = 0; i < one->cnt; i++) {
        bool found = !matters(&one->param[i].name, opus);

        for (unsigned j = 0; j < other->cnt && !found; j++)
            found = pj_stricmp(&one->param[i].name, &other->param[j].name) == 0 &&
                    pj_stricmp(&one->param[i].val, &other->param[j].val) == 0;
        if (!found)
            return false;
    }
    return true;
}

static bool same_parameters(const pjmedia_codec_fmtp *one, const pjmedia_codec_fmtp *other, bool opus)
{
    return covers(one, other, opus) && covers(other, one, opus);
}

static unsigned packet_us(const pjmedia_stream_info *info)
{
    unsigned parts = info->param->info.frm_ptime_denum ? info->param->info.frm_ptime_denum : 1;

    return info->param->info.frm_ptime * 1000 / parts * info->param->setting.frm_per_pkt;
}

/* Whether what one peer sends is what the other one asked for. */
static bool alike(const pjmedia_stream_info *one, const pjmedia_stream_info *other)
{
    return one->dir == PJMEDIA_DIR_ENCODING_DECODING && other->dir == one->dir && one->param &&
           other->param && pj_stricmp(&one->fmt.encoding_name, &other->fmt.encoding_name) == 0 &&
           one->fmt.clock_rate == other->fmt.clock_rate &&
           one->fmt.channel_cnt == other->fmt.channel_cnt && packet_us(one) == packet_us(other) &&
           !one->rx_red_pt && !other->rx_red_pt && !one->tx_red_pt && !other->tx_red_pt &&
           same_parameters(&one->param->setting.enc_fmtp, &other->param->setting.enc_fmtp,
                           is_opus(one)) &&
           same_parameters(&one->param->setting.dec_fmtp, &other->param->setting.dec_fmtp,
                           is_opus(one));
}

/* Whether the peer is heard, and in packets that the other peer has asked for. Those of codecs with eight
 * bits for each tick of their clock are known by their size. */
static bool heard_fitting(struct leg_rtp *leg, const pjmedia_stream_info *info)
{
    unsigned clock_rate = sh_rtp_clock(info);
    pj_ssize_t size;

    pj_grp_lock_acquire(leg->base.grp_lock);
    size = leg->heard_size;
    pj_grp_lock_release(leg->base.grp_lock);
    return is_opus(info) ? size > 0
                         : size == (pj_ssize_t)((uint64_t)packet_us(info) * clock_rate / 1000000);
}

static bool heard_lately(const struct leg_rtp *leg, uint64_t now)
{
    /* relaxed: the time stands for itself, nothing is read behind it */
    return !sh_rtp_ago(atomic_load_explicit(&leg->said_ms, memory_order_relaxed), now, SILENT_MS);
}

/* Whether the stream has sent by itself: there is something to follow. */
static bool has_sent(struct leg_rtp *leg)
{
    bool sent;

    pj_grp_lock_acquire(leg->base.grp_lock);
    sent = leg->sent_ms > 0;
    pj_grp_lock_release(leg->base.grp_lock);
    return sent;
}

static void set_port(const struct leg_rtp *leg, pjmedia_port_op setting)
{
    if (leg->slot >= 0)
        pjmedia_conf_configure_port(pjsua_var.mconf, (unsigned)leg->slot, setting, setting);
}

static struct leg_rtp *partner_of(struct leg_rtp *leg)
{
    struct leg_rtp *partner;

    pj_grp_lock_acquire(leg->base.grp_lock);
    partner = leg->partner;
    pj_grp_lock_release(leg->base.grp_lock);
    return partner;
}

static void link_to(struct leg_rtp *leg, struct leg_rtp *partner, const pjmedia_stream_info *info,
                    const pjmedia_stream_info *partner_info, uint64_t now)
{
    unsigned clock_rate = sh_rtp_clock(info);

    pj_grp_lock_add_ref(partner->base.grp_lock);
    pj_grp_lock_acquire(leg->base.grp_lock);
    /* Behind what has really left: the media clock may be numbering a packet that will not. */
    sh_renumbering_begin(&leg->way, clock_rate,
                         (uint32_t)((uint64_t)packet_us(info) * clock_rate / 1000000), &leg->sent,
                         leg->sent_ms);
    leg->event_goes_on = partner_info->tx_event_pt > 0;
    leg->reported_ms = now;
    leg->partner = partner;
    pj_grp_lock_release(leg->base.grp_lock);
}

/* The stream sends by itself again, and its jitter buffer is filled from nothing. */
static void unlink_from(struct leg_rtp *leg, uint64_t now)
{
    struct leg_rtp *partner;

    pj_grp_lock_acquire(leg->base.grp_lock);
    partner = leg->partner;
    leg->partner = NULL;
    if (partner && leg->stream) {
        pjmedia_rtp_session *rtp = &common(leg->stream)->enc->rtp;

        leg->sent = sh_renumbering_end(&leg->way, now);
        leg->sent_ms = now;
        leg->marks = true;
        rtp->out_extseq += (pj_uint32_t)(int16_t)(leg->sent.sequence - (uint16_t)rtp->out_extseq);
        rtp->out_hdr.seq = pj_htons(leg->sent.sequence);
        rtp->out_hdr.ts = pj_htonl(leg->sent.timestamp);
    }
    leg->skipped += leg->way.skipped;
    leg->way.skipped = 0;
    pj_grp_lock_release(leg->base.grp_lock);
    if (partner)
        pj_grp_lock_dec_ref(partner->base.grp_lock);
}

static void empty_jitter_buffer(struct leg_rtp *leg)
{
    pjmedia_stream_common *stream = common(leg->stream);

    if (!stream)
        return;
    pj_mutex_lock(stream->jb_mutex);
    pjmedia_jbuf_reset(stream->jb);
    pj_mutex_unlock(stream->jb_mutex);
}

static void end(struct leg_rtp *leg)
{
    struct leg_rtp *partner = partner_of(leg);
    uint64_t now = sh_rtp_now_ms();

    if (!partner)
        return;
    empty_jitter_buffer(leg);
    empty_jitter_buffer(partner);
    pj_grp_lock_add_ref(leg->base.grp_lock);
    pj_grp_lock_add_ref(partner->base.grp_lock);
    unlink_from(leg, now);
    unlink_from(partner, now);
    set_port(leg, PJMEDIA_PORT_ENABLE);
    set_port(partner, PJMEDIA_PORT_ENABLE);
    pj_grp_lock_dec_ref(partner->base.grp_lock);
    pj_grp_lock_dec_ref(leg->base.grp_lock);
}

static bool may_pass(struct leg_rtp *one, struct leg_rtp *other, pjmedia_stream_info *one_info,
                     pjmedia_stream_info *other_info, uint64_t now)
{
    return heard_lately(one, now) && heard_lately(other, now) && has_sent(one) && has_sent(other) &&
           pjmedia_stream_get_info(one->stream, one_info) == PJ_SUCCESS &&
           pjmedia_stream_get_info(other->stream, other_info) == PJ_SUCCESS &&
           alike(one_info, other_info) && heard_fitting(one, one_info) &&
           heard_fitting(other, other_info);
}

/* Pass audio on between two calls, if their streams let us and both peers are heard. Asked again, look
 * whether that is still so. */
bool sh_relay_join(pjsua_call_id one_call, pjsua_call_id other_call)
{
    struct leg_rtp *one = of(one_call), *other = of(other_call);
    uint64_t now = sh_rtp_now_ms();
    pjmedia_stream_info one_info, other_info;
    bool possible;

    if (!one || !other || one == other || !one->stream || !other->stream)
        return false;
    possible = may_pass(one, other, &one_info, &other_info, now);
    if (!possible || partner_of(one) != other) {
        end(one);
        end(other);
    }
    if (!possible || partner_of(one) == other)
        return possible;
    set_port(one, PJMEDIA_PORT_DISABLE);
    set_port(other, PJMEDIA_PORT_DISABLE);
    link_to(one, other, &one_info, &other_info, now);
    link_to(other, one, &other_info, &one_info, now);
    return true;
}

/* Leave it to the bridge again. */
void sh_relay_part(pjsua_call_id call)
{
    struct leg_rtp *leg = of(call);

    if (leg)
        end(leg);
}

/* Under the partner's lock: the stream takes the packet for one of its own. */
static void count_sent(struct leg_rtp *leg, const struct sh_rtp_numbers *numbers, unsigned payload)
{
    pjmedia_stream_common *stream = common(leg->stream);
    pjmedia_rtp_session *rtp = &stream->enc->rtp;
    int16_t step = (int16_t)(numbers->sequence - (uint16_t)rtp->out_extseq);

    pjmedia_rtcp_tx_rtp(&stream->rtcp, payload);
    leg->passed++;
    if (step < 0) /* late */
        return;
    rtp->out_extseq += (pj_uint32_t)step;
    rtp->out_hdr.seq = pj_htons(numbers->sequence);
    rtp->out_hdr.ts = pj_htonl(numbers->timestamp);
    stream->rtcp.stat.rtp_tx_last_seq = numbers->sequence;
    stream->rtcp.stat.rtp_tx_last_ts = numbers->timestamp;
}

/* Send a packet of its partner's peer to this leg's. The header is written over what stood before the
 * payload: a packet has twelve bytes there at least. One without any payload has none to stand before,
 * as PJSIP decodes it: it must not get here. */
static void forward(struct leg_rtp *leg, struct leg_rtp *from, const pjmedia_rtp_hdr *header,
                    const void *payload, unsigned size, bool event)
{
    struct sh_rtp_numbers numbers = {pj_ntohl(header->ssrc), pj_ntohs(header->seq),
                                     pj_ntohl(header->ts), header->m};
    pjmedia_rtp_hdr *out = (pjmedia_rtp_hdr *)((uint8_t *)payload - sizeof *out);
    uint64_t now = sh_rtp_now_ms();

    pj_grp_lock_acquire(leg->base.grp_lock);
    if (leg->partner == from && leg->stream && sh_renumber(&leg->way, &numbers, now)) {
        if (event)
            sh_rtp_event_leaves(leg, (uint8_t *)payload);
        *out = (pjmedia_rtp_hdr){.v = SH_RTP_VERSION,
                                 .m = numbers.marker,
                                 .pt = event ? (uint8_t)leg->event_out : leg->audio_out,
                                 .seq = pj_htons(numbers.sequence),
                                 .ts = pj_htonl(numbers.timestamp),
                                 .ssrc = pj_htonl(numbers.ssrc)};
        if (pjmedia_transport_send_rtp(leg->below, out, sizeof *out + size) == PJ_SUCCESS)
            count_sent(leg, &numbers, size);
        if (sh_rtp_ago(leg->reported_ms, now, REPORT_MS)) {
            leg->reported_ms = now;
            pjmedia_stream_send_rtcp_sdes(leg->stream);
        }
    }
    pj_grp_lock_release(leg->base.grp_lock);
}

/* What the stream does with a packet of audio, but for decoding it. False: nobody should hear it. */
static bool count_received(pjmedia_stream_common *stream, const pjmedia_rtp_hdr *header,
                           unsigned payload)
{
    pjmedia_rtp_status status;
    bool bad;

    memset(&status, 0, sizeof status);
    pjmedia_rtp_session_update2(&stream->dec->rtp, header, &status, PJ_TRUE);
    bad = status.status.flag.bad || payload == 0;
    if (stream->rtcp.peer_ssrc == 0 || status.status.flag.badssrc)
        stream->rtcp.peer_ssrc = stream->dec->rtp.peer_ssrc;
    pjmedia_rtcp_rx_rtp2(&stream->rtcp, pj_ntohs(header->seq), pj_ntohl(header->ts), payload, bad);
    return !bad;
}

struct sh_passing sh_relay_judge(struct leg_rtp *leg, const pjmedia_rtp_hdr *header, pj_ssize_t size)
{
    struct sh_passing passing = {.partner = leg->partner, .audio = leg->audio_in};
    bool goes_on = leg->partner && leg->event_goes_on;
    bool is_event = leg->event_in > 0 && header->pt == leg->event_in;

    if (header->pt == leg->audio_in)
        leg->heard_size = size - (pj_ssize_t)sizeof *header;
    if (is_event || header->pt == leg->audio_in)
        atomic_store_explicit(&leg->said_ms, sh_rtp_now_ms(), memory_order_relaxed);
    if (is_event) {
        uint32_t timestamp = pj_ntohl(header->ts);

        /* A key that was down already when passing on began is the stream's to the end. */
        if (!leg->event_known || leg->event_timestamp != timestamp)
            leg->event_passes = goes_on;
        leg->event_known = true;
        leg->event_timestamp = timestamp;
        passing.key = goes_on && leg->event_passes;
    }
    if (passing.partner)
        pj_grp_lock_add_ref(passing.partner->base.grp_lock);
    return passing;
}

/* Whether the key that the stream tells of just now goes to the other party by itself. */
bool sh_relay_key_passes(pjmedia_transport *transport)
{
    struct leg_rtp *leg = (struct leg_rtp *)transport;
    bool passes;

    if (!sh_rtp_is_leg(transport))
        return false;
    pj_grp_lock_acquire(leg->base.grp_lock);
    passes = leg->event_known && leg->event_passes;
    pj_grp_lock_release(leg->base.grp_lock);
    return passes;
}

void sh_relay_pass(struct leg_rtp *leg, const struct sh_passing *passing, pjmedia_tp_cb_param *packet,
                   void (*deliver)(pjmedia_tp_cb_param *))
{
    struct leg_rtp *partner = passing->partner;
    pjmedia_stream_common *stream = packet->user_data;
    const pjmedia_rtp_hdr *header;
    const void *payload;
    unsigned size;
    bool whole = pjmedia_rtp_decode_rtp(&stream->dec->rtp, packet->pkt, (int)packet->size, &header,
                                        &payload, &size) == PJ_SUCCESS;

    if (!whole || header->pt != passing->audio) {
        deliver(packet);
        if (whole && passing->key && size >= SH_EVENT_BYTES) {
            memcpy((uint8_t *)payload + 2, passing->duration, sizeof passing->duration);
            forward(partner, leg, header, payload, size, true);
        }
    } else if (count_received(stream, header, size)) {
        forward(partner, leg, header, payload, size, false);
    }
    pj_grp_lock_dec_ref(partner->base.grp_lock);
}

void sh_relay_leave(struct leg_rtp *leg)
{
    leg->slot = -1; /* PJSIP has taken the port away, and nobody may enable it again */
    end(leg);
}

/* Packets that left this leg undecoded, and places among them that stayed empty because the other
 * party's network had lost them: its peer counts those as lost, too. */
void sh_relay_figures(pjmedia_transport *transport, uint64_t *passed, uint64_t *skipped)
{
    struct leg_rtp *leg = (struct leg_rtp *)transport;

    *passed = *skipped = 0;
    if (!sh_rtp_is_leg(transport))
        return;
    pj_grp_lock_acquire(leg->base.grp_lock);
    *passed = leg->passed;
    *skipped = leg->skipped + leg->way.skipped;
    pj_grp_lock_release(leg->base.grp_lock);
}
