/* The packets that come for a leg: whose count, and what becomes of them.
 *
 * All of this is the media clock's, but for the networks of the trunks, which the loop replaces, and the
 * counters, which it reads.
 */
#include "leg_rtp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Networks that may send audio besides the SDP's host, by account. The media clock reads them. */
static pthread_rwlock_t networks_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sh_source *networks;
static unsigned network_count;

static _Atomic uint64_t strangers, moved, malformed;

static bool of_trunk(pjsua_acc_id account, uint32_t host)
{
    bool found = false;

    pthread_rwlock_rdlock(&networks_lock);
    for (unsigned i = 0; i < network_count && !found; i++)
        found = networks[i].account == account && (host & networks[i].mask) == networks[i].network;
    pthread_rwlock_unlock(&networks_lock);
    return found;
}

struct sh_address sh_rtp_address_of(const pj_sockaddr *from)
{
    struct sh_address address = {0};

    if (from->addr.sa_family == pj_AF_INET()) {
        address.host = pj_ntohl(from->ipv4.sin_addr.s_addr);
        address.port = pj_ntohs(from->ipv4.sin_port);
    }
    return address;
}

static void refuse(struct leg_rtp *leg, const pj_sockaddr *from)
{
    char text[PJ_INET6_ADDRSTRLEN + 10];
    pj_str_t address;

    atomic_fetch_add_explicit(&strangers, 1, memory_order_relaxed);
    if (leg->told)
        return;
    leg->told = true;
    address = pj_str(pj_sockaddr_print(from, text, sizeof text, 1));
    sh_event_push(&(struct sh_event){
        .kind = SH_RTP_REFUSED_SOURCE, .call_id = &leg->call_id, .text1 = &address});
}

/* Whether a packet can be taken apart as RTP (RFC 3550 appendix A.1). */
static bool is_rtp(const pjmedia_tp_cb_param *param)
{
    const pjmedia_rtp_hdr *header;
    const void *payload;
    unsigned size;

    return param->size >= (pj_ssize_t)sizeof *header &&
           pjmedia_rtp_decode_rtp(NULL, param->pkt, (int)param->size, &header, &payload, &size) ==
               PJ_SUCCESS;
}

/* Likewise as RTCP (appendix A.2), whose packets stand one behind the other: PJSIP looks at the lengths of
 * all, but not at the version. */
static bool is_rtcp(const void *packet, pj_ssize_t size)
{
    const pjmedia_rtcp_common *header = packet;

    return size >= (pj_ssize_t)sizeof *header && header->version == SH_RTP_VERSION &&
           (pj_ntohs((pj_uint16_t)header->length) + 1) * 4 <= size;
}

/* Keep-alives that are no RTP are among them (RFC 6263 section 4). */
void sh_rtp_count_malformed(void)
{
    atomic_fetch_add_explicit(&malformed, 1, memory_order_relaxed);
}

static bool judge(struct leg_rtp *leg, pjmedia_tp_cb_param *param)
{
    struct sh_address from = sh_rtp_address_of(param->src_addr);
    uint64_t now = sh_rtp_now_ms();
    bool known = sh_address_same(from, leg->source.taken); /* nearly always: no list is searched */

    switch (sh_rtp_source_judge(&leg->source, from, !known && of_trunk(leg->account, from.host),
                                now)) {
    case SH_RTP_REFUSED:
        refuse(leg, param->src_addr);
        return false;
    case SH_RTP_MOVED:
        param->rem_switch = PJ_TRUE;
        if (!sh_address_same(from, leg->source.announced))
            atomic_fetch_add_explicit(&moved, 1, memory_order_relaxed);
        break;
    case SH_RTP_TAKEN:
        break;
    }
    leg->has_heard = true;
    atomic_store_explicit(&leg->heard_ms, now, memory_order_relaxed);
    return true;
}

/* Whose packet this thread hands to a stream just now; NULL: none. */
static _Thread_local struct leg_rtp *delivering;

void sh_rtp_comes(pjmedia_tp_cb_param *param)
{
    struct leg_rtp *leg = param->user_data;
    pjmedia_tp_cb_param up = *param;
    struct sh_passing passing = {0};
    void (*deliver)(pjmedia_tp_cb_param *);
    bool taken = true;

    if (!leg)
        return;
    if (!is_rtp(param)) {
        if (param->size > 0) /* else the socket fails */
            sh_rtp_count_malformed();
        return;
    }
    pj_grp_lock_acquire(leg->base.grp_lock);
    deliver = leg->rtp_cb;
    up.user_data = leg->stream;
    if (deliver) {
        taken = judge(leg, param);
        if (taken) {
            const pjmedia_rtp_hdr *header = param->pkt;

            sh_rtp_believe(leg->stream, header);
            passing = sh_relay_judge(leg, header, param->size);
            if (leg->event_in > 0 && header->pt == leg->event_in)
                sh_rtp_event_comes(leg, param, passing.duration);
        }
    }
    pj_grp_lock_release(leg->base.grp_lock);
    if (!deliver || !taken)
        return;
    up.src_addr = NULL; /* whose packet it is has been decided: the stream need not guess */
    delivering = leg;
    if (passing.partner)
        sh_relay_pass(leg, &passing, &up, deliver);
    else
        deliver(&up);
    delivering = NULL;
}

pjmedia_transport *sh_rtp_delivering(void)
{
    return delivering ? &delivering->base : NULL;
}

/* RTCP has a port of its own, so its host has to do. */
static bool rtcp_is_vouched(const struct leg_rtp *leg, const pj_sockaddr *from)
{
    uint32_t host = sh_rtp_address_of(from).host;

    return host == leg->source.taken.host || host == leg->source.announced.host;
}

static void refuse_rtcp(void)
{
    atomic_fetch_add_explicit(&strangers, 1, memory_order_relaxed);
}

bool sh_rtp_refuses(struct leg_rtp *leg, const pj_sockaddr *from, bool is_rtcp)
{
    struct sh_address address = sh_rtp_address_of(from);
    struct sh_rtp_source source = leg->source;

    if (is_rtcp) {
        if (rtcp_is_vouched(leg, from))
            return false;
        refuse_rtcp();
        return true;
    }
    if (sh_rtp_source_judge(&source, address, of_trunk(leg->account, address.host),
                            sh_rtp_now_ms()) != SH_RTP_REFUSED)
        return false;
    refuse(leg, from);
    return true;
}

void sh_rtcp_comes(void *user_data, void *packet, pj_ssize_t size)
{
    struct leg_rtp *leg = user_data;
    void (*deliver)(void *, void *, pj_ssize_t);
    pjmedia_transport_info info;
    void *stream;
    bool vouched;

    if (!leg)
        return;
    if (!is_rtcp(packet, size)) {
        if (size > 0)
            sh_rtp_count_malformed();
        return;
    }
    pj_grp_lock_acquire(leg->base.grp_lock);
    deliver = leg->rtcp_cb;
    stream = leg->stream;
    pjmedia_transport_info_init(&info);
    vouched = pjmedia_transport_get_info(leg->below, &info) == PJ_SUCCESS &&
              rtcp_is_vouched(leg, &info.src_rtcp_name);
    pj_grp_lock_release(leg->base.grp_lock);
    if (!vouched)
        refuse_rtcp();
    else if (deliver)
        deliver(stream, packet, size);
}

pj_status_t sh_rtp_replace(const struct sh_source *list, unsigned count)
{
    struct sh_source *copy = malloc((count ? count : 1) * sizeof *copy), *old;

    if (!copy)
        return PJ_ENOMEM;
    memcpy(copy, list, count * sizeof *copy);
    pthread_rwlock_wrlock(&networks_lock);
    old = networks;
    networks = copy;
    network_count = count;
    pthread_rwlock_unlock(&networks_lock);
    free(old);
    return PJ_SUCCESS;
}

/* (packets from a source that nobody vouches for, sources found other than announced, packets that are
 * neither RTP nor RTCP, those that fail authentication, those that came before, keys that came too fast) */
PyObject *sh_rtp_counters(void)
{
    uint64_t unauthenticated, replayed;

    sh_srtp_counters(&unauthenticated, &replayed);
    return Py_BuildValue("KKKKKK", (unsigned long long)atomic_load(&strangers),
                         (unsigned long long)atomic_load(&moved),
                         (unsigned long long)atomic_load(&malformed),
                         (unsigned long long)unauthenticated, (unsigned long long)replayed,
                         (unsigned long long)sh_rtp_keys_refused());
}
