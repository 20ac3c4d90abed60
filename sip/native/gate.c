/* The admission gate: who may send us what, decided before a call object or an RTP socket exists.
 *
 * Two PJSIP modules. The outer one stands below the transaction layer and looks at the source and
 * the shape of a request; the inner one stands above it (retransmissions never reach it) and gives
 * a fixed answer to what the gateway does not serve. Of a request inside a dialog the outer one looks
 * at the shape only, and the inner one hands it to gate_dialog.c.
 */
#include "gate.h"

#include <stdio.h>
#include <string.h>

/* Seconds a refused peer should wait: long enough to matter, short enough to survive a restart. */
#define RETRY_AFTER 5

static const char wrong_transport[] = "Not over this transport";

/* Answers to one address outside every trunk; beyond it, silence: a scanner learns nothing from more. */
static const struct sh_rate stranger_rate = {.per_second = 5, .burst = 10};

/* Challenges to one address; whoever answers one rightly begins anew. Enough for a PBX that sets up all
 * its calls at once, and few for who guesses passwords. */
static const struct sh_rate challenge_rate = {.per_second = 20, .burst = 100};

/* Programs that nobody calls with; they get no answer, by which they would know that somebody is here. */
static const char *const scanners[] = {"friendly-scanner", "sipvicious", "sundayddr", "sipcli",
                                       "sip-scan",         "pplsip",     "VaxSIPUserAgent"};

static struct sh_bucket trunk_buckets[PJSUA_MAX_ACC];
static struct sh_rate_table source_buckets, stranger_buckets, challenge_buckets;

static bool comes_over_its_transport(const pjsip_rx_data *rdata, pjsua_acc_id account)
{
    const struct sh_trunk *trunk = sh_gate_find_trunk(account);

    return !trunk || trunk->transports & 1u << rdata->tp_info.transport->key.type;
}

static pj_bool_t in_dialog(const pjsip_rx_data *rdata)
{
    return rdata->msg_info.to && rdata->msg_info.to->tag.slen > 0;
}

static bool is_scanner(const pjsip_rx_data *rdata)
{
    static const pj_str_t name = {"User-Agent", 10};
    const pjsip_generic_string_hdr *agent =
        pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &name, NULL);

    for (size_t i = 0; agent && i < PJ_ARRAY_SIZE(scanners); i++) {
        pj_str_t scanner = pj_str((char *)scanners[i]);

        if (pj_stristr(&agent->hvalue, &scanner))
            return true;
    }
    return false;
}

static bool is_of_invite(const pjsip_rx_data *rdata)
{
    switch (rdata->msg_info.msg->line.req.method.id) {
    case PJSIP_INVITE_METHOD:
    case PJSIP_ACK_METHOD:
    case PJSIP_CANCEL_METHOD:
        return true;
    default:
        return false;
    }
}

/* Nobody's request; its source may well be forged. */
void sh_gate_turn_away(pjsip_rx_data *rdata, enum gate_counter counter, int code, const char *reason)
{
    if (sh_gate_policy()->drop_unknown)
        sh_gate_count(counter);
    else if (!sh_rate_take_for(&stranger_buckets, sh_gate_address_of(rdata), stranger_rate, sh_now()))
        sh_gate_count(REFUSED_RATE);
    else
        sh_gate_refuse(rdata, counter, code, reason, NULL, NULL);
}

static pj_bool_t outer(pjsip_rx_data *rdata)
{
    int code;
    const char *fault = sh_shape_fault(rdata, &code);
    const struct sh_source *source = sh_gate_find_source(rdata);

    sh_idle_used(rdata->tp_info.transport);
    if (fault) {
        if (source || !sh_gate_policy()->drop_unknown)
            sh_gate_refuse(rdata, REFUSED_SHAPE, code, fault, NULL, NULL);
        else
            sh_gate_count(REFUSED_SHAPE);
        return PJ_TRUE;
    }
    if (in_dialog(rdata))
        return PJ_FALSE;
    if (source) {
        if (comes_over_its_transport(rdata, source->account))
            return PJ_FALSE;
        sh_gate_turn_away(rdata, REFUSED_TRANSPORT, PJSIP_SC_FORBIDDEN, wrong_transport);
        return PJ_TRUE;
    }
    if (is_scanner(rdata)) {
        sh_gate_count(REFUSED_SCANNER);
        return PJ_TRUE;
    }
    if (sh_gate_policy()->strangers_may_answer && is_of_invite(rdata))
        return PJ_FALSE; /* a trunk is known by its digest: the inner module challenges */
    sh_gate_turn_away(rdata, REFUSED_SOURCE, PJSIP_SC_FORBIDDEN, "Unknown source");
    return PJ_TRUE;
}

static pj_bool_t has_header(const pjsip_rx_data *rdata, const char *name)
{
    pj_str_t wanted = pj_str((char *)name);

    return pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &wanted, NULL) != NULL;
}

static pj_bool_t refuse_for(pjsip_rx_data *rdata, enum gate_counter counter, const char *reason,
                            int seconds)
{
    char text[8];

    snprintf(text, sizeof text, "%d", seconds);
    sh_gate_refuse(rdata, counter, PJSIP_SC_SERVICE_UNAVAILABLE, reason, "Retry-After", text);
    return PJ_TRUE;
}

static pj_bool_t refuse_busy(pjsip_rx_data *rdata, enum gate_counter counter, const char *reason)
{
    return refuse_for(rdata, counter, reason, RETRY_AFTER);
}

static int inner_id(void);

/* Legs of a trunk, both ways; one whose BYE a dead peer does not answer is none any more. */
static unsigned legs_of(pjsua_acc_id account)
{
    unsigned legs = 0;

    for (unsigned i = 0; i < pjsua_var.ua_cfg.max_calls; i++) {
        const pjsua_call *call = &pjsua_var.calls[i];

        legs += call->inv && call->acc_id == account && !call->hanging_up;
    }
    return legs;
}

static void challenge(pjsip_rx_data *rdata, bool stale)
{
    pjsip_hdr headers;

    sh_gate_count(CHALLENGED);
    pj_list_init(&headers);
    sh_digest_challenge(rdata, stale, &headers);
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, PJSIP_SC_UNAUTHORIZED, NULL,
                                  &headers, NULL);
}

/* Whether the caller is who the trunk's digest says; the account of the trunk, by then. */
static bool authenticate(pjsip_rx_data *rdata, pjsua_acc_id *account)
{
    if (!sh_rate_take_for(&challenge_buckets, sh_gate_address_of(rdata), challenge_rate, sh_now())) {
        sh_gate_count(REFUSED_RATE);
        return false; /* and no answer */
    }
    switch (sh_digest_judge(rdata, *account, account)) {
    case SH_DIGEST_RIGHT:
        sh_rate_forget(&challenge_buckets, sh_gate_address_of(rdata));
        return true;
    case SH_DIGEST_MISSING:
        challenge(rdata, false);
        return false;
    case SH_DIGEST_STALE:
        challenge(rdata, true);
        return false;
    case SH_DIGEST_WRONG:
        break;
    }
    sh_gate_refuse(rdata, REFUSED_CREDENTIALS, PJSIP_SC_FORBIDDEN, NULL, NULL, NULL);
    return false;
}

static bool offers_encryption(const pjsip_rx_data *rdata)
{
    const pjsip_msg_body *body = rdata->msg_info.msg->body;
    const pj_str_t secure = {"RTP/SAVP", 8};
    pj_str_t text;

    if (!body || !body->data)
        return true; /* an INVITE without an offer: ours will be encrypted */
    text.ptr = body->data;
    text.slen = body->len;
    return pj_strstr(&text, &secure) != NULL;
}

/* Whether a trunk's INVITE may replace a dialog. Which one is Python's to find: the header is taken
 * out of the message, as pjsua would act on it by itself, and is still in its text. */
static bool may_replace(pjsip_rx_data *rdata, pjsua_acc_id account)
{
    static const pj_str_t replaces = {"Replaces", 8};
    pjsip_hdr *header;

    if (!sh_transfers_in_allow(account, true))
        return false;
    while ((header = pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &replaces, NULL)))
        pj_list_erase(header);
    return true;
}

static pj_bool_t inner_invite(pjsip_rx_data *rdata)
{
    const struct sh_source *source = sh_gate_find_source(rdata);
    pjsua_acc_id account = source ? source->account : PJSUA_INVALID_ID;
    const struct sh_trunk *trunk = sh_gate_find_trunk(account);
    const struct sh_gate_policy *policy = sh_gate_policy();

    if (policy->draining)
        return refuse_busy(rdata, REFUSED_DRAINING, "Draining");
    if (source && !sh_rate_take_for(&source_buckets, sh_gate_address_of(rdata), policy->per_source,
                                    sh_now()))
        return refuse_for(rdata, REFUSED_RATE, "Too many calls at once", 1);
    if (pjsua_call_get_count() >= policy->max_legs)
        return refuse_busy(rdata, REFUSED_LIMIT, "Too many calls");
    if (!source || (trunk && trunk->digest)) {
        if (!authenticate(rdata, &account))
            return PJ_TRUE;
        trunk = sh_gate_find_trunk(account);
    }
    if (!comes_over_its_transport(rdata, account)) { /* of a trunk that is known by its digest */
        sh_gate_refuse(rdata, REFUSED_TRANSPORT, PJSIP_SC_FORBIDDEN, wrong_transport, NULL, NULL);
        return PJ_TRUE;
    }
    if (sh_call_id_is_taken(&rdata->msg_info.cid->id)) {
        sh_gate_refuse(rdata, REFUSED_CALL_ID, PJSIP_SC_LOOP_DETECTED, "Call-ID Of Another Call",
                       NULL, NULL);
        return PJ_TRUE;
    }
    if (has_header(rdata, "Replaces") && !may_replace(rdata, account)) {
        sh_gate_refuse(rdata, REFUSED_TRANSFER, PJSIP_SC_FORBIDDEN, "Replaces is not allowed here",
                       NULL, NULL);
        return PJ_TRUE;
    }
    if (trunk && trunk->encrypted && !offers_encryption(rdata)) {
        sh_gate_refuse(rdata, REFUSED_UNENCRYPTED, PJSIP_SC_NOT_ACCEPTABLE_HERE, "SRTP is required",
                       NULL, NULL);
        return PJ_TRUE;
    }
    if (trunk && trunk->max_calls && legs_of(account) >= trunk->max_calls)
        return refuse_busy(rdata, REFUSED_TRUNK_LIMIT, "Too many calls of this trunk");
    if (trunk && !sh_rate_take(&trunk_buckets[account], trunk->rate, sh_now()))
        return refuse_for(rdata, REFUSED_RATE, "Too many calls of this trunk at once", 1);
    rdata->endpt_info.mod_data[inner_id()] = (void *)(intptr_t)(account + 1);
    sh_gate_count(ADMITTED);
    sh_call_choose_slot(sh_gate_address_of(rdata));
    return PJ_FALSE;
}

/* Of those that are served in one (RFC 3261 section 12.2.2, for NOTIFY RFC 6665 section 4.1.3). */
static bool belongs_to_a_dialog(const pjsip_rx_data *rdata)
{
    static const char *const methods[] = {"BYE", "UPDATE", "PRACK", "INFO", "NOTIFY", NULL};

    return sh_gate_method_among(rdata, methods);
}

static pj_bool_t inner_new_request(pjsip_rx_data *rdata)
{
    switch (rdata->msg_info.msg->line.req.method.id) {
    case PJSIP_INVITE_METHOD:
        return inner_invite(rdata);
    case PJSIP_OPTIONS_METHOD:
        if (sh_gate_policy()->draining)
            return refuse_busy(rdata, REFUSED_DRAINING, "Draining");
        sh_gate_answer_ok(rdata);
        return PJ_TRUE;
    case PJSIP_ACK_METHOD:
    case PJSIP_CANCEL_METHOD:
        return PJ_FALSE;
    default:
        if (belongs_to_a_dialog(rdata))
            sh_gate_refuse(rdata, REFUSED_METHOD, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL, NULL, NULL);
        else
            sh_gate_refuse_method(rdata);
        return PJ_TRUE;
    }
}

static pj_bool_t inner(pjsip_rx_data *rdata)
{
    return in_dialog(rdata) ? sh_gate_request_in_dialog(rdata) : inner_new_request(rdata);
}

static pjsip_module outer_module = {
    .name = {"switchhook-gate-outer", 21},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 2,
    .on_rx_request = outer,
};

static pjsip_module inner_module = {
    .name = {"switchhook-gate-inner", 21},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_UA_PROXY_LAYER - 1,
    .on_rx_request = inner,
};

static int inner_id(void)
{
    return inner_module.id;
}

/* The account, and with it the trunk, is the one that the call was admitted for. PJSIP asks this right
 * before it opens the call's RTP sockets. */
static void account_as_admitted(const pjsip_rx_data *rdata, pjsua_acc_id *account)
{
    intptr_t admitted = (intptr_t)rdata->endpt_info.mod_data[inner_module.id];

    if (admitted)
        *account = (pjsua_acc_id)(admitted - 1);
    sh_rtp_port_choose(*account);
}

pj_status_t sh_gate_register(pjsip_endpoint *endpt)
{
    pj_status_t status;

    memset(trunk_buckets, 0, sizeof trunk_buckets);
    sh_rate_forget_all(&source_buckets);
    sh_rate_forget_all(&stranger_buckets);
    sh_rate_forget_all(&challenge_buckets);
    pjsua_var.ua_cfg.cb.on_acc_find_for_incoming = account_as_admitted;
    status = pjsip_endpt_register_module(endpt, &outer_module);
    if (status == PJ_SUCCESS)
        status = pjsip_endpt_register_module(endpt, &inner_module);
    return status;
}
