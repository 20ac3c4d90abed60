/* REFER as a dialog usage of our own (RFC 3515): send it, answer one challenge, take the NOTIFYs.
 *
 * PJSIP's evsub layer is left aside: it adds a second Referred-By, drops a NOTIFY without a body or
 * without Event, and reports its own timeout as 500. Here the peer's words reach the verdict's state
 * machine (sip/transfer/verdict.py) unchanged.
 *
 * Requests leave in transactions of this module's own, not in the dialog's: PJSIP's INVITE usage looks
 * at every response in the dialog, ends the call at 481 and 408, and answers a challenge by itself, to
 * whoever sent it. The subscription holds the dialog like any other usage (RFC 5057), so that a
 * NOTIFY behind the peer's BYE is still heard.
 */
#include "native.h"

#include <pjsip-simple/evsub_msg.h>

/* One REFER and the subscription that it makes. Lives in its dialog's pool. */
struct referral {
    struct referral *older;     /* in the same dialog */
    struct referral *next_open; /* in `open` */
    pjsip_dialog *dlg;
    struct sh_peer peer;
    int id;
    int first_cseq, last_cseq;  /* an answered challenge makes a second REFER of it */
    pjsip_transaction *pending; /* the REFER whose final response is awaited */
    bool challenged;
    bool unwanted; /* unsubscribe as soon as there is a subscription */
    bool ended;    /* nobody waits for it any more */
};

static const pjsip_method refer_method = {PJSIP_OTHER_METHOD, {"REFER", 5}};
static const pjsip_method subscribe_method = {PJSIP_OTHER_METHOD, {"SUBSCRIBE", 9}};
static const pj_str_t notify_name = {"NOTIFY", 6};
static const pj_str_t refer_to_name = {"Refer-To", 8};
static const pj_str_t event_name = {"Event", 5};
static const pj_str_t event_short_name = {"o", 1};
static const pj_str_t refer_package = {"refer", 5};

static pjsip_module usage, overtaken;

static struct referral *open; /* those that hold their dialog */
static int last_id;

static void push_final(const struct referral *referral, int code, const pj_str_t *reason,
                       const char *note)
{
    pj_str_t text = pj_str((char *)note);

    sh_event_push(&(struct sh_event){.kind = SH_REFER_FINAL,
                                     .call_id = &referral->dlg->call_id->id,
                                     .number = code, .extra = referral->id,
                                     .text1 = reason, .text2 = &text});
}

static pj_status_t send_request(struct referral *referral, pjsip_tx_data *request, void *mod_data,
                                pjsip_transaction **sent)
{
    pjsip_transaction *tsx;
    pj_status_t status;
    int cseq = referral->dlg->local.cseq++;

    PJSIP_MSG_CSEQ_HDR(request->msg)->cseq = cseq;
    pjsip_tx_data_invalidate_msg(request);
    status = pjsip_tsx_create_uac(&usage, request, &tsx);
    if (status != PJ_SUCCESS) {
        pjsip_tx_data_dec_ref(request);
        return status;
    }
    pjsip_tsx_set_transport(tsx, &referral->dlg->tp_sel);
    tsx->mod_data[usage.id] = mod_data;
    if (sent) {
        *sent = tsx;
        referral->last_cseq = cseq;
    }
    status = pjsip_tsx_send_msg(tsx, NULL);
    if (status != PJ_SUCCESS) {
        tsx->mod_data[usage.id] = NULL;
        if (sent)
            *sent = NULL;
        pjsip_tx_data_dec_ref(request);
        pjsip_tsx_terminate(tsx, PJSIP_SC_TSX_TRANSPORT_ERROR);
    }
    return status;
}

static void add_header(pjsip_tx_data *request, const char *name, const char *value)
{
    pj_str_t name_str = pj_str((char *)name), value_str = pj_str((char *)value);

    pjsip_msg_add_hdr(request->msg, (pjsip_hdr *)pjsip_generic_string_hdr_create(
                                        request->pool, &name_str, &value_str));
}

/* RFC 3515 section 2.4.4, RFC 6665 section 4.1.2.3. What the peer answers changes nothing. */
static pj_status_t unsubscribe(struct referral *referral)
{
    pjsip_tx_data *request;
    char event[32];
    pj_status_t status =
        pjsip_dlg_create_request(referral->dlg, &subscribe_method, -1, &request);

    if (status != PJ_SUCCESS)
        return status;
    snprintf(event, sizeof event, "refer;id=%d", referral->last_cseq);
    add_header(request, "Event", event);
    add_header(request, "Expires", "0");
    return send_request(referral, request, NULL, NULL);
}

static struct referral *find_open(int id)
{
    struct referral *referral = open;

    while (referral && referral->id != id)
        referral = referral->next_open;
    return referral;
}

static void release(struct referral *referral)
{
    struct referral **link = &open;

    while (*link != referral)
        link = &(*link)->next_open;
    *link = referral->next_open;
    pjsip_dlg_dec_session(referral->dlg, &usage); /* may destroy the dialog */
}

/* A digest answers whoever chose the nonce: only the peer that the call was agreed with is given one. */
static const char *answer_challenge(struct referral *referral, pjsip_transaction *tsx,
                                    pjsip_rx_data *challenge)
{
    pjsip_tx_data *request;

    if (!sh_gate_is_peer(challenge, referral->peer))
        return "the challenge came from outside the trunk";
    if (pjsip_auth_clt_reinit_req(&referral->dlg->auth_sess, challenge, tsx->last_tx, &request) !=
        PJ_SUCCESS)
        return "no credentials for this realm";
    referral->challenged = true;
    if (send_request(referral, request, referral, &referral->pending) != PJ_SUCCESS)
        return "the answer to the challenge could not be sent";
    return NULL;
}

static void refer_answered(struct referral *referral, pjsip_transaction *tsx,
                           const pjsip_event *event)
{
    bool response = event->body.tsx_state.type == PJSIP_EVENT_RX_MSG;
    int code = tsx->status_code;
    const char *note = response ? "" : "no response";

    if (code < 200)
        return;
    tsx->mod_data[usage.id] = NULL; /* one final per request */
    referral->pending = NULL;
    if (response &&
        (code == PJSIP_SC_UNAUTHORIZED || code == PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED)) {
        if (referral->challenged)
            note = "our credentials were refused";
        else if (!(note = answer_challenge(referral, tsx, event->body.tsx_state.src.rdata)))
            return;
    }
    if (code < 300 && referral->unwanted)
        unsubscribe(referral);
    push_final(referral, code, &tsx->status_text, note);
    if (referral->ended)
        release(referral);
}

static bool is_notify(const pjsip_method *method)
{
    return pj_strcmp(&method->name, &notify_name) == 0;
}

/* Whose NOTIFY this is. Without an id it is the last REFER's: RFC 3515 section 2.4.6 wants the id
 * from the second one on, and peers forget it. NULL, with a status: nobody's. */
static const struct referral *notified(const pjsip_dialog *dlg, const pjsip_rx_data *notify,
                                       int *status)
{
    const struct referral *referral = dlg->mod_data[usage.id];
    const pjsip_event_hdr *event = pjsip_msg_find_hdr_by_names(
        notify->msg_info.msg, &event_name, &event_short_name, NULL);

    *status = PJSIP_SC_BAD_EVENT;
    if (event && pj_stricmp(&event->event_type, &refer_package) != 0)
        return NULL;
    *status = PJSIP_SC_CALL_TSX_DOES_NOT_EXIST;
    if (event && event->id_param.slen > 0) {
        int id = (int)pj_strtoul(&event->id_param);

        while (referral && (id < referral->first_cseq || id > referral->last_cseq))
            referral = referral->older;
    }
    if (referral)
        *status = PJSIP_SC_OK;
    return referral;
}

static void push_notify(const struct referral *referral, const pjsip_rx_data *notify)
{
    pj_str_t message;

    pj_strset(&message, notify->msg_info.msg_buf, (pj_size_t)notify->msg_info.len);
    sh_event_push(&(struct sh_event){.kind = SH_NOTIFY, .call_id = &referral->dlg->call_id->id,
                                     .number = referral->id, .text2 = &message});
}

static void answer_notify(pjsip_dialog *dlg, pjsip_transaction *tsx, pjsip_rx_data *notify)
{
    int status;
    const struct referral *referral = notified(dlg, notify, &status);
    pjsip_tx_data *response;

    if (pjsip_dlg_create_response(dlg, notify, status, NULL, &response) == PJ_SUCCESS) {
        if (status == PJSIP_SC_BAD_EVENT)
            add_header(response, "Allow-Events", "refer");
        pjsip_dlg_send_response(dlg, tsx, response);
    }
    if (referral)
        push_notify(referral, notify);
}

static void on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    pjsip_dialog *dlg = pjsip_tsx_get_dlg(tsx);

    if (tsx->role == PJSIP_ROLE_UAC) {
        if (!dlg && tsx->mod_data[usage.id])
            refer_answered(tsx->mod_data[usage.id], tsx, event);
    } else if (dlg && tsx->state == PJSIP_TSX_STATE_TRYING && is_notify(&tsx->method) &&
               event->body.tsx_state.type == PJSIP_EVENT_RX_MSG) {
        answer_notify(dlg, tsx, event->body.tsx_state.src.rdata);
    }
}

/* Claim the NOTIFY; it is answered once its transaction has taken it in. */
static pj_bool_t on_rx_request(pjsip_rx_data *rdata)
{
    return is_notify(&rdata->msg_info.msg->line.req.method);
}

static pjsip_module usage = {
    .name = {"switchhook-refer", 16},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1, /* before the INVITE usage */
    .on_rx_request = on_rx_request,
    .on_tsx_state = on_tsx_state,
};

/* Before PJSIP's UA layer: a NOTIFY that the network let the BYE overtake is answered 500 there (RFC
 * 3261 section 12.2.2). What it says is true all the same. One in a dialog without any REFER has no
 * subscription (RFC 6665 section 4.1.3). */
static pj_bool_t on_rx_overtaken(pjsip_rx_data *rdata)
{
    const struct referral *referral;
    pjsip_dialog *dlg;
    int status;

    if (!is_notify(&rdata->msg_info.msg->line.req.method))
        return PJ_FALSE;
    dlg = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                               &rdata->msg_info.from->tag, PJ_FALSE);
    if (!dlg)
        return PJ_FALSE;
    if (!pjsip_dlg_has_usage(dlg, &usage)) {
        pjsip_endpt_respond_stateless(dlg->endpt, rdata, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL,
                                      NULL, NULL);
        return PJ_TRUE;
    }
    if (rdata->msg_info.cseq->cseq <= dlg->remote.cseq && (referral = notified(dlg, rdata, &status)))
        push_notify(referral, rdata);
    return PJ_FALSE;
}

static pjsip_module overtaken = {
    .name = {"switchhook-refer-overtaken", 26},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_UA_PROXY_LAYER - 1,
    .on_rx_request = on_rx_overtaken,
};

pj_status_t sh_refer_register(pjsip_endpoint *endpt)
{
    pj_status_t status = pjsip_endpt_register_module(endpt, &usage);

    return status == PJ_SUCCESS ? pjsip_endpt_register_module(endpt, &overtaken) : status;
}

pj_status_t sh_refer_send(pjsua_call_id call, const pj_str_t *refer_to, pjsip_hdr *headers, int *id)
{
    pjsip_dialog *dlg = sh_call_dialog(call);
    struct referral *referral;
    pjsip_tx_data *request;
    pj_status_t status;

    if (!dlg)
        return PJSIP_ESESSIONTERMINATED;
    status = pjsip_dlg_create_request(dlg, &refer_method, -1, &request);
    if (status != PJ_SUCCESS)
        return status;
    pjsip_msg_add_hdr(request->msg, (pjsip_hdr *)pjsip_generic_string_hdr_create(
                                        request->pool, &refer_to_name, refer_to));
    for (pjsip_hdr *header = headers->next; header != headers; header = header->next)
        pjsip_msg_add_hdr(request->msg, pjsip_hdr_clone(request->pool, header));

    referral = PJ_POOL_ZALLOC_T(dlg->pool, struct referral);
    referral->dlg = dlg;
    referral->peer = sh_call_peer(dlg);
    referral->id = ++last_id;
    referral->first_cseq = dlg->local.cseq;
    referral->older = pjsip_dlg_has_usage(dlg, &usage) ? dlg->mod_data[usage.id] : NULL;
    pjsip_dlg_add_usage(dlg, &usage, referral);
    pjsip_dlg_inc_session(dlg, &usage);
    referral->next_open = open;
    open = referral;
    status = send_request(referral, request, referral, &referral->pending);
    if (status != PJ_SUCCESS)
        sh_refer_end(referral->id);
    *id = referral->id;
    return status;
}

/* The call is over: no 202 that still comes is worth unsubscribing for. */
void sh_refer_call_over(const pjsip_dialog *dlg)
{
    for (struct referral *referral = open, *next; referral; referral = next) {
        next = referral->next_open;
        if (referral->dlg == dlg && referral->ended) {
            referral->pending->mod_data[usage.id] = NULL;
            release(referral);
        }
    }
}

/* How many REFERs hold their dialogs. */
unsigned sh_refer_count(void)
{
    unsigned count = 0;

    for (const struct referral *referral = open; referral; referral = referral->next_open)
        count++;
    return count;
}

/* End the subscription, or what becomes one once the REFER is accepted. */
pj_status_t sh_refer_unsubscribe(int id)
{
    struct referral *referral = find_open(id);

    if (!referral)
        return PJ_ENOTFOUND;
    if (!referral->pending)
        return unsubscribe(referral);
    referral->unwanted = true;
    return PJ_SUCCESS;
}

/* Nobody waits for this REFER any more. It holds its dialog no longer; NOTIFYs are still answered. */
void sh_refer_end(int id)
{
    struct referral *referral = find_open(id);

    if (!referral)
        return;
    referral->ended = true;
    if (referral->pending && referral->unwanted)
        return; /* until its final response is there */
    if (referral->pending)
        referral->pending->mod_data[usage.id] = NULL;
    release(referral);
}
