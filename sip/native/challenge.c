/* Which challenges to a request of ours are answered.
 *
 * PJSIP shows its credentials again to whoever refuses them with a new nonce, three times over: a
 * provider counts that as guessing. And of several challenges for one realm, the strongest first (RFC
 * 8760 section 2.4), it answers the last. So it gets to see neither.
 */
#include "native.h"

static bool is_challenge(const pjsip_hdr *hdr)
{
    return hdr->type == PJSIP_H_WWW_AUTHENTICATE || hdr->type == PJSIP_H_PROXY_AUTHENTICATE;
}

static const pjsip_msg *request_of(pjsip_rx_data *response)
{
    pjsip_transaction *tsx;
    pj_str_t key;

    if (pjsip_tsx_create_key(response->tp_info.pool, &key, PJSIP_ROLE_UAC,
                             &response->msg_info.cseq->method, response) != PJ_SUCCESS)
        return NULL;
    tsx = pjsip_tsx_layer_find_tsx(&key, PJ_FALSE);
    return tsx && tsx->last_tx ? tsx->last_tx->msg : NULL;
}

static bool same_realm(const pj_str_t *one, const pj_str_t *other)
{
    return pj_stricmp(one, other) == 0;
}

/* RFC 3261 section 22.2: not twice, unless the nonce alone was too old (RFC 7616 section 3.3). */
static bool was_answered(const pjsip_msg *request, const pjsip_www_authenticate_hdr *challenge)
{
    pjsip_hdr_e type = challenge->type == PJSIP_H_WWW_AUTHENTICATE ? PJSIP_H_AUTHORIZATION
                                                                   : PJSIP_H_PROXY_AUTHORIZATION;
    const pjsip_hdr *hdr = &request->hdr;

    if (challenge->challenge.digest.stale)
        return false;
    while ((hdr = pjsip_msg_find_hdr(request, type, hdr->next))) {
        const pjsip_authorization_hdr *shown = (const pjsip_authorization_hdr *)hdr;

        if (same_realm(&shown->credential.digest.realm, &challenge->challenge.digest.realm) &&
            shown->credential.digest.response.slen)
            return true;
    }
    return false;
}

static bool is_known(const pjsip_www_authenticate_hdr *challenge)
{
    const pjsip_auth_algorithm *algorithm;

    if (pj_stricmp(&challenge->scheme, &pjsip_DIGEST_STR) != 0)
        return false;
    algorithm = pjsip_auth_get_algorithm_by_iana_name(&challenge->challenge.digest.algorithm);
    return algorithm && pjsip_auth_is_algorithm_supported(algorithm->algorithm_type);
}

/* Whether an earlier one of the same response asks for the same realm. */
static bool is_second(const pjsip_msg *response, const pjsip_www_authenticate_hdr *challenge)
{
    for (const pjsip_hdr *hdr = response->hdr.next; hdr != (const pjsip_hdr *)challenge;
         hdr = hdr->next) {
        const pjsip_www_authenticate_hdr *earlier = (const pjsip_www_authenticate_hdr *)hdr;

        if (hdr->type == challenge->type &&
            same_realm(&earlier->challenge.digest.realm, &challenge->challenge.digest.realm))
            return true;
    }
    return false;
}

static pj_bool_t on_response(pjsip_rx_data *rdata)
{
    pjsip_msg *response = rdata->msg_info.msg;
    const pjsip_msg *request;

    if (response->line.status.code != PJSIP_SC_UNAUTHORIZED &&
        response->line.status.code != PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED)
        return PJ_FALSE;
    request = request_of(rdata);
    for (pjsip_hdr *hdr = response->hdr.next, *next; hdr != &response->hdr; hdr = next) {
        const pjsip_www_authenticate_hdr *challenge = (const pjsip_www_authenticate_hdr *)hdr;

        next = hdr->next;
        if (is_challenge(hdr) && (!is_known(challenge) || is_second(response, challenge) ||
                                  (request && was_answered(request, challenge))))
            pj_list_erase(hdr);
    }
    return PJ_FALSE;
}

static pjsip_module module = {
    .name = {"switchhook-challenge", 20},
    .id = -1,
    .priority = PJSIP_MOD_PRIORITY_TSX_LAYER - 1, /* above wire.c, which keeps the whole response */
    .on_rx_response = on_response,
};

pj_status_t sh_challenge_register(pjsip_endpoint *endpt)
{
    return pjsip_endpt_register_module(endpt, &module);
}
