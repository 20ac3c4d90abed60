/* REFER received in a dialog (RFC 3515), and SUBSCRIBE to what it makes: answered and reported on as
 * Python decides.
 *
 * Neither PJSIP's evsub nor the dialog sees such a REFER. pjsua would dial its literal Refer-To, URI
 * headers included, unless it is answered before PJSIP's callback returns; and the INVITE session
 * would take a 481 to one of our NOTIFYs for the end of the call. So the transaction of the REFER and
 * those of the NOTIFYs are our own. The dialog lends its identifiers, and is held as long as the
 * subscription lives: the referrer may have said BYE long before the verdict (RFC 5057 section 4.1).
 */
#include "native.h"

#include <pjsip-simple/evsub_msg.h>

#include <limits.h>
#include <stdlib.h>

static const pjsip_method notify_method = {PJSIP_OTHER_METHOD, {"NOTIFY", 6}};

static pjsip_module module;
static pjsip_endpoint *endpoint;

static struct sh_transfers_in *permissions;
static unsigned permission_count;

/* One REFER, from its arrival until Python closes it and no NOTIFY of ours waits for its answer. */
struct referral {
    struct referral *next;
    unsigned id;
    pjsip_dialog *dlg;
    struct sh_peer peer;
    int cseq;                /* of the REFER: the id of its subscription */
    pjsip_transaction *tsx;  /* until the REFER, or a SUBSCRIBE after it, is answered */
    pjsip_tx_data *response; /* likewise: made while the request was there to copy from */
    unsigned unanswered;     /* NOTIFYs */
    bool closed;
    bool challenged; /* a NOTIFY was: once is enough */
};

static struct referral *referrals;
static unsigned last_id;

bool sh_transfers_in_allow(pjsua_acc_id account, bool replaces)
{
    for (unsigned i = 0; i < permission_count; i++)
        if (permissions[i].account == account)
            return replaces ? permissions[i].replaces : permissions[i].refer;
    return false;
}

pj_status_t sh_transfers_in_replace(const struct sh_transfers_in *table, unsigned count)
{
    struct sh_transfers_in *copy = malloc((count ? count : 1) * sizeof *copy);

    if (!copy)
        return PJ_ENOMEM;
    memcpy(copy, table, count * sizeof *copy);
    free(permissions);
    permissions = copy;
    permission_count = count;
    return PJ_SUCCESS;
}

static struct referral *find(unsigned id)
{
    for (struct referral *each = referrals; each; each = each->next)
        if (each->id == id)
            return each;
    return NULL;
}

static void forget_if_done(struct referral *referral)
{
    if (!referral->closed || referral->unanswered)
        return;
    for (struct referral **link = &referrals; *link; link = &(*link)->next)
        if (*link == referral) {
            *link = referral->next;
            break;
        }
    pjsip_dlg_dec_session(referral->dlg, &module); /* may destroy the dialog */
    free(referral);
}

static bool cseq_is_next(pjsip_dialog *dlg, const pjsip_rx_data *rdata)
{
    int cseq = rdata->msg_info.cseq->cseq;

    if (cseq <= dlg->remote.cseq)
        return false;
    dlg->remote.cseq = cseq;
    return true;
}

static void refuse(pjsip_rx_data *rdata, int code, const char *reason)
{
    pj_str_t text = pj_str((char *)reason);

    pjsip_endpt_respond_stateless(endpoint, rdata, code, reason ? &text : NULL, NULL, NULL);
}

/* Whether there is a transaction and a response now for Python to answer with. */
static bool open_transaction(struct referral *referral, pjsip_dialog *dlg, pjsip_rx_data *rdata,
                             int code)
{
    if (!cseq_is_next(dlg, rdata)) { /* RFC 3261 section 12.2.2 */
        refuse(rdata, PJSIP_SC_INTERNAL_SERVER_ERROR, "Invalid CSeq");
        return false;
    }
    if (pjsip_tsx_create_uas2(&module, rdata, NULL, &referral->tsx) != PJ_SUCCESS) {
        refuse(rdata, PJSIP_SC_INTERNAL_SERVER_ERROR, NULL);
        return false;
    }
    pjsip_tsx_recv_msg(referral->tsx, rdata);
    if (pjsip_dlg_create_response(dlg, rdata, code, NULL, &referral->response) == PJ_SUCCESS)
        return true;
    pjsip_tsx_terminate(referral->tsx, PJSIP_SC_INTERNAL_SERVER_ERROR);
    referral->tsx = NULL;
    return false;
}

/* Take a REFER in. The caller has found its dialog, and that our peer may send it. */
void sh_referral_receive(pjsip_dialog *dlg, pjsip_rx_data *rdata)
{
    struct referral *referral = calloc(1, sizeof *referral);
    pj_str_t message;

    if (!referral || !open_transaction(referral, dlg, rdata, PJSIP_SC_ACCEPTED)) {
        free(referral);
        return;
    }
    referral->id = ++last_id;
    referral->dlg = dlg;
    referral->peer = sh_call_peer(dlg);
    referral->cseq = rdata->msg_info.cseq->cseq;
    referral->next = referrals;
    referrals = referral;
    dlg->mod_data[module.id] = &module; /* from now on: this dialog has seen a REFER */
    pjsip_dlg_inc_session(dlg, &module);
    pj_strset(&message, rdata->msg_info.msg_buf, (pj_size_t)rdata->msg_info.len);
    sh_event_push(&(struct sh_event){.kind = SH_REFER_RECEIVED, .call_id = &dlg->call_id->id,
                                     .number = (int)referral->id, .text2 = &message});
}

/* Which subscription a SUBSCRIBE means. Without an id it is the first REFER's (RFC 3515 section 2.4.6),
 * or, where that is over, the next one's. */
static struct referral *subscribed(const pjsip_dialog *dlg, const pjsip_event_hdr *event)
{
    bool any = event->id_param.slen == 0;
    int id = any ? 0 : (int)pj_strtoul(&event->id_param);
    struct referral *found = NULL;

    for (struct referral *each = referrals; each; each = each->next) /* the newest first */
        if (each->dlg == dlg && !each->closed && (any || each->cseq == id))
            found = each;
    return found;
}

static void refuse_package(pjsip_rx_data *rdata)
{
    static const pj_str_t name = {"Allow-Events", 12}, refer = {"refer", 5};
    pjsip_hdr headers;

    pj_list_init(&headers);
    pj_list_push_back(&headers,
                      pjsip_generic_string_hdr_create(rdata->tp_info.pool, &name, &refer));
    pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_BAD_EVENT, NULL, &headers, NULL);
}

/* Take a SUBSCRIBE in: a REFER's subscription is prolonged or ended by it, never made (RFC 3515 section
 * 2.4.4). False: nothing of it is served in this dialog. */
bool sh_referral_subscribe(pjsip_dialog *dlg, pjsip_rx_data *rdata)
{
    static const pj_str_t event_name = {"Event", 5}, short_name = {"o", 1};
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_event_hdr *event =
        pjsip_msg_find_hdr_by_names(msg, &event_name, &short_name, NULL);
    const pjsip_expires_hdr *expires = pjsip_msg_find_hdr(msg, PJSIP_H_EXPIRES, NULL);
    bool referred = dlg->mod_data[module.id] != NULL; /* perhaps over, and its call too */
    struct referral *referral;

    if (!referred && !sh_transfers_in_allow(sh_call_account(dlg), false))
        return false;
    if (!event || pj_stricmp2(&event->event_type, "refer") != 0) {
        refuse_package(rdata);
        return true;
    }
    referral = subscribed(dlg, event);
    if (!referral)
        refuse(rdata, referred ? PJSIP_SC_CALL_TSX_DOES_NOT_EXIST : PJSIP_SC_FORBIDDEN, NULL);
    else if (referral->tsx)
        refuse(rdata, PJSIP_SC_REQUEST_PENDING, NULL);
    else if (open_transaction(referral, dlg, rdata, PJSIP_SC_OK))
        sh_event_push(&(struct sh_event){
            .kind = SH_SUBSCRIBE_RECEIVED, .call_id = &dlg->call_id->id,
            .number = (int)referral->id,
            .extra = !expires ? -1 : expires->ivalue > INT_MAX ? INT_MAX : (int)expires->ivalue});
    return true;
}

pj_status_t sh_referral_answer(unsigned id, int code, const pj_str_t *reason, pjsip_hdr *headers)
{
    struct referral *referral = find(id);
    pjsip_tx_data *response = referral ? referral->response : NULL;
    pjsip_transaction *tsx = referral ? referral->tsx : NULL;
    pj_status_t status;

    if (!response || !tsx)
        return PJ_ENOTFOUND;
    response->msg->line.status.code = code;
    response->msg->line.status.reason = *pjsip_get_status_text(code);
    if (code < 300) /* RFC 3515 section 2.2 and RFC 6665 section 8.2 want it, PJSIP leaves it out */
        pjsip_msg_add_hdr(response->msg,
                          pjsip_hdr_clone(response->pool, referral->dlg->local.contact));
    if (reason->slen)
        pj_strdup(response->pool, &response->msg->line.status.reason, reason);
    for (pjsip_hdr *header = headers->next; header != headers; header = header->next)
        pjsip_msg_add_hdr(response->msg, pjsip_hdr_clone(response->pool, header));
    referral->response = NULL;
    referral->tsx = NULL;
    status = pjsip_tsx_send_msg(tsx, response);
    if (status != PJ_SUCCESS)
        pjsip_tx_data_dec_ref(response);
    return status;
}

static void on_notify_answered(void *token, pjsip_event *event);

/* Where PJSIP cannot send, it calls back as well, at once: with a status of its own. */
static pj_status_t send_notify(struct referral *referral, pjsip_tx_data *request)
{
    pjsip_cseq_hdr *cseq = PJSIP_MSG_CSEQ_HDR(request->msg);

    cseq->cseq = referral->dlg->local.cseq++;
    pjsip_tx_data_set_transport(request, &referral->dlg->tp_sel);
    pjsip_tx_data_invalidate_msg(request);
    referral->unanswered++;
    return pjsip_endpt_send_request(endpoint, request, -1, (void *)(uintptr_t)referral->id,
                                    on_notify_answered);
}

static bool answer_challenge(struct referral *referral, pjsip_transaction *tsx,
                             pjsip_rx_data *challenge)
{
    pjsip_tx_data *request;

    if (referral->challenged || !sh_gate_is_peer(challenge, referral->peer))
        return false;
    referral->challenged = true;
    if (pjsip_auth_clt_reinit_req(&referral->dlg->auth_sess, challenge, tsx->last_tx, &request) !=
        PJ_SUCCESS)
        return false;
    send_notify(referral, request);
    return true;
}

static void on_notify_answered(void *token, pjsip_event *event)
{
    struct referral *referral = find((unsigned)(uintptr_t)token);
    pjsip_transaction *tsx = event->body.tsx_state.tsx;
    bool challenged = tsx->status_code == PJSIP_SC_UNAUTHORIZED ||
                      tsx->status_code == PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED;

    if (!referral || !referral->unanswered)
        return;
    referral->unanswered--;
    if (challenged && event->body.tsx_state.type == PJSIP_EVENT_RX_MSG &&
        answer_challenge(referral, tsx, event->body.tsx_state.src.rdata))
        return;
    sh_event_push(&(struct sh_event){.kind = SH_NOTIFY_FINAL,
                                     .call_id = &referral->dlg->call_id->id,
                                     .number = (int)referral->id,
                                     .extra = tsx->status_code,
                                     .text1 = &tsx->status_text});
    forget_if_done(referral);
}

/* A NOTIFY with `headers`, and the status line `sipfrag` as its body (RFC 3515 section 2.4.5). */
pj_status_t sh_referral_notify(unsigned id, const pj_str_t *sipfrag, pjsip_hdr *headers)
{
    static const pj_str_t type = {"message", 7}, subtype = {"sipfrag", 7};
    static const pj_str_t version = {"version", 7}, two = {"2.0", 3};
    struct referral *referral = find(id);
    pjsip_tx_data *request;
    pjsip_param *parameter;
    pj_status_t status;

    if (!referral || referral->closed)
        return PJ_ENOTFOUND;
    status = pjsip_dlg_create_request(referral->dlg, &notify_method, -1, &request);
    if (status != PJ_SUCCESS)
        return status;
    for (pjsip_hdr *header = headers->next; header != headers; header = header->next)
        pjsip_msg_add_hdr(request->msg, pjsip_hdr_clone(request->pool, header));
    request->msg->body = pjsip_msg_body_create(request->pool, &type, &subtype, sipfrag);
    parameter = PJ_POOL_ZALLOC_T(request->pool, pjsip_param);
    parameter->name = version;
    parameter->value = two;
    pj_list_push_back(&request->msg->body->content_type.param, parameter);
    return send_notify(referral, request);
}

void sh_referral_close(unsigned id)
{
    static const pj_str_t usual = {"", 0};
    struct referral *referral = find(id);
    pjsip_hdr none;

    if (!referral || referral->closed)
        return;
    pj_list_init(&none);
    if (referral->tsx) /* what it asks came as the subscription, or the call, ended */
        sh_referral_answer(id, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, &usual, &none);
    if (referral->response)
        pjsip_tx_data_dec_ref(referral->response);
    referral->response = NULL;
    referral->closed = true;
    forget_if_done(referral);
}

static void on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    (void)event;
    if (tsx->state < PJSIP_TSX_STATE_TERMINATED)
        return;
    for (struct referral *each = referrals; each; each = each->next)
        if (each->tsx == tsx)
            each->tsx = NULL;
}

static pjsip_module module = {
    .name = {"switchhook-referral", 19},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_APPLICATION,
    .on_tsx_state = on_tsx_state,
};

pj_status_t sh_referral_register(pjsip_endpoint *endpt)
{
    endpoint = endpt;
    return pjsip_endpt_register_module(endpt, &module);
}
