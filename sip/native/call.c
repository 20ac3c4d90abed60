/* What happens to a call: its state, its audio, and the statistics of a stream that is going.
 *
 * pjsua2 hooks every callback and builds a large object for each, whether anybody listens or not.
 * Those that matter are taken over here and become queued events; those that the gateway never reads
 * are switched off.
 */
#include "native.h"

#include <stdio.h>

static pjsua_call *find(pjsua_call_id id)
{
    if (id < 0 || id >= (int)pjsua_var.ua_cfg.max_calls)
        return NULL;
    return &pjsua_var.calls[id];
}

static pjsip_dialog *dialog_of(const pjsua_call *call)
{
    return call->inv ? call->inv->dlg : call->async_call.dlg;
}

pjsip_dialog *sh_call_dialog(pjsua_call_id id)
{
    pjsua_call *call = find(id);

    return call && call->inv ? call->inv->dlg : NULL;
}

/* NULL: the slot holds no call. */
const pj_str_t *sh_call_id(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsip_dialog *dlg = call ? dialog_of(call) : NULL;

    return dlg ? &dlg->call_id->id : NULL;
}

/* The account that a dialog's call belongs to; PJSUA_INVALID_ID: the call has ended. */
pjsua_acc_id sh_call_account(const pjsip_dialog *dlg)
{
    const pjsua_call *call = dlg->mod_data[pjsua_var.mod.id];

    return call ? call->acc_id : PJSUA_INVALID_ID;
}

static pjsua_call_media *audio_of(pjsua_call *call)
{
    pjsua_call_media *media = call->audio_idx < 0 ? NULL : &call->media[call->audio_idx];

    return media && media->strm.a.stream ? media : NULL;
}

/* The call's place on the bridge now; -1: it has no audio. */
int sh_call_slot(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsua_call_media *media = call ? audio_of(call) : NULL;

    return media ? media->strm.a.conf_slot : -1;
}

/* Its RTP; NULL: it has no audio. */
pjmedia_transport *sh_call_transport(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsua_call_media *media = call ? audio_of(call) : NULL;

    return media ? media->tp : NULL;
}

/* Nothing but audio is offered or accepted. PJSIP offers text (T.140) to whoever calls in without an offer, and
 * in every offer later in a call that it has not dialled itself. */
void sh_call_keep_to_audio(pjsua_call_id id)
{
    pjsua_call *call = find(id);

    if (call)
        call->opt.txt_cnt = 0;
}

unsigned sh_call_rx_packets(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsua_call_media *media = call ? audio_of(call) : NULL;
    pjmedia_rtcp_stat stat;

    if (!media || pjmedia_stream_get_stat(media->strm.a.stream, &stat) != PJ_SUCCESS)
        return 0;
    return stat.rx.pkt;
}

static pjsip_transport *transport_of(const pjsip_event *event)
{
    return event && event->type == PJSIP_EVENT_TSX_STATE ? event->body.tsx_state.tsx->transport : NULL;
}

/* Why the connection was refused that the request should have gone over; PJSIP says only that it
 * could not be sent. */
static bool tls_refusal(const pjsip_event *event, pj_str_t *reason)
{
    const pjsip_tx_data *sent;
    const char *text;

    if (!event || event->type != PJSIP_EVENT_TSX_STATE ||
        event->body.tsx_state.type != PJSIP_EVENT_TRANSPORT_ERROR)
        return false;
    sent = event->body.tsx_state.tsx->last_tx;
    if (!sent || !sent->dest_info.addr.count)
        return false;
    text = sh_tls_failure(&sent->dest_info.addr.entry[sent->dest_info.cur_addr].addr);
    if (!text)
        return false;
    *reason = pj_str((char *)text);
    return true;
}

/* By slot: where its call's INVITE came from or was sent, as sh_gate_is_peer compares it. */
static uint32_t peer_address[PJSUA_MAX_CALLS];

/* Whom a dialog's call was agreed with. */
struct sh_peer sh_call_peer(const pjsip_dialog *dlg)
{
    const pjsua_call *call = dlg->mod_data[pjsua_var.mod.id];

    return call ? (struct sh_peer){call->acc_id, peer_address[call->index]}
                : (struct sh_peer){PJSUA_INVALID_ID, 0};
}

/* By slot: the drain of the events by which the end of its last call will have been seen. */
static uint64_t end_seen_by[PJSUA_MAX_CALLS];

/* By slot: hash of the Call-ID of its last call. */
static uint32_t call_id_hash[PJSUA_MAX_CALLS];

/* Whether a call has this Call-ID, or had it and its end has not been seen. What happens to a call is told
 * by its Call-ID, so a second one would be taken for the first: a caller's own INVITE, which a proxy has
 * forked or brought back to us (RFC 3261 section 8.2.2.2), or one that is meant to do harm. */
bool sh_call_id_is_taken(const pj_str_t *wanted)
{
    uint32_t hash = pj_hash_calc(0, wanted->ptr, (unsigned)wanted->slen);

    for (unsigned id = 0; id < pjsua_var.ua_cfg.max_calls; id++) {
        const pj_str_t *call_id;

        if (call_id_hash[id] != hash)
            continue;
        call_id = sh_call_id((pjsua_call_id)id);
        if (end_seen_by[id] > sh_events_drained() || (call_id && pj_strcmp(call_id, wanted) == 0))
            return true;
    }
    return false;
}

/* Before a call with the peer at `address` takes a slot. PJSIP gives out any free one, also one whose call
 * has ended within the same step: the object of that call, destroyed when its end is seen, would hang up
 * the new call (603). */
void sh_call_choose_slot(uint32_t address)
{
    int count = (int)pjsua_var.ua_cfg.max_calls;
    const pj_str_t any_codec = {"", 0};

    for (int i = 0; i < count; i++) {
        int id = (pjsua_var.next_call_id + i) % count;
        const pjsua_call *call = &pjsua_var.calls[id];

        if (!call->inv && !call->async_call.dlg && end_seen_by[id] <= sh_events_drained()) {
            pjsua_var.next_call_id = id;
            peer_address[id] = address;
            sh_codecs_prefer(id, &any_codec);
            sh_codecs_offer(id, NULL);
            return;
        }
    }
}

static void on_call_state(pjsua_call_id id, pjsip_event *event)
{
    pjsua_call *call = find(id);
    pjsip_dialog *dlg = call ? dialog_of(call) : NULL;
    bool over = call && call->inv && call->inv->state >= PJSIP_INV_STATE_DISCONNECTED;
    struct sh_event what = {.kind = SH_CALL_STATE};
    pj_str_t refusal;

    if (!dlg)
        return;
    call_id_hash[id] = pj_hash_calc(0, dlg->call_id->id.ptr, (unsigned)dlg->call_id->id.slen);
    if (call->inv && (call->inv->state == PJSIP_INV_STATE_EARLY ||
                      call->inv->state == PJSIP_INV_STATE_CONNECTING))
        sh_tls_keep_to(dlg, transport_of(event));
    what.call_id = &dlg->call_id->id;
    what.number = call->inv ? (int)call->inv->state : (int)PJSIP_INV_STATE_NULL;
    if (call->hanging_up) /* reported before BYE or CANCEL leaves: the INVITE session lags behind */
        what.number = PJSIP_INV_STATE_DISCONNECTED;
    what.extra = over ? (int)call->inv->cause : (int)call->last_code;
    what.text1 = over ? &call->inv->cause_text : &call->last_text;
    if (over && tls_refusal(event, &refusal))
        what.text1 = &refusal;
    sh_event_push(&what);
    if (what.number == PJSIP_INV_STATE_DISCONNECTED) {
        end_seen_by[id] = sh_events_drained() + 1;
        sh_refer_call_over(dlg);
    }
}

static pj_str_t codec_name(char *buffer, size_t size, const pjmedia_codec_info *format)
{
    pj_str_t name = {buffer, 0};
    int length = snprintf(buffer, size, "%.*s/%u", (int)format->encoding_name.slen,
                          format->encoding_name.ptr, format->clock_rate);

    name.slen = length < (int)size ? length : (int)size - 1;
    return name;
}

/* Name of the SRTP suite that a stream is encrypted with; empty: none. */
static pj_str_t srtp_suite(const pjsua_call_media *media)
{
    pjmedia_transport_info info;
    const pjmedia_srtp_info *srtp = NULL;

    pjmedia_transport_info_init(&info);
    if (media->tp && pjmedia_transport_get_info(media->tp, &info) == PJ_SUCCESS)
        srtp = pjmedia_transport_info_get_spc_info(&info, PJMEDIA_TRANSPORT_TYPE_SRTP);
    return srtp && srtp->active ? srtp->tx_policy.name : pj_str("");
}

static void on_call_media_state(pjsua_call_id id)
{
    char remote[PJ_INET6_ADDRSTRLEN + 10] = "", codec[48], peer[96];
    pj_str_t peer_str, codec_str, suite;
    pjsua_stream_info info;
    pjsua_call *call = find(id);
    pjsip_dialog *dlg = call ? dialog_of(call) : NULL;
    pjsua_call_media *media = call ? audio_of(call) : NULL;
    struct sh_event what = {.kind = SH_CALL_MEDIA, .number = -1};

    if (!dlg)
        return;
    what.call_id = &dlg->call_id->id;
    if (media && pjsua_call_get_stream_info(id, media->idx, &info) == PJ_SUCCESS) {
        pj_sockaddr_print(&info.info.aud.rem_addr, remote, sizeof remote, 1);
        suite = srtp_suite(media);
        snprintf(peer, sizeof peer, "%s %.*s", remote, (int)suite.slen, suite.ptr);
        peer_str = pj_str(peer);
        codec_str = codec_name(codec, sizeof codec, &info.info.aud.fmt);
        what.number = media->strm.a.conf_slot;
        what.extra = media->state == PJSUA_CALL_MEDIA_REMOTE_HOLD;
        what.text1 = &codec_str;
        what.text2 = &peer_str;
    }
    sh_event_push(&what);
}

/* "rx packets, bytes, lost, discarded, jitter us, tx packets, bytes, lost, round trip us, tx packets that
 * were passed on" */
static void on_stream_destroyed(pjsua_call_id id, pjmedia_stream *stream, unsigned index)
{
    char figures[160], codec[48];
    pj_str_t figures_str, codec_str;
    pjsua_stream_stat stat;
    pjsua_stream_info info;
    pjsua_call *call = find(id);
    pjsip_dialog *dlg = call ? dialog_of(call) : NULL;
    const pjmedia_rtcp_stat *rtcp = &stat.rtcp;
    uint64_t passed, skipped;

    (void)stream;
    if (!dlg || pjsua_call_get_stream_stat(id, index, &stat) != PJ_SUCCESS ||
        pjsua_call_get_stream_info(id, index, &info) != PJ_SUCCESS)
        return;
    codec_str = codec_name(codec, sizeof codec, &info.info.aud.fmt);
    sh_relay_figures(call->media[index].tp, &passed, &skipped);
    figures_str.ptr = figures;
    figures_str.slen = snprintf(figures, sizeof figures, "%u %u %u %u %d %u %u %u %d %llu",
                                rtcp->rx.pkt, rtcp->rx.bytes, rtcp->rx.loss, rtcp->rx.discard,
                                rtcp->rx.jitter.mean, rtcp->tx.pkt, rtcp->tx.bytes,
                                rtcp->tx.loss > skipped ? rtcp->tx.loss - (unsigned)skipped : 0,
                                rtcp->rtt.mean, (unsigned long long)passed);
    sh_event_push(&(struct sh_event){.kind = SH_CALL_STREAM, .call_id = &dlg->call_id->id,
                                     .text1 = &codec_str, .text2 = &figures_str});
}

/* A digit is told when it begins and when it has ended; what comes between only prolongs it. INFO is the
 * loop's; RFC 4733 comes on the media clock's thread, where nothing of the call may be looked at: the loop
 * writes its media anew with each SDP. The leg whose packet is being heard knows enough. */
static void on_dtmf_event(pjsua_call_id id, const pjsua_dtmf_event *digit)
{
    static const pj_str_t rtp = {"rtp", 3}, info = {"info", 4}, passed = {"passed", 6};
    bool known = digit->duration != PJSUA_UNKNOWN_DTMF_DURATION;
    bool by_info = digit->method == PJSUA_DTMF_METHOD_SIP_INFO;
    pjmedia_transport *leg = by_info ? sh_call_transport(id) : sh_rtp_delivering();
    bool passes = !by_info && sh_relay_key_passes(leg);
    struct sh_key key = sh_rtp_key_judge(
        leg,
        (struct sh_key){.begins = !(digit->flags & PJMEDIA_STREAM_DTMF_IS_UPDATE),
                        .ends = by_info || (digit->flags & PJMEDIA_STREAM_DTMF_IS_END),
                        .ms = known ? digit->duration : 0},
        by_info);
    struct sh_event what = {.number = (int)digit->digit,
                            .extra = key.ends ? (int)key.ms : 0,
                            .call_id = by_info ? sh_call_id(id) : sh_rtp_call_id(leg),
                            .text1 = by_info ? &info : &rtp,
                            .text2 = passes ? &passed : NULL};

    if (!what.call_id)
        return;
    if (key.begins) {
        what.kind = SH_CALL_DTMF;
        sh_event_push(&what);
    }
    if (key.ends) {
        what.kind = SH_CALL_DTMF_END;
        sh_event_push(&what);
    }
}

void sh_call_hook_callbacks(void)
{
    pjsua_callback *cb = &pjsua_var.ua_cfg.cb;

    cb->on_call_state = on_call_state;
    cb->on_call_media_state = on_call_media_state;
    cb->on_stream_destroyed = on_stream_destroyed;
    cb->on_dtmf_event = on_dtmf_event;

    cb->on_acc_send_request = NULL;
    cb->on_call_tsx_state = NULL;
    cb->on_stream_created2 = NULL;
    cb->on_call_rx_offer = NULL;
    cb->on_call_rx_reinvite = NULL;
    cb->on_call_tx_offer = NULL;
    cb->on_call_media_transport_state = NULL;
    cb->on_call_media_event = NULL;
    cb->on_media_event = NULL;
    pjmedia_conf_set_op_cb(pjsua_var.mconf, NULL);
}
