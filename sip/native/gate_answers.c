/* How the gate refuses, what it says to OPTIONS, and how often it did what. It answers without a
 * transaction: whoever is refused leaves nothing behind here.
 */
#include "gate.h"

static const char allow[] = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY";

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

void sh_gate_count(enum gate_counter counter)
{
    counters[counter]++;
}

void sh_gate_refuse(pjsip_rx_data *rdata, enum gate_counter counter, int code, const char *reason,
                    const char *header, const char *value)
{
    pjsip_hdr headers;
    pj_str_t text;

    sh_gate_count(counter);
    if (rdata->msg_info.msg->line.req.method.id == PJSIP_ACK_METHOD)
        return; /* an ACK is never answered (RFC 3261 section 17.2.7) */
    pj_list_init(&headers);
    if (header) {
        pj_str_t name = pj_str((char *)header), content = pj_str((char *)value);

        pj_list_push_back(&headers, pjsip_generic_string_hdr_create(rdata->tp_info.pool, &name,
                                                                    &content));
    }
    text = pj_str((char *)reason);
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, code, reason ? &text : NULL,
                                  &headers, NULL);
}

void sh_gate_refuse_method(pjsip_rx_data *rdata)
{
    sh_gate_refuse(rdata, REFUSED_METHOD, PJSIP_SC_METHOD_NOT_ALLOWED, NULL, "Allow", allow);
}

void sh_gate_answer_ok(pjsip_rx_data *rdata)
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
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, PJSIP_SC_OK, NULL, &headers,
                                  NULL);
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
