/* Whether a TLS peer is who it should be (RFC 5922), and which connection a dialog keeps to.
 *
 * PJSIP verifies with one set of authorities for all peers, compares names itself (a NUL in a name
 * ends it there) and tells nobody why it refuses. So OpenSSL is asked here, with the trunk's own
 * authorities and name, before the first message leaves; the reason is kept for whoever dialled.
 */
#include "native.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REASON 640 /* two host names of 253 characters, and words */
#define KEPT_FAILURES 64 /* one for each trunk's last failure, with room to spare */

struct peer {
    pj_str_t host;     /* where requests go; empty: everybody who is not listed */
    uint32_t address;  /* of that host, in network byte order */
    char *name;        /* what the certificate must say; NULL: the host that was dialled */
    pj_bool_t verify;
    X509_STORE *authorities;
};

static struct peer *peers;
static unsigned peer_count;

static struct {
    pj_sockaddr where;
    char reason[MAX_REASON];
} failures[KEPT_FAILURES];
static unsigned failure_count;

static void free_peers(struct peer *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(list[i].host.ptr);
        free(list[i].name);
        X509_STORE_free(list[i].authorities);
    }
    free(list);
}

static pj_bool_t fill(struct peer *peer, const struct sh_tls_peer *from)
{
    pj_str_t address = pj_str((char *)from->address);
    pj_in_addr number = {0};
    int loaded;

    peer->host = pj_str(strdup(from->host));
    if (address.slen)
        pj_inet_pton(pj_AF_INET(), &address, &number);
    peer->address = number.s_addr;
    peer->name = from->name[0] ? strdup(from->name) : NULL;
    peer->verify = from->verify;
    peer->authorities = X509_STORE_new();
    if (!peer->host.ptr || !peer->authorities)
        return PJ_FALSE;
    loaded = from->authorities[0]
                 ? X509_STORE_load_locations(peer->authorities, from->authorities, NULL)
                 : X509_STORE_set_default_paths(peer->authorities);
    return loaded == 1;
}

/* All or nothing: with an unreadable file of authorities the old table stays. */
pj_status_t sh_tls_replace(const struct sh_tls_peer *list, unsigned count)
{
    struct peer *fresh = calloc(count ? count : 1, sizeof *fresh);

    for (unsigned i = 0; fresh && i < count; i++)
        if (!fill(&fresh[i], &list[i])) {
            free_peers(fresh, count);
            return PJSIP_TLS_ECACERT;
        }
    if (!fresh)
        return PJ_ENOMEM;
    free_peers(peers, peer_count);
    peers = fresh;
    peer_count = count;
    return PJ_SUCCESS;
}

/* By the host that was dialled; else by the address, which a Contact may name instead of the host. */
static const struct peer *find(const pjsip_transport *tp)
{
    const struct peer *everybody = NULL, *at_address = NULL;

    for (unsigned i = 0; i < peer_count; i++) {
        if (!peers[i].host.slen)
            everybody = &peers[i];
        else if (pj_stricmp(&peers[i].host, &tp->remote_name.host) == 0)
            return &peers[i];
        else if (peers[i].address == tp->key.rem_addr.ipv4.sin_addr.s_addr)
            at_address = &peers[i];
    }
    return at_address ? at_address : everybody;
}

/* A certificate may name its SIP domain as a URI (RFC 5922 section 7.1). */
static pj_bool_t has_sip_uri(X509 *certificate, const char *host)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    pj_bool_t found = PJ_FALSE;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_URI) {
            const char *uri = (const char *)ASN1_STRING_get0_data(name->d.ia5);
            size_t length = (size_t)ASN1_STRING_length(name->d.ia5);

            found = length == strlen(host) + 4 && strncasecmp(uri, "sip:", 4) == 0 &&
                    strncasecmp(uri + 4, host, length - 4) == 0;
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

static pj_bool_t is_named(X509 *certificate, const char *host)
{
    return X509_check_ip_asc(certificate, host, 0) == 1 ||
           X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
           has_sip_uri(certificate, host);
}

/* True, or false and why. */
static pj_bool_t verify(SSL *ssl, const struct peer *peer, const char *host, char *reason)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    const char *expected = peer->name ? peer->name : host;
    pj_bool_t good = PJ_FALSE;

    if (!certificate || !context) {
        snprintf(reason, MAX_REASON, "TLS: the peer shows no certificate");
    } else if (!X509_STORE_CTX_init(context, peer->authorities, certificate,
                                    SSL_get_peer_cert_chain(ssl)) ||
               !X509_STORE_CTX_set_default(context, "ssl_server") ||
               X509_verify_cert(context) != 1) {
        int error = X509_STORE_CTX_get_error(context);

        snprintf(reason, MAX_REASON, "TLS: the certificate of %s is refused: %s", host,
                 X509_verify_cert_error_string(error));
    } else if (!is_named(certificate, expected)) {
        snprintf(reason, MAX_REASON, "TLS: the certificate of %s is not for %s", host, expected);
    } else {
        good = PJ_TRUE;
    }
    X509_STORE_CTX_free(context);
    X509_free(certificate);
    return good;
}

static void keep_failure(const pjsip_transport *tp, const char *host, const char *reason)
{
    pj_str_t host_str = pj_str((char *)host), reason_str = pj_str((char *)reason);
    unsigned slot = 0;

    while (slot < failure_count && slot < KEPT_FAILURES &&
           pj_sockaddr_cmp(&failures[slot].where, &tp->key.rem_addr) != 0)
        slot++;
    if (slot == failure_count || slot == KEPT_FAILURES)
        slot = failure_count++ % KEPT_FAILURES;
    pj_sockaddr_cp(&failures[slot].where, &tp->key.rem_addr);
    pj_ansi_strxcpy(failures[slot].reason, reason, MAX_REASON);
    sh_event_push(&(struct sh_event){.kind = SH_TLS_REFUSED, .text1 = &host_str,
                                     .text2 = &reason_str});
}

static void forget_failure(const pjsip_transport *tp)
{
    for (unsigned i = 0; i < failure_count && i < KEPT_FAILURES; i++)
        if (pj_sockaddr_cmp(&failures[i].where, &tp->key.rem_addr) == 0)
            failures[i].reason[0] = '\0';
}

const char *sh_tls_failure(const pj_sockaddr *where)
{
    for (unsigned i = 0; i < failure_count && i < KEPT_FAILURES; i++)
        if (failures[i].reason[0] && pj_sockaddr_cmp(&failures[i].where, where) == 0)
            return failures[i].reason;
    return NULL;
}

static void connected(pjsip_transport *tp, const pjsip_transport_state_info *info)
{
    const pjsip_tls_state_info *tls = info->ext_info;
    const struct peer *peer = find(tp);
    char host[PJ_MAX_HOSTNAME], reason[MAX_REASON];

    if (tp->dir != PJSIP_TP_DIR_OUTGOING || !peer || !peer->verify)
        return;
    snprintf(host, sizeof host, "%.*s", (int)tp->remote_name.host.slen, tp->remote_name.host.ptr);
    if (verify(tls->ssl_sock_info->native_ssl, peer, host, reason)) {
        forget_failure(tp);
        return;
    }
    keep_failure(tp, host, reason);
    pjsip_transport_shutdown(tp); /* what waits to be sent fails, and is never sent */
}

static void let_go(const pjsip_transport *tp)
{
    static const pjsip_tpselector none = {.type = PJSIP_TPSELECTOR_NONE};

    for (unsigned i = 0; i < pjsua_var.ua_cfg.max_calls; i++) {
        pjsip_dialog *dlg = sh_call_dialog((pjsua_call_id)i);

        if (dlg && dlg->tp_sel.type == PJSIP_TPSELECTOR_TRANSPORT &&
            dlg->tp_sel.u.transport == tp)
            pjsip_dlg_set_transport(dlg, &none);
    }
}

static void on_transport_state(pjsip_transport *tp, pjsip_transport_state state,
                               const pjsip_transport_state_info *info)
{
    if (state == PJSIP_TP_STATE_CONNECTED)
        sh_idle_accepted(tp);
    if (tp->key.type != PJSIP_TRANSPORT_TLS)
        return;
    if (state == PJSIP_TP_STATE_CONNECTED && info->ext_info)
        connected(tp, info);
    else if (state == PJSIP_TP_STATE_DISCONNECTED || state == PJSIP_TP_STATE_SHUTDOWN)
        let_go(tp);
}

/* A Contact mostly names an address, for which the peer's certificate does not speak, or a port that
 * only the peer's side of a connection has: the dialog stays on the connection it was set up over, for
 * as long as that lives (RFC 5923). */
void sh_tls_keep_to(pjsip_dialog *dlg, pjsip_transport *tp)
{
    pjsip_tpselector selector = {.type = PJSIP_TPSELECTOR_TRANSPORT};

    if (!tp || tp->key.type != PJSIP_TRANSPORT_TLS || tp->is_shutdown ||
        dlg->tp_sel.type != PJSIP_TPSELECTOR_NONE)
        return;
    selector.u.transport = tp;
    pjsip_dlg_set_transport(dlg, &selector);
}

void sh_tls_hook_callbacks(void)
{
    pjsua_var.ua_cfg.cb.on_transport_state = on_transport_state;
}
