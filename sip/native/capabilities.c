/* Allow and Supported say what a peer may really ask of us: PJSIP writes what it was built with.
 *
 * REFER, SUBSCRIBE to what it makes, and `replaces` stand there for a trunk that may use them (referral.c has the table), and for
 * no other: a phone that reads them offers a transfer key.
 */
#include "native.h"

static pjsip_module module;

static void leave_out(pjsip_generic_array_hdr *header, const char *name)
{
    for (unsigned i = 0; header && i < header->count; i++)
        if (pj_stricmp2(&header->values[i], name) == 0) {
            pj_array_erase(header->values, sizeof header->values[0], header->count, i);
            header->count--;
            return;
        }
}

static pjsua_acc_id account_of(const pjsip_tx_data *tdata)
{
    pjsip_dialog *dlg = tdata->mod_data[pjsip_ua_instance()->id];

    return dlg ? sh_call_account(dlg) : PJSUA_INVALID_ID;
}

static pj_status_t on_tx(pjsip_tx_data *tdata)
{
    pjsip_generic_array_hdr *allow = pjsip_msg_find_hdr(tdata->msg, PJSIP_H_ALLOW, NULL);
    pjsip_generic_array_hdr *supported = pjsip_msg_find_hdr(tdata->msg, PJSIP_H_SUPPORTED, NULL);
    pjsua_acc_id account;

    if (!allow && !supported)
        return PJ_SUCCESS;
    account = account_of(tdata);
    leave_out(allow, "MESSAGE");
    if (!sh_transfers_in_allow(account, false)) {
        leave_out(allow, "REFER");
        leave_out(allow, "SUBSCRIBE");
        leave_out(supported, "norefersub");
    }
    if (!sh_transfers_in_allow(account, true))
        leave_out(supported, "replaces");
    return PJ_SUCCESS;
}

static pjsip_module module = {
    .name = {"switchhook-capabilities", 23},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_UA_PROXY_LAYER + 1, /* before a message is printed */
    .on_tx_request = on_tx,
    .on_tx_response = on_tx,
};

pj_status_t sh_capabilities_register(pjsip_endpoint *endpt)
{
    return pjsip_endpt_register_module(endpt, &module);
}
