/* Requests inside a dialog: what the gateway serves there, and what it answers to all the rest.
 *
 * The dialog's tags show that the sender is who it was; where it comes from is asked only when there is
 * no such dialog. PJSIP gets what it serves rightly by itself, and referral.c the REFER of a trunk that
 * may transfer.
 */
#include "gate.h"

/* INFO carries DTMF; an empty one is a keep-alive (RFC 6086 section 4.2.2 asks 200 for it). */
static pj_bool_t info(pjsip_rx_data *rdata)
{
    const pjsip_msg_body *body = rdata->msg_info.msg->body;

    if (!body) {
        pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, PJSIP_SC_OK, NULL, NULL, NULL);
        return PJ_TRUE;
    }
    if (pj_stricmp2(&body->content_type.type, "application") == 0 &&
        (pj_stricmp2(&body->content_type.subtype, "dtmf-relay") == 0 ||
         pj_stricmp2(&body->content_type.subtype, "dtmf") == 0))
        return PJ_FALSE;
    sh_gate_refuse(rdata, REFUSED_METHOD, PJSIP_SC_UNSUPPORTED_MEDIA_TYPE, NULL, "Accept",
                   "application/dtmf-relay");
    return PJ_TRUE;
}

/* Methods are told apart by case (RFC 3261 section 7.1), but not by PJSIP: it would take a `rEFER` for
 * the REFER that was decided here. */
static bool is_served(const pjsip_rx_data *rdata)
{
    static const char *const served[] = {"INVITE", "ACK",   "CANCEL", "BYE",
                                         "UPDATE", "PRACK", "NOTIFY", NULL};

    return sh_gate_method_among(rdata, served);
}

/* A dialog outlives its call until the last transaction is over. PJSIP would take an offer for it
 * and never answer (RFC 3261 section 12.2.2). */
static bool comes_after_the_end(pjsip_rx_data *rdata, pjsip_dialog *dlg)
{
    const pjsip_inv_session *inv;

    if (!sh_gate_method_is(rdata, "INVITE") && !sh_gate_method_is(rdata, "UPDATE"))
        return false;
    inv = pjsip_dlg_get_inv_session(dlg);
    return !inv || inv->state == PJSIP_INV_STATE_DISCONNECTED;
}

static pj_bool_t no_such_dialog(pjsip_rx_data *rdata)
{
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST,
                                  NULL, NULL, NULL);
    return PJ_TRUE;
}

/* PJSIP goes by the tags alone: with another Call-ID, a REFER that nobody has looked at would be
 * followed (RFC 3261 section 12.2.2 asks 481 for it). A CANCEL is matched by its transaction. A tag that
 * is invented makes no friend of a stranger. */
static pj_bool_t outside_its_dialog(pjsip_rx_data *rdata)
{
    if (sh_gate_method_is(rdata, "CANCEL"))
        return PJ_FALSE;
    if (sh_gate_method_is(rdata, "ACK")) /* of a refusal, mostly */
        return PJ_TRUE;
    if (!sh_gate_find_source(rdata)) {
        sh_gate_turn_away(rdata, REFUSED_SOURCE, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL);
        return PJ_TRUE;
    }
    return no_such_dialog(rdata);
}

pj_bool_t sh_gate_request_in_dialog(pjsip_rx_data *rdata)
{
    pjsip_dialog *dlg = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                                             &rdata->msg_info.from->tag, PJ_FALSE);

    if (!dlg)
        return outside_its_dialog(rdata);
    if (comes_after_the_end(rdata, dlg))
        return no_such_dialog(rdata);
    if (sh_gate_method_is(rdata, "REFER")) {
        if (sh_transfers_in_allow(sh_call_account(dlg), false)) {
            sh_referral_receive(dlg, rdata);
            return PJ_TRUE;
        }
        sh_gate_refuse(rdata, REFUSED_TRANSFER, PJSIP_SC_DECLINE, "Transfer is not allowed here",
                       NULL, NULL);
        return PJ_TRUE;
    }
    if (sh_gate_method_is(rdata, "SUBSCRIBE") && sh_referral_subscribe(dlg, rdata))
        return PJ_TRUE;
    if (sh_gate_method_is(rdata, "OPTIONS")) {
        sh_gate_answer_ok(rdata);
        return PJ_TRUE;
    }
    if (sh_gate_method_is(rdata, "INFO"))
        return info(rdata);
    if (!is_served(rdata)) {
        sh_gate_refuse_method(rdata);
        return PJ_TRUE;
    }
    return PJ_FALSE;
}
