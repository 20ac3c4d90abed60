/* Digest access authentication of those who call us (RFC 3261 section 22, RFC 8760).
 *
 * A challenge leaves no state: its nonce says when it was made and for which address, under a key that
 * nobody else has. What is remembered is which counts of an accepted nonce were used, so that a request
 * that was overheard is worth nothing when it is sent again.
 */
#include "native.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds that a nonce is good for: an answer to a challenge takes one round trip, and a peer that
 * goes on with the same nonce saves one each time. */
#define NONCE_LIFETIME 60

/* Accepted nonces remembered. Should more be in use, the oldest one's age is where `stale` begins. */
#define MAX_USED 4096

#define STAMP_CHARS 8
#define SALT_CHARS 16
#define MAC_CHARS 32
#define NONCE_CHARS (STAMP_CHARS + SALT_CHARS + MAC_CHARS)

static struct sh_credential *credentials;
static unsigned credential_count;
static char *realm;

static unsigned char secret[32];
static bool has_secret;

static struct {
    uint64_t salt;
    uint32_t made, highest; /* the highest count seen */
    uint64_t seen;          /* bit n: highest - n */
} used[MAX_USED];
static unsigned used_next;
static uint32_t horizon; /* nonces made until then are not remembered any more */

static void hex(char *to, const unsigned char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        snprintf(to + 2 * i, 3, "%02x", from[i]);
}

static void free_credentials(struct sh_credential *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free((char *)list[i].username);
        free((char *)list[i].md5);
        free((char *)list[i].sha256);
    }
    free(list);
}

pj_status_t sh_digest_replace(const char *new_realm, const struct sh_credential *list, unsigned count)
{
    struct sh_credential *fresh = calloc(count ? count : 1, sizeof *fresh);
    char *realm_copy = strdup(new_realm);
    bool good = fresh && realm_copy;

    if (!has_secret)
        has_secret = RAND_bytes(secret, sizeof secret) == 1;
    good = good && has_secret;
    for (unsigned i = 0; good && i < count; i++) {
        fresh[i] = list[i];
        fresh[i].username = strdup(list[i].username);
        fresh[i].md5 = strdup(list[i].md5);
        fresh[i].sha256 = strdup(list[i].sha256);
        good = fresh[i].username && fresh[i].md5 && fresh[i].sha256;
    }
    if (!good) {
        if (fresh)
            free_credentials(fresh, count);
        free(realm_copy);
        return PJ_ENOMEM;
    }
    free_credentials(credentials, credential_count);
    free(realm);
    credentials = fresh;
    credential_count = count;
    realm = realm_copy;
    return PJ_SUCCESS;
}

/* The last part of a nonce, for its first two parts and the address it was made for. */
static void seal(const char *head, const char *address, char *mac)
{
    unsigned char text[STAMP_CHARS + SALT_CHARS + PJ_INET6_ADDRSTRLEN], digest[EVP_MAX_MD_SIZE];
    size_t length = strlen(address);
    unsigned digest_length;

    memcpy(text, head, STAMP_CHARS + SALT_CHARS);
    memcpy(text + STAMP_CHARS + SALT_CHARS, address, length);
    HMAC(EVP_sha256(), secret, sizeof secret, text, STAMP_CHARS + SALT_CHARS + length, digest,
         &digest_length);
    hex(mac, digest, MAC_CHARS / 2);
}

static void make_nonce(char *nonce, const char *address)
{
    unsigned char salt[SALT_CHARS / 2];

    RAND_bytes(salt, sizeof salt);
    snprintf(nonce, STAMP_CHARS + 1, "%08x", (unsigned)sh_now());
    hex(nonce + STAMP_CHARS, salt, sizeof salt);
    seal(nonce, address, nonce + STAMP_CHARS + SALT_CHARS);
}

static uint64_t number(const char *text, size_t chars, int base)
{
    char copy[SALT_CHARS + 1];

    memcpy(copy, text, chars);
    copy[chars] = '\0';
    return strtoull(copy, NULL, base);
}

static bool nonce_is_ours(const pj_str_t *nonce, const char *address)
{
    char mac[MAC_CHARS + 1];

    if (nonce->slen != NONCE_CHARS)
        return false;
    seal(nonce->ptr, address, mac);
    return CRYPTO_memcmp(mac, nonce->ptr + STAMP_CHARS + SALT_CHARS, MAC_CHARS) == 0;
}

/* Whether this nonce and count were not used before; they are from now on. Without `qop` there is no
 * count, and a nonce is good for once. */
static bool use_nonce(const pj_str_t *nonce, const pj_str_t *nonce_count)
{
    uint32_t made = (uint32_t)number(nonce->ptr, STAMP_CHARS, 16), count = 0, behind;
    uint64_t salt = number(nonce->ptr + STAMP_CHARS, SALT_CHARS, 16);
    unsigned i = 0;

    if (nonce_count->slen > 0 && nonce_count->slen <= SALT_CHARS)
        count = (uint32_t)number(nonce_count->ptr, (size_t)nonce_count->slen, 16);
    if (made <= horizon || (uint32_t)sh_now() - made > NONCE_LIFETIME)
        return false;
    while (i < MAX_USED && (used[i].salt != salt || used[i].made != made))
        i++;
    if (i == MAX_USED) {
        i = used_next++ % MAX_USED;
        if (used[i].made && (uint32_t)sh_now() - used[i].made <= NONCE_LIFETIME &&
            used[i].made > horizon)
            horizon = used[i].made;
        used[i].salt = salt;
        used[i].made = made;
        used[i].highest = count;
        used[i].seen = 1;
        return made > horizon;
    }
    if (count > used[i].highest) {
        behind = count - used[i].highest;
        used[i].seen = behind < 64 ? used[i].seen << behind | 1 : 1;
        used[i].highest = count;
        return true;
    }
    behind = used[i].highest - count;
    if (behind >= 64 || used[i].seen >> behind & 1)
        return false;
    used[i].seen |= UINT64_C(1) << behind;
    return true;
}

static const pjsip_authorization_hdr *authorization(const pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_authorization_hdr *header = pjsip_msg_find_hdr(msg, PJSIP_H_AUTHORIZATION, NULL);

    while (header) {
        if (pj_stricmp2(&header->scheme, "digest") == 0 && realm &&
            pj_strcmp2(&header->credential.digest.realm, realm) == 0)
            return header;
        if (header->next == (void *)&msg->hdr)
            return NULL;
        header = pjsip_msg_find_hdr(msg, PJSIP_H_AUTHORIZATION, header->next);
    }
    return NULL;
}

static bool response_is_right(const pjsip_rx_data *rdata, const pjsip_digest_credential *answer,
                              const struct sh_credential *credential)
{
    const pjsip_auth_algorithm *algorithm = pjsip_auth_get_algorithm_by_iana_name(&answer->algorithm);
    char expected[PJSIP_AUTH_MAX_DIGEST_BUFFER_LENGTH * 2];
    pj_str_t result = {expected, sizeof expected}, realm_str = pj_str(realm);
    pjsip_cred_info known = {0};
    bool counted = answer->qop.slen > 0;

    if (!algorithm || (counted && (pj_stricmp2(&answer->qop, "auth") != 0 || !answer->nc.slen ||
                                   !answer->cnonce.slen)))
        return false;
    if (algorithm->algorithm_type == PJSIP_AUTH_ALGORITHM_MD5)
        known.data = pj_str((char *)credential->md5);
    else if (algorithm->algorithm_type == PJSIP_AUTH_ALGORITHM_SHA256)
        known.data = pj_str((char *)credential->sha256);
    else
        return false;
    known.data_type = PJSIP_CRED_DATA_DIGEST;
    known.algorithm_type = algorithm->algorithm_type;
    known.username = answer->username;
    known.realm = realm_str;
    return pjsip_auth_create_digest2(&result, &answer->nonce, counted ? &answer->nc : NULL,
                                     counted ? &answer->cnonce : NULL,
                                     counted ? &answer->qop : NULL, &answer->uri, &realm_str, &known,
                                     &rdata->msg_info.msg->line.req.method.name,
                                     algorithm->algorithm_type) == PJ_SUCCESS &&
           result.slen == answer->response.slen &&
           pj_strnicmp(&result, &answer->response, (pj_size_t)result.slen) == 0;
}

static pj_str_t user_of(pj_str_t uri)
{
    const char *colon = pj_strchr(&uri, ':'), *at = pj_strchr(&uri, '@');
    pj_str_t none = {"", 0}, user;

    if (!colon || !at || at < colon)
        return none;
    user.ptr = (char *)colon + 1;
    user.slen = at - user.ptr;
    return user;
}

/* The answer counts for the number it was made for. Host and parameters are left alone: proxies change
 * them, and so do some user agents. */
static bool number_is_the_same(const pjsip_rx_data *rdata, const pj_str_t *uri)
{
    char text[PJSIP_MAX_URL_SIZE];
    int length = pjsip_uri_print(PJSIP_URI_IN_REQ_URI, rdata->msg_info.msg->line.req.uri, text,
                                 sizeof text);
    pj_str_t asked = user_of((pj_str_t){text, length > 0 ? length : 0}), answered = user_of(*uri);

    return pj_strcmp(&asked, &answered) == 0;
}

/* `account`: the trunk that the source has; -1: none, and the username selects it. */
enum sh_digest_verdict sh_digest_judge(const pjsip_rx_data *rdata, pjsua_acc_id account,
                                       pjsua_acc_id *authenticated)
{
    const pjsip_authorization_hdr *header = authorization(rdata);
    const pjsip_digest_credential *answer;

    if (!header)
        return SH_DIGEST_MISSING;
    answer = &header->credential.digest;
    if (!nonce_is_ours(&answer->nonce, rdata->pkt_info.src_name))
        return SH_DIGEST_STALE; /* of another process of ours, or from another address */
    for (unsigned i = 0; i < credential_count; i++) {
        const struct sh_credential *each = &credentials[i];

        if ((account == each->account || (account < 0 && each->from_anywhere)) &&
            pj_strcmp2(&answer->username, each->username) == 0 &&
            response_is_right(rdata, answer, each)) {
            if (!number_is_the_same(rdata, &answer->uri))
                return SH_DIGEST_WRONG;
            if (!use_nonce(&answer->nonce, &answer->nc))
                return SH_DIGEST_STALE;
            *authenticated = each->account;
            return SH_DIGEST_RIGHT;
        }
    }
    return SH_DIGEST_WRONG;
}

static pjsip_hdr *challenge(pj_pool_t *pool, const char *algorithm, const char *nonce, bool stale)
{
    pjsip_www_authenticate_hdr *header = pjsip_www_authenticate_hdr_create(pool);
    pjsip_digest_challenge *digest = &header->challenge.digest;

    header->scheme = pj_str("Digest");
    pj_strdup2(pool, &digest->realm, realm);
    pj_strdup2(pool, &digest->nonce, nonce);
    digest->algorithm = pj_str((char *)algorithm);
    digest->qop = pj_str("auth");
    digest->stale = stale;
    return (pjsip_hdr *)header;
}

/* The stronger one first (RFC 8760 section 2.4). */
void sh_digest_challenge(const pjsip_rx_data *rdata, bool stale, pjsip_hdr *headers)
{
    pj_pool_t *pool = rdata->tp_info.pool;
    char nonce[NONCE_CHARS + 1];

    make_nonce(nonce, rdata->pkt_info.src_name);
    pj_list_push_back(headers, challenge(pool, "SHA-256", nonce, stale));
    pj_list_push_back(headers, challenge(pool, "MD5", nonce, stale));
}
