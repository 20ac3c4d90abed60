/* The RTP of a leg, between its socket and its stream: whose packets count, and when they stopped.
 *
 * A media transport of its own stands above PJSIP's (SRTP and UDP) on every leg. The media clock
 * brings the packets and sends, the loop attaches and closes; both meet under the group lock that the
 * transports of a leg share.
 *
 * The bridge lets go of a stream later than the loop does, so the clock may stand in the stream's
 * put_frame while the loop destroys it and closes the socket. Stock PJSIP sends without a lock: the
 * packet would leave by a closed descriptor, or by whatever got its number since. Here a packet goes
 * out under the group lock and only while a stream is attached. `detach` takes the stream away under
 * that lock and stands before every stop, restart and close of what is below, so none of those can
 * overlap with a packet.
 *
 * The order of locks allows it. Packets are sent with no lock of PJSIP's held but this one, which is
 * recursive (a stream sends RTCP with it held): the bridge calls put_frame without its mutex, and no
 * stream sends while it has its jitter buffer locked. What is taken under it is SRTP's mutex, a leaf,
 * and the ioqueue's key, which is this lock again. Streams are called with it released, so that their
 * locks never stand below it.
 */
#include "leg_rtp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t legs_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct leg_rtp *legs;

/* Networks that may send audio besides the SDP's host, by account. The media clock reads them. */
static pthread_rwlock_t networks_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sh_source *networks;
static unsigned network_count;

static _Atomic uint64_t strangers, moved, malformed;

uint64_t sh_rtp_now_ms(void)
{
    return (uint64_t)(sh_now() * 1000);
}

static bool of_trunk(pjsua_acc_id account, uint32_t host)
{
    bool found = false;

    pthread_rwlock_rdlock(&networks_lock);
    for (unsigned i = 0; i < network_count && !found; i++)
        found = networks[i].account == account && (host & networks[i].mask) == networks[i].network;
    pthread_rwlock_unlock(&networks_lock);
    return found;
}

static struct sh_address address_of(const pj_sockaddr *from)
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
    struct sh_address from = address_of(param->src_addr);
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

static void on_rtp(pjmedia_tp_cb_param *param)
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

/* NULL: it is no leg's. */
const pj_str_t *sh_rtp_call_id(const pjmedia_transport *transport)
{
    return sh_rtp_is_leg(transport) ? &((const struct leg_rtp *)transport)->call_id : NULL;
}

/* RTCP has a port of its own, so its host has to do. */
static bool rtcp_is_vouched(const struct leg_rtp *leg, const pj_sockaddr *from)
{
    uint32_t host = address_of(from).host;

    return host == leg->source.taken.host || host == leg->source.announced.host;
}

static void refuse_rtcp(void)
{
    atomic_fetch_add_explicit(&strangers, 1, memory_order_relaxed);
}

bool sh_rtp_refuses(struct leg_rtp *leg, const pj_sockaddr *from, bool is_rtcp)
{
    struct sh_address address = address_of(from);
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

static void on_rtcp(void *user_data, void *packet, pj_ssize_t size)
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

static struct leg_rtp *of(pjmedia_transport *transport)
{
    return (struct leg_rtp *)transport;
}

static pj_status_t attach2(pjmedia_transport *transport, pjmedia_transport_attach_param *param)
{
    struct leg_rtp *leg = of(transport);
    pjmedia_transport_attach_param below = *param;
    pjmedia_stream_info info;
    pj_status_t status;

    below.user_data = leg;
    below.rtp_cb = NULL;
    below.rtp_cb2 = on_rtp;
    below.rtcp_cb = on_rtcp;
    if (pjmedia_stream_get_info(param->user_data, &info) != PJ_SUCCESS)
        return PJ_EINVAL;
    pj_grp_lock_acquire(leg->base.grp_lock);
    sh_rtp_source_announce(&leg->source, address_of(&param->rem_addr));
    leg->told = false;
    leg->stream = param->user_data;
    leg->rtp_cb = param->rtp_cb2;
    leg->rtcp_cb = param->rtcp_cb;
    leg->sent_ms = 0;
    leg->marks = leg->event_known = leg->key.is_down = false;
    leg->audio_in = (uint8_t)info.rx_pt;
    leg->audio_out = (uint8_t)info.tx_pt;
    leg->event_in = info.rx_event_pt;
    leg->event_out = info.tx_event_pt;
    leg->audio_clock = sh_rtp_clock(&info);
    leg->heard_size = 0;
    leg->passed = 0;
    pj_grp_lock_release(leg->base.grp_lock);
    atomic_store(&leg->heard_ms, sh_rtp_now_ms());
    atomic_store(&leg->said_ms, sh_rtp_now_ms());
    status = pjmedia_transport_attach2(leg->below, &below);
    if (status != PJ_SUCCESS)
        atomic_store(&leg->heard_ms, 0);
    return status;
}

static void detach(pjmedia_transport *transport, void *stream)
{
    struct leg_rtp *leg = of(transport);

    (void)stream;
    sh_relay_leave(leg);
    pj_grp_lock_acquire(leg->base.grp_lock);
    leg->stream = NULL;
    leg->rtp_cb = NULL;
    leg->rtcp_cb = NULL;
    pj_grp_lock_release(leg->base.grp_lock);
    atomic_store(&leg->heard_ms, 0);
    pjmedia_transport_detach(leg->below, leg);
}

static pj_status_t get_info(pjmedia_transport *transport, pjmedia_transport_info *info)
{
    return pjmedia_transport_get_info(of(transport)->below, info);
}

static pj_status_t send_rtp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    struct leg_rtp *leg = of(transport);
    pj_status_t status = PJ_SUCCESS;

    pj_grp_lock_acquire(leg->base.grp_lock);
    if (leg->stream && !leg->partner) {
        pjmedia_rtp_hdr *header = (pjmedia_rtp_hdr *)packet; /* the stream's, which makes each anew */

        if (leg->marks) /* what is heard from now on is another source's: a new talkspurt */
            header->m = 1;
        if (leg->event_out > 0 && header->pt == leg->event_out &&
            size >= sizeof *header + SH_EVENT_BYTES)
            sh_rtp_event_leaves(leg, (uint8_t *)(header + 1));
        leg->marks = false;
        leg->sent_ms = sh_rtp_now_ms();
        leg->sent = (struct sh_rtp_numbers){.ssrc = pj_ntohl(header->ssrc),
                                            .sequence = pj_ntohs(header->seq),
                                            .timestamp = pj_ntohl(header->ts)};
        status = pjmedia_transport_send_rtp(leg->below, packet, size);
    }
    pj_grp_lock_release(leg->base.grp_lock);
    return status;
}

static pj_status_t send_rtcp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    struct leg_rtp *leg = of(transport);
    pj_status_t status = PJ_SUCCESS;

    pj_grp_lock_acquire(leg->base.grp_lock);
    if (leg->stream)
        status = pjmedia_transport_send_rtcp(leg->below, packet, size);
    pj_grp_lock_release(leg->base.grp_lock);
    return status;
}

static pj_status_t send_rtcp2(pjmedia_transport *transport, const pj_sockaddr_t *to,
                              unsigned to_size, const void *packet, pj_size_t size)
{
    struct leg_rtp *leg = of(transport);
    pj_status_t status = PJ_SUCCESS;

    pj_grp_lock_acquire(leg->base.grp_lock);
    if (leg->stream)
        status = pjmedia_transport_send_rtcp2(leg->below, to, to_size, packet, size);
    pj_grp_lock_release(leg->base.grp_lock);
    return status;
}

static pj_status_t media_create(pjmedia_transport *transport, pj_pool_t *pool, unsigned options,
                                const pjmedia_sdp_session *remote, unsigned index)
{
    return pjmedia_transport_media_create(of(transport)->below, pool, options, remote, index);
}

static pj_status_t encode_sdp(pjmedia_transport *transport, pj_pool_t *pool,
                              pjmedia_sdp_session *local, const pjmedia_sdp_session *remote,
                              unsigned index)
{
    return pjmedia_transport_encode_sdp(of(transport)->below, pool, local, remote, index);
}

static pj_status_t media_start(pjmedia_transport *transport, pj_pool_t *pool,
                               const pjmedia_sdp_session *local,
                               const pjmedia_sdp_session *remote, unsigned index)
{
    struct leg_rtp *leg = of(transport);
    pj_status_t status;

    /* UDP below asks for the first packet and then notes that it has started. One that came between
     * the two would be taken for a late one, and no further one asked for: the leg would be deaf. The
     * thread that takes packets in leaves the socket alone while this lock is held. */
    pj_grp_lock_acquire(leg->base.grp_lock);
    leg->started_ms = sh_rtp_now_ms();
    leg->has_heard = leg->unread_told = false;
    status = pjmedia_transport_media_start(leg->below, pool, local, remote, index);
    pj_grp_lock_release(leg->base.grp_lock);
    return status;
}

static pj_status_t media_stop(pjmedia_transport *transport)
{
    return pjmedia_transport_media_stop(of(transport)->below);
}

static pj_status_t simulate_lost(pjmedia_transport *transport, pjmedia_dir direction,
                                 unsigned percent)
{
    return pjmedia_transport_simulate_lost(of(transport)->below, direction, percent);
}

static pj_status_t destroy(pjmedia_transport *transport)
{
    struct leg_rtp *leg = of(transport);

    pthread_mutex_lock(&legs_mutex);
    *leg->self = leg->next;
    if (leg->next)
        leg->next->self = leg->self;
    pthread_mutex_unlock(&legs_mutex);
    sh_rtp_port_released(leg->port);
    pjmedia_transport_close(leg->below);
    pj_grp_lock_dec_ref(leg->base.grp_lock);
    return PJ_SUCCESS;
}

static void free_leg(void *leg)
{
    pj_pool_release(((struct leg_rtp *)leg)->pool);
}

static pjmedia_transport_op operations = {
    .get_info = get_info,
    .detach = detach,
    .send_rtp = send_rtp,
    .send_rtcp = send_rtcp,
    .send_rtcp2 = send_rtcp2,
    .media_create = media_create,
    .encode_sdp = encode_sdp,
    .media_start = media_start,
    .media_stop = media_stop,
    .simulate_lost = simulate_lost,
    .destroy = destroy,
    .attach2 = attach2,
};

bool sh_rtp_is_leg(const pjmedia_transport *transport)
{
    return transport && transport->op == &operations;
}

/* PJSIP's callback for each new leg: what is given back takes the place of `below`. */
static pjmedia_transport *wrap(pjsua_call_id call, unsigned index, pjmedia_transport *below,
                               unsigned flags)
{
    pj_pool_t *pool = pjsua_pool_create("leg-rtp", 512, 512);
    struct leg_rtp *leg = PJ_POOL_ZALLOC_T(pool, struct leg_rtp);
    pjmedia_transport_info info;
    const pj_str_t *call_id = sh_call_id(call);

    (void)index, (void)flags;
    leg->pool = pool;
    leg->below = below;
    leg->slot = -1;
    leg->account = pjsua_var.calls[call].acc_id;
    pjmedia_transport_srtp_get_member(below)->user_data = leg; /* SRTP is below, if it encrypts or not */
    pj_strdup(pool, &leg->call_id, call_id);
    pjmedia_transport_info_init(&info);
    if (pjmedia_transport_get_info(below, &info) == PJ_SUCCESS)
        leg->port = pj_sockaddr_get_port(&info.sock_info.rtp_addr_name);
    sh_rtp_port_taken(leg->port);
    pj_ansi_strxcpy(leg->base.name, pool->obj_name, sizeof leg->base.name);
    leg->base.type = (pjmedia_transport_type)(PJMEDIA_TRANSPORT_TYPE_USER + 1);
    leg->base.op = &operations;
    leg->base.grp_lock = below->grp_lock;
    pj_grp_lock_add_ref(leg->base.grp_lock);
    pj_grp_lock_add_handler(leg->base.grp_lock, pool, leg, free_leg);
    pthread_mutex_lock(&legs_mutex);
    leg->next = legs;
    leg->self = &legs;
    if (legs)
        legs->self = &leg->next;
    legs = leg;
    pthread_mutex_unlock(&legs_mutex);
    return &leg->base;
}

void sh_rtp_hook(void)
{
    pjsua_var.ua_cfg.cb.on_create_media_transport = wrap;
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

/* [Call-ID, …] of the legs whose stream has heard nothing for so long. */
PyObject *sh_rtp_silent(unsigned limit_ms)
{
    PyObject *list = PyList_New(0);
    uint64_t now = sh_rtp_now_ms();

    pthread_mutex_lock(&legs_mutex);
    for (struct leg_rtp *leg = legs; list && leg; leg = leg->next) {
        /* relaxed: the time stands for itself, nothing is read behind it */
        uint64_t heard = atomic_load_explicit(&leg->heard_ms, memory_order_relaxed);
        PyObject *call_id;

        if (!heard || !sh_rtp_ago(heard, now, limit_ms))
            continue;
        call_id = PyUnicode_DecodeUTF8(leg->call_id.ptr, leg->call_id.slen, "replace");
        if (!call_id || PyList_Append(list, call_id) < 0)
            Py_CLEAR(list);
        Py_XDECREF(call_id);
    }
    pthread_mutex_unlock(&legs_mutex);
    return list;
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
