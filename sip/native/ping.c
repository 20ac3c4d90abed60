/* OPTIONS outside any dialog: whether a trunk's next hop is in service (RFC 3261 section 11). */
#include "native.h"

static void on_answered(void *token, pjsip_event *event)
{
    const pjsip_transaction *tsx = event->body.tsx_state.tsx;
    bool heard = event->body.tsx_state.type == PJSIP_EVENT_RX_MSG;
    pj_str_t none = {NULL, 0};

    sh_event_push(&(struct sh_event){.kind = SH_PING_ANSWERED, .call_id = &none,
                                     .number = (int)(intptr_t)token,
                                     .extra = heard ? tsx->status_code : 0,
                                     .text1 = &tsx->status_text});
}

/* SH_PING_ANSWERED tells what came of it, or that nothing did. */
pj_status_t sh_ping_send(pjsua_acc_id account, const pj_str_t *uri, int id)
{
    pjsip_endpoint *endpt = pjsua_get_pjsip_endpt();
    pjsip_tx_data *request;
    pj_status_t status;

    if (!pjsua_acc_is_valid(account))
        return PJ_EINVAL;
    status = pjsip_endpt_create_request(endpt, &pjsip_options_method, uri,
                                        &pjsua_var.acc[account].cfg.id, uri, NULL, NULL, -1, NULL,
                                        &request);
    return status == PJ_SUCCESS ? pjsip_endpt_send_request(endpt, request, -1, (void *)(intptr_t)id,
                                                           on_answered)
                                : status;
}
