/* Every SIP message as it is on the wire, below all other layers, for the ladder and as evidence.
 *
 * A received message is seen after the gate's first stage: what a foreign source sends is counted
 * there and costs no copy here.
 */
#include "native.h"

#include <stdio.h>

static void push(enum sh_event_kind kind, const pjsip_msg *msg, const char *transport,
                 const char *address, int port, const char *text, pj_ssize_t length)
{
    const pjsip_cid_hdr *call_id = pjsip_msg_find_hdr(msg, PJSIP_H_CALL_ID, NULL);
    char peer[PJ_INET6_ADDRSTRLEN + 8];
    pj_str_t peer_str, message;

    if (!call_id)
        return;
    peer_str.ptr = peer;
    peer_str.slen = snprintf(peer, sizeof peer, "%s %s", transport, address);
    if (peer_str.slen >= (pj_ssize_t)sizeof peer)
        peer_str.slen = sizeof peer - 1;
    pj_strset(&message, (char *)text, (pj_size_t)length);
    sh_event_push(&(struct sh_event){.kind = kind, .call_id = &call_id->id, .number = port,
                                     .text1 = &peer_str, .text2 = &message});
}

static pj_bool_t on_received(pjsip_rx_data *rdata)
{
    push(SH_MESSAGE_RECEIVED, rdata->msg_info.msg, rdata->tp_info.transport->type_name,
         rdata->pkt_info.src_name, rdata->pkt_info.src_port, rdata->msg_info.msg_buf,
         rdata->msg_info.len);
    return PJ_FALSE;
}

static pj_status_t on_sent(pjsip_tx_data *tdata)
{
    push(SH_MESSAGE_SENT, tdata->msg, tdata->tp_info.transport->type_name,
         tdata->tp_info.dst_name, tdata->tp_info.dst_port, tdata->buf.start,
         tdata->buf.cur - tdata->buf.start);
    return PJ_SUCCESS; /* anything else would stop the message */
}

static pjsip_module module = {
    .name = {"switchhook-wire", 15},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 1, /* the last to see what is sent */
    .on_rx_request = on_received,
    .on_rx_response = on_received,
    .on_tx_request = on_sent,
    .on_tx_response = on_sent,
};

pj_status_t sh_wire_register(pjsip_endpoint *endpt)
{
    return pjsip_endpt_register_module(endpt, &module);
}
