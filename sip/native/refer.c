/* REFER as a dialog usage of our own (RFC 3515): send it, answer one challenge, take the NOTIFYs.
 *
 * PJSIP's evsub layer is left aside: it adds a second Referred-By, drops a NOTIFY without a body or
 * without Event, and reports its own timeout as 500. Here the peer's words reach the verdict's state
 * machine (sip/refer.py) unchanged, and every NOTIFY is answered 200.
 */
#include "native.h"

static const pjsip_method refer_method = {PJSIP_OTHER_METHOD, {"REFER", 5}};
static const pj_str_t notify_name = {"NOTIFY", 6};
static const pj_str_t refer_to_name = {"Refer-To", 8};

static pjsip_module module;

/* tsx->mod_data of a REFER: how often a challenge was answered. */
static char first_try, second_try;

static void push_final(pjsip_dialog *dlg, pjsip_transaction *tsx, const pj_str_t *missing)
{
    sh_event_push(&(struct sh_event){.kind = SH_REFER_FINAL, .call_id = &dlg->call_id->id,
                                     .number = tsx->status_code, .text1 = &tsx->status_text,
                                     .text2 = missing});
}

static void answer_challenge(pjsip_dialog *dlg, pjsip_transaction *tsx, pjsip_rx_data *challenge)
{
    pjsip_tx_data *request;
    pj_status_t status;

    status = pjsip_auth_clt_reinit_req(&dlg->auth_sess, challenge, tsx->last_tx, &request);
    if (status == PJ_SUCCESS)
        status = pjsip_dlg_send_request(dlg, request, module.id, &second_try);
    if (status != PJ_SUCCESS) /* no credentials for this realm: the challenge is the answer */
        push_final(dlg, tsx, NULL);
}

static bool is_notify(const pjsip_method *method)
{
    return pj_strcmp(&method->name, &notify_name) == 0;
}

static void answer_notify(pjsip_dialog *dlg, pjsip_transaction *tsx, pjsip_rx_data *notify)
{
    pjsip_tx_data *response;
    pj_str_t message;

    if (pjsip_dlg_create_response(dlg, notify, PJSIP_SC_OK, NULL, &response) == PJ_SUCCESS)
        pjsip_dlg_send_response(dlg, tsx, response);
    pj_strset(&message, notify->msg_info.msg_buf, (pj_size_t)notify->msg_info.len);
    sh_event_push(
        &(struct sh_event){.kind = SH_NOTIFY, .call_id = &dlg->call_id->id, .text2 = &message});
}

static void refer_moved_on(pjsip_dialog *dlg, pjsip_transaction *tsx, const pjsip_event *event)
{
    static const pj_str_t no_response = {"no response", 11};
    const void *attempt = tsx->mod_data[module.id];
    bool answered = event->body.tsx_state.type == PJSIP_EVENT_RX_MSG;

    if (!attempt || tsx->status_code < 200)
        return;
    tsx->mod_data[module.id] = NULL; /* one final per request */
    if (answered && attempt == &first_try &&
        (tsx->status_code == PJSIP_SC_UNAUTHORIZED ||
         tsx->status_code == PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED))
        answer_challenge(dlg, tsx, event->body.tsx_state.src.rdata);
    else
        push_final(dlg, tsx, answered ? NULL : &no_response);
}

static void on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    pjsip_dialog *dlg = pjsip_tsx_get_dlg(tsx);

    if (!dlg)
        return;
    if (tsx->role == PJSIP_ROLE_UAC)
        refer_moved_on(dlg, tsx, event);
    else if (tsx->state == PJSIP_TSX_STATE_TRYING && is_notify(&tsx->method) &&
             event->body.tsx_state.type == PJSIP_EVENT_RX_MSG)
        answer_notify(dlg, tsx, event->body.tsx_state.src.rdata);
}

/* Claim the NOTIFY; it is answered once its transaction has taken it in. */
static pj_bool_t on_rx_request(pjsip_rx_data *rdata)
{
    return is_notify(&rdata->msg_info.msg->line.req.method);
}

static pjsip_module module = {
    .name = {"switchhook-refer", 16},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1, /* before the INVITE usage */
    .on_rx_request = on_rx_request,
    .on_tsx_state = on_tsx_state,
};

pj_status_t sh_refer_register(pjsip_endpoint *endpt)
{
    return pjsip_endpt_register_module(endpt, &module);
}

pj_status_t sh_refer_send(pjsua_call_id call, const pj_str_t *refer_to, pjsip_hdr *headers)
{
    pjsip_dialog *dlg = sh_call_dialog(call);
    pjsip_tx_data *request;
    pj_status_t status;

    if (!dlg)
        return PJSIP_ESESSIONTERMINATED;
    if (!pjsip_dlg_has_usage(dlg, &module)) {
        status = pjsip_dlg_add_usage(dlg, &module, NULL);
        if (status != PJ_SUCCESS)
            return status;
    }
    status = pjsip_dlg_create_request(dlg, &refer_method, -1, &request);
    if (status != PJ_SUCCESS)
        return status;
    pjsip_msg_add_hdr(request->msg, (pjsip_hdr *)pjsip_generic_string_hdr_create(
                                        request->pool, &refer_to_name, refer_to));
    for (pjsip_hdr *header = headers->next; header != headers; header = header->next)
        pjsip_msg_add_hdr(request->msg, pjsip_hdr_clone(request->pool, header));
    return pjsip_dlg_send_request(dlg, request, module.id, &first_try);
}
