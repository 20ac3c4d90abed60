/* Facts about a call that pjsua2 tells only as large objects: state, media, statistics. */
#include "native.h"

/* pjsua2 hooks every callback and builds a large object for each, whether anybody listens or not.
 * Without these nothing is told that the gateway does not read from the wire or decide beforehand. */
void sh_call_keep_needed_callbacks(void)
{
    pjsua_callback *cb = &pjsua_var.ua_cfg.cb;

    cb->on_acc_send_request = NULL;
    cb->on_transport_state = NULL;
    cb->on_call_tsx_state = NULL;
    cb->on_call_sdp_created = NULL;
    cb->on_stream_precreate = NULL;
    cb->on_stream_created2 = NULL;
    cb->on_call_rx_offer = NULL;
    cb->on_call_rx_reinvite = NULL;
    cb->on_call_tx_offer = NULL;
    cb->on_call_media_transport_state = NULL;
    cb->on_call_media_event = NULL;
    cb->on_media_event = NULL;
    cb->on_create_media_transport = NULL;
}

static pjsua_call *find(pjsua_call_id id)
{
    if (id < 0 || id >= (int)pjsua_var.ua_cfg.max_calls)
        return NULL;
    return &pjsua_var.calls[id];
}

pjsip_dialog *sh_call_dialog(pjsua_call_id id)
{
    pjsua_call *call = find(id);

    return call && call->inv ? call->inv->dlg : NULL;
}

/* (state, last status, last reason, Call-ID); None where the slot holds no call. */
PyObject *sh_call_state(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsip_dialog *dlg;
    const pj_str_t *text;
    int state, code;

    if (!call)
        Py_RETURN_NONE;
    dlg = call->inv ? call->inv->dlg : call->async_call.dlg;
    if (!dlg)
        Py_RETURN_NONE;
    state = call->inv ? (int)call->inv->state : (int)PJSIP_INV_STATE_NULL;
    if (call->hanging_up) /* reported before BYE or CANCEL leaves: the INVITE session lags behind */
        state = PJSIP_INV_STATE_DISCONNECTED;
    if (call->inv && call->inv->state >= PJSIP_INV_STATE_DISCONNECTED) {
        code = (int)call->inv->cause;
        text = &call->inv->cause_text;
    } else {
        code = (int)call->last_code;
        text = &call->last_text;
    }
    return Py_BuildValue("iiNN", state, code,
                         PyUnicode_DecodeUTF8(text->ptr, text->slen, "replace"),
                         PyUnicode_DecodeUTF8(dlg->call_id->id.ptr, dlg->call_id->id.slen,
                                              "replace"));
}

/* (conference slot, codec, remote RTP address, held by peer); None where no audio is active. */
PyObject *sh_call_media(pjsua_call_id id)
{
    char remote[PJ_INET6_ADDRSTRLEN + 10] = "", codec[48];
    const pjmedia_codec_info *format;
    pjsua_stream_info info;
    pjsua_call *call = find(id);
    pjsua_call_media *media;
    int held;

    if (!call || call->audio_idx < 0)
        Py_RETURN_NONE;
    media = &call->media[call->audio_idx];
    if (!media->strm.a.stream ||
        pjsua_call_get_stream_info(id, (unsigned)call->audio_idx, &info) != PJ_SUCCESS)
        Py_RETURN_NONE;
    format = &info.info.aud.fmt;
    held = media->state == PJSUA_CALL_MEDIA_REMOTE_HOLD;
    pj_sockaddr_print(&info.info.aud.rem_addr, remote, sizeof remote, 1);
    snprintf(codec, sizeof codec, "%.*s/%u", (int)format->encoding_name.slen,
             format->encoding_name.ptr, format->clock_rate);
    return Py_BuildValue("issi", media->strm.a.conf_slot, codec, remote, held);
}

/* RTP of the call's audio, while its stream still stands:
 * (rx packets, bytes, lost, discarded, jitter us, tx packets, bytes, lost, round trip us). */
PyObject *sh_call_statistics(pjsua_call_id id)
{
    pjsua_call *call = find(id);
    pjsua_stream_stat stat;
    const pjmedia_rtcp_stat *rtcp = &stat.rtcp;

    if (!call || call->audio_idx < 0 ||
        pjsua_call_get_stream_stat(id, (unsigned)call->audio_idx, &stat) != PJ_SUCCESS)
        Py_RETURN_NONE;
    return Py_BuildValue("IIIIiIIIi", rtcp->rx.pkt, rtcp->rx.bytes, rtcp->rx.loss,
                         rtcp->rx.discard, rtcp->rx.jitter.mean, rtcp->tx.pkt, rtcp->tx.bytes,
                         rtcp->tx.loss, rtcp->rtt.mean);
}
