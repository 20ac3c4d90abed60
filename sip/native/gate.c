/* The admission gate: who may send us what, decided before a call object or an RTP socket exists.
 *
 * Two PJSIP modules. The outer one stands below the transaction layer and looks at the source and
 * the shape of a request; the inner one stands above it (retransmissions never reach it) and gives
 * a fixed answer to what the gateway does not serve. A request inside a dialog has proved itself
 * by the dialog's tags; only its shape is looked at.
 */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds a refused peer should wait: long enough to matter, short enough to survive a restart. */
#define RETRY_AFTER 5

static const char allow[] = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY";

static const char wrong_transport[] = "Not over this transport";

/* Answers to one address outside every trunk; beyond it, silence: a scanner learns nothing from more. */
static const struct sh_rate stranger_rate = {.per_second = 5, .burst = 10};

/* Challenges to one address; whoever answers one rightly begins anew. Enough for a PBX that sets up all
 * its calls at once, and few for who guesses passwords. */
static const struct sh_rate challenge_rate = {.per_second = 20, .burst = 100};

/* Programs that nobody calls with; they get no answer, by which they would know that somebody is here. */
static const char *const scanners[] = {"friendly-scanner", "sipvicious", "sundayddr", "sipcli",
                                       "sip-scan",         "pplsip",     "VaxSIPUserAgent"};

enum counter {
    ADMITTED,
    CHALLENGED,
    REFUSED_SOURCE,
    REFUSED_TRANSPORT,
    REFUSED_SCANNER,
    REFUSED_CREDENTIALS,
    REFUSED_RATE,
    REFUSED_TRUNK_LIMIT,
    REFUSED_UNENCRYPTED,
    REFUSED_SHAPE,
    REFUSED_METHOD,
    REFUSED_DRAINING,
    REFUSED_LIMIT,
    REFUSED_TRANSFER,
    REFUSED_CALL_ID,
    COUNTERS
};
static const char *const counter_names[COUNTERS] = {
    "admitted",
    "challenged",
    "refused_source",
    "refused_transport",
    "refused_scanner",
    "refused_credentials",
    "refused_rate",
    "refused_trunk_limit",
    "refused_unencrypted",
    "refused_shape",
    "refused_method",
    "refused_draining",
    "refused_limit",
    "refused_transfer",
    "refused_call_id"};
static uint64_t counters[COUNTERS];

static struct sh_gate_tables tables;
static struct sh_bucket trunk_buckets[PJSUA_MAX_ACC];
static struct sh_rate_table source_buckets, stranger_buckets, challenge_buckets;
static pjsip_endpoint *endpoint;

static uint32_t address_of(const pjsip_rx_data *rdata)
{
    return pj_ntohl(rdata->pkt_info.src_addr.ipv4.sin_addr.s_addr);
}

static const struct sh_source *find_source(const pjsip_rx_data *rdata)
{
    uint32_t address = address_of(rdata);

    if (rdata->pkt_info.src_addr.addr.sa_family != pj_AF_INET())
        return NULL;
    for (unsigned i = 0; i < tables.source_count; i++)
        if ((address & tables.sources[i].mask) == tables.sources[i].network)
            return &tables.sources[i];
    return NULL;
}

static const struct sh_trunk *find_trunk(pjsua_acc_id account)
{
    for (unsigned i = 0; i < tables.trunk_count; i++)
        if (tables.trunks[i].account == account)
            return &tables.trunks[i];
    return NULL;
}

static bool comes_over_its_transport(const pjsip_rx_data *rdata, pjsua_acc_id account)
{
    const struct sh_trunk *trunk = find_trunk(account);

    return !trunk || trunk->transports & 1u << rdata->tp_info.transport->key.type;
}

/* Whether a message came from the peer of a call: from its trunk's networks, or from the very address
 * that the call was agreed with. A trunk that is known by its digest has no networks; the address that
 * its INVITE came from has proved itself, as a nonce is good for one address. */
bool sh_gate_is_peer(const pjsip_rx_data *rdata, struct sh_peer peer)
{
    const struct sh_source *source = find_source(rdata);

    return (source && source->account == peer.account) ||
           (peer.address && rdata->pkt_info.src_addr.addr.sa_family == pj_AF_INET() &&
            address_of(rdata) == peer.address);
}

static void refuse(pjsip_rx_data *rdata, enum counter counter, int code, const char *reason,
                   const char *header, const char *value)
{
    pjsip_hdr headers;
    pj_str_t text;

    counters[counter]++;
    if (rdata->msg_info.msg->line.req.method.id == PJSIP_ACK_METHOD)
        return; /* an ACK is never answered (RFC 3261 section 17.2.7) */
    pj_list_init(&headers);
    if (header) {
        pj_str_t name = pj_str((char *)header), content = pj_str((char *)value);

        pj_list_push_back(&headers, pjsip_generic_string_hdr_create(rdata->tp_info.pool, &name,
                                                                    &content));
    }
    text = pj_str((char *)reason);
    pjsip_endpt_respond_stateless(endpoint, rdata, code, reason ? &text : NULL, &headers, NULL);
}

static void answer_ok(pjsip_rx_data *rdata)
{
    static const struct { const char *name, *value; } lines[] = {
        {"Allow", allow}, {"Accept", "application/sdp"}, {"Supported", "100rel, timer"}};
    pjsip_hdr headers;

    pj_list_init(&headers);
    for (size_t i = 0; i < PJ_ARRAY_SIZE(lines); i++) {
        pj_str_t name = pj_str((char *)lines[i].name), value = pj_str((char *)lines[i].value);

        pj_list_push_back(&headers, pjsip_generic_string_hdr_create(rdata->tp_info.pool, &name,
                                                                    &value));
    }
    pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_OK, NULL, &headers, NULL);
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
static void turn_away(pjsip_rx_data *rdata, enum counter counter, int code, const char *reason)
{
    if (tables.policy.drop_unknown)
        counters[counter]++;
    else if (!sh_rate_take_for(&stranger_buckets, address_of(rdata), stranger_rate, sh_now()))
        counters[REFUSED_RATE]++;
    else
        refuse(rdata, counter, code, reason, NULL, NULL);
}

static pj_bool_t outer(pjsip_rx_data *rdata)
{
    int code;
    const char *fault = sh_shape_fault(rdata, &code);
    const struct sh_source *source = find_source(rdata);

    sh_idle_used(rdata->tp_info.transport);
    if (fault) {
        if (source || !tables.policy.drop_unknown)
            refuse(rdata, REFUSED_SHAPE, code, fault, NULL, NULL);
        else
            counters[REFUSED_SHAPE]++;
        return PJ_TRUE;
    }
    if (in_dialog(rdata))
        return PJ_FALSE;
    if (source) {
        if (comes_over_its_transport(rdata, source->account))
            return PJ_FALSE;
        turn_away(rdata, REFUSED_TRANSPORT, PJSIP_SC_FORBIDDEN, wrong_transport);
        return PJ_TRUE;
    }
    if (is_scanner(rdata)) {
        counters[REFUSED_SCANNER]++;
        return PJ_TRUE;
    }
    if (tables.policy.strangers_may_answer && is_of_invite(rdata))
        return PJ_FALSE; /* a trunk is known by its digest: the inner module challenges */
    turn_away(rdata, REFUSED_SOURCE, PJSIP_SC_FORBIDDEN, "Unknown source");
    return PJ_TRUE;
}

static pj_bool_t has_header(const pjsip_rx_data *rdata, const char *name)
{
    pj_str_t wanted = pj_str((char *)name);

    return pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &wanted, NULL) != NULL;
}

static pj_bool_t method_is(const pjsip_rx_data *rdata, const char *name)
{
    return pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, name) == 0;
}

static pj_bool_t refuse_for(pjsip_rx_data *rdata, enum counter counter, const char *reason,
                            int seconds)
{
    char text[8];

    snprintf(text, sizeof text, "%d", seconds);
    refuse(rdata, counter, PJSIP_SC_SERVICE_UNAVAILABLE, reason, "Retry-After", text);
    return PJ_TRUE;
}

static pj_bool_t refuse_busy(pjsip_rx_data *rdata, enum counter counter, const char *reason)
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

    counters[CHALLENGED]++;
    pj_list_init(&headers);
    sh_digest_challenge(rdata, stale, &headers);
    pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_UNAUTHORIZED, NULL, &headers, NULL);
}

/* Whether the caller is who the trunk's digest says; the account of the trunk, by then. */
static bool authenticate(pjsip_rx_data *rdata, pjsua_acc_id *account)
{
    if (!sh_rate_take_for(&challenge_buckets, address_of(rdata), challenge_rate, sh_now())) {
        counters[REFUSED_RATE]++;
        return false; /* and no answer */
    }
    switch (sh_digest_judge(rdata, *account, account)) {
    case SH_DIGEST_RIGHT:
        sh_rate_forget(&challenge_buckets, address_of(rdata));
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
    refuse(rdata, REFUSED_CREDENTIALS, PJSIP_SC_FORBIDDEN, NULL, NULL, NULL);
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
    const struct sh_source *source = find_source(rdata);
    pjsua_acc_id account = source ? source->account : PJSUA_INVALID_ID;
    const struct sh_trunk *trunk = find_trunk(account);

    if (tables.policy.draining)
        return refuse_busy(rdata, REFUSED_DRAINING, "Draining");
    if (source && !sh_rate_take_for(&source_buckets, address_of(rdata), tables.policy.per_source,
                                    sh_now()))
        return refuse_for(rdata, REFUSED_RATE, "Too many calls at once", 1);
    if (pjsua_call_get_count() >= tables.policy.max_legs)
        return refuse_busy(rdata, REFUSED_LIMIT, "Too many calls");
    if (!source || (trunk && trunk->digest)) {
        if (!authenticate(rdata, &account))
            return PJ_TRUE;
        trunk = find_trunk(account);
    }
    if (!comes_over_its_transport(rdata, account)) { /* of a trunk that is known by its digest */
        refuse(rdata, REFUSED_TRANSPORT, PJSIP_SC_FORBIDDEN, wrong_transport, NULL, NULL);
        return PJ_TRUE;
    }
    if (sh_call_id_is_taken(&rdata->msg_info.cid->id)) {
        refuse(rdata, REFUSED_CALL_ID, PJSIP_SC_LOOP_DETECTED, "Call-ID Of Another Call", NULL, NULL);
        return PJ_TRUE;
    }
    if (has_header(rdata, "Replaces") && !may_replace(rdata, account)) {
        refuse(rdata, REFUSED_TRANSFER, PJSIP_SC_FORBIDDEN, "Replaces is not allowed here", NULL,
               NULL);
        return PJ_TRUE;
    }
    if (trunk && trunk->encrypted && !offers_encryption(rdata)) {
        refuse(rdata, REFUSED_UNENCRYPTED, PJSIP_SC_NOT_ACCEPTABLE_HERE, "SRTP is required", NULL,
               NULL);
        return PJ_TRUE;
    }
    if (trunk && trunk->max_calls && legs_of(account) >= trunk->max_calls)
        return refuse_busy(rdata, REFUSED_TRUNK_LIMIT, "Too many calls of this trunk");
    if (trunk && !sh_rate_take(&trunk_buckets[account], trunk->rate, sh_now()))
        return refuse_for(rdata, REFUSED_RATE, "Too many calls of this trunk at once", 1);
    rdata->endpt_info.mod_data[inner_id()] = (void *)(intptr_t)(account + 1);
    counters[ADMITTED]++;
    sh_call_choose_slot(address_of(rdata));
    return PJ_FALSE;
}

static pj_bool_t inner_new_request(pjsip_rx_data *rdata)
{
    switch (rdata->msg_info.msg->line.req.method.id) {
    case PJSIP_INVITE_METHOD:
        return inner_invite(rdata);
    case PJSIP_OPTIONS_METHOD:
        if (tables.policy.draining)
            return refuse_busy(rdata, REFUSED_DRAINING, "Draining");
        answer_ok(rdata);
        return PJ_TRUE;
    case PJSIP_ACK_METHOD:
    case PJSIP_CANCEL_METHOD:
    case PJSIP_BYE_METHOD:
        return PJ_FALSE;
    default:
        if (method_is(rdata, "NOTIFY")) /* of a subscription that is not ours (RFC 6665 4.1.3) */
            refuse(rdata, REFUSED_METHOD, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL, NULL, NULL);
        else
            refuse(rdata, REFUSED_METHOD, PJSIP_SC_METHOD_NOT_ALLOWED, NULL, "Allow", allow);
        return PJ_TRUE;
    }
}

/* INFO carries DTMF; an empty one is a keep-alive (RFC 6086 section 4.2.2 asks 200 for it). */
static pj_bool_t inner_info(pjsip_rx_data *rdata)
{
    const pjsip_msg_body *body = rdata->msg_info.msg->body;

    if (!body) {
        pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_OK, NULL, NULL, NULL);
        return PJ_TRUE;
    }
    if (pj_stricmp2(&body->content_type.type, "application") == 0 &&
        (pj_stricmp2(&body->content_type.subtype, "dtmf-relay") == 0 ||
         pj_stricmp2(&body->content_type.subtype, "dtmf") == 0))
        return PJ_FALSE;
    refuse(rdata, REFUSED_METHOD, PJSIP_SC_UNSUPPORTED_MEDIA_TYPE, NULL, "Accept",
           "application/dtmf-relay");
    return PJ_TRUE;
}

/* Methods are told apart by case (RFC 3261 section 7.1), but not by PJSIP: it would take a `rEFER` for
 * the REFER that was decided here. */
static bool is_served(const pjsip_rx_data *rdata)
{
    static const char *const served[] = {"INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "NOTIFY"};

    for (size_t i = 0; i < PJ_ARRAY_SIZE(served); i++)
        if (method_is(rdata, served[i]))
            return true;
    return false;
}

/* A dialog outlives its call until the last transaction is over. PJSIP would take an offer for it
 * and never answer (RFC 3261 section 12.2.2). */
static bool comes_after_the_end(pjsip_rx_data *rdata, pjsip_dialog *dlg)
{
    const pjsip_inv_session *inv;

    if (!method_is(rdata, "INVITE") && !method_is(rdata, "UPDATE"))
        return false;
    inv = pjsip_dlg_get_inv_session(dlg);
    return !inv || inv->state == PJSIP_INV_STATE_DISCONNECTED;
}

static pj_bool_t no_such_dialog(pjsip_rx_data *rdata)
{
    pjsip_endpt_respond_stateless(endpoint, rdata, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL, NULL, NULL);
    return PJ_TRUE;
}

/* PJSIP goes by the tags alone: with another Call-ID, a REFER that nobody has looked at would be
 * followed (RFC 3261 section 12.2.2 asks 481 for it). A CANCEL is matched by its transaction. A tag that
 * is invented makes no friend of a stranger. */
static pj_bool_t outside_its_dialog(pjsip_rx_data *rdata)
{
    if (method_is(rdata, "CANCEL"))
        return PJ_FALSE;
    if (method_is(rdata, "ACK")) /* of a refusal, mostly */
        return PJ_TRUE;
    if (!find_source(rdata)) {
        turn_away(rdata, REFUSED_SOURCE, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, NULL);
        return PJ_TRUE;
    }
    return no_such_dialog(rdata);
}

static pj_bool_t inner(pjsip_rx_data *rdata)
{
    pjsip_dialog *dlg;

    if (!in_dialog(rdata))
        return inner_new_request(rdata);
    dlg = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                               &rdata->msg_info.from->tag, PJ_FALSE);
    if (!dlg)
        return outside_its_dialog(rdata);
    if (comes_after_the_end(rdata, dlg))
        return no_such_dialog(rdata);
    if (method_is(rdata, "REFER")) {
        if (sh_transfers_in_allow(sh_call_account(dlg), false)) {
            sh_referral_receive(dlg, rdata);
            return PJ_TRUE;
        }
        refuse(rdata, REFUSED_TRANSFER, PJSIP_SC_DECLINE, "Transfer is not allowed here", NULL,
               NULL);
        return PJ_TRUE;
    }
    if (method_is(rdata, "SUBSCRIBE") && sh_referral_subscribe(dlg, rdata))
        return PJ_TRUE;
    if (method_is(rdata, "OPTIONS")) {
        answer_ok(rdata);
        return PJ_TRUE;
    }
    if (method_is(rdata, "INFO"))
        return inner_info(rdata);
    if (!is_served(rdata)) {
        refuse(rdata, REFUSED_METHOD, PJSIP_SC_METHOD_NOT_ALLOWED, NULL, "Allow", allow);
        return PJ_TRUE;
    }
    return PJ_FALSE;
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

    endpoint = endpt;
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

static void *copy_of(const void *rows, size_t size)
{
    void *copy = malloc(size ? size : 1);

    if (copy)
        memcpy(copy, rows, size);
    return copy;
}

/* All at once, so that no request meets half of two configurations. Buckets stay as full as they are. */
pj_status_t sh_gate_replace(const struct sh_gate_tables *from)
{
    struct sh_gate_tables fresh = *from;

    fresh.sources = copy_of(from->sources, from->source_count * sizeof *from->sources);
    fresh.trunks = copy_of(from->trunks, from->trunk_count * sizeof *from->trunks);
    if (!fresh.sources || !fresh.trunks) {
        free(fresh.sources);
        free(fresh.trunks);
        return PJ_ENOMEM;
    }
    free(tables.sources);
    free(tables.trunks);
    tables = fresh;
    return PJ_SUCCESS;
}

PyObject *sh_gate_counters(void)
{
    PyObject *dict = PyDict_New();

    for (int i = 0; dict && i < COUNTERS; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(counters[i]);

        if (!value || PyDict_SetItemString(dict, counter_names[i], value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}
