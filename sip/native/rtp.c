/* The RTP of a leg, between its socket and its stream: how packets leave, and whom nothing is heard of.
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

static pthread_mutex_t legs_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct leg_rtp *legs;

uint64_t sh_rtp_now_ms(void)
{
    return (uint64_t)(sh_now() * 1000);
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
    below.rtp_cb2 = sh_rtp_comes;
    below.rtcp_cb = sh_rtcp_comes;
    if (pjmedia_stream_get_info(param->user_data, &info) != PJ_SUCCESS)
        return PJ_EINVAL;
    pj_grp_lock_acquire(leg->base.grp_lock);
    sh_rtp_source_announce(&leg->source, sh_rtp_address_of(&param->rem_addr));
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

const pj_str_t *sh_rtp_call_id(const pjmedia_transport *transport)
{
    return sh_rtp_is_leg(transport) ? &((const struct leg_rtp *)transport)->call_id : NULL;
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
