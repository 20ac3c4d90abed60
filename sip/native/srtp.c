/* SRTP that cannot be read: whose leg it came to, and why.
 *
 * PJSIP's SRTP transport stands below the leg and drops such a packet without a word. So its calls of libsrtp are
 * noted here: what the last one said of a packet is the verdict, because PJSIP tries some packets twice, with
 * its session restarted. When the socket that the packet came from is asked for the next one (clock.c), the
 * address of the buffer tells whether that verdict is its own. A packet that can be read costs two stores.
 */
#include "leg_rtp.h"

#include <srtp2/srtp.h>

/* After an answer the peer may still send by the keys of before. */
#define SETTLING_MS 1000

static _Atomic uint64_t unauthenticated, replayed;

/* On this thread: the packet that could not be read last. */
static _Thread_local struct {
    const void *packet; /* NULL: the last one could be */
    srtp_err_status_t why;
    bool is_rtcp;
} unread;

srtp_err_status_t __real_srtp_unprotect(srtp_t session, void *packet, int *size);
srtp_err_status_t __wrap_srtp_unprotect(srtp_t session, void *packet, int *size);
srtp_err_status_t __real_srtp_unprotect_rtcp(srtp_t session, void *packet, int *size);
srtp_err_status_t __wrap_srtp_unprotect_rtcp(srtp_t session, void *packet, int *size);

static srtp_err_status_t note(srtp_err_status_t status, const void *packet, bool is_rtcp)
{
    unread.packet = status == srtp_err_status_ok ? NULL : packet;
    unread.why = status;
    unread.is_rtcp = is_rtcp;
    return status;
}

srtp_err_status_t __wrap_srtp_unprotect(srtp_t session, void *packet, int *size)
{
    return note(__real_srtp_unprotect(session, packet, size), packet, false);
}

srtp_err_status_t __wrap_srtp_unprotect_rtcp(srtp_t session, void *packet, int *size)
{
    return note(__real_srtp_unprotect_rtcp(session, packet, size), packet, true);
}

/* Under the leg's group lock. RTCP tells nothing of the audio: some peers leave it unencrypted. */
static void tell(struct leg_rtp *leg, const pj_sockaddr *from)
{
    char text[PJ_INET6_ADDRSTRLEN + 10];
    pj_str_t address;

    if (unread.is_rtcp || leg->unread_told ||
        !sh_rtp_ago(leg->started_ms, sh_rtp_now_ms(), SETTLING_MS))
        return;
    leg->unread_told = true;
    address = pj_str(pj_sockaddr_print(from, text, sizeof text, 1));
    sh_event_push(&(struct sh_event){.kind = SH_RTP_UNAUTHENTICATED,
                                     .call_id = &leg->call_id,
                                     .number = leg->has_heard,
                                     .text1 = &address});
}

static void judge(struct leg_rtp *leg, const pj_sockaddr *from)
{
    if (sh_rtp_refuses(leg, from, unread.is_rtcp))
        return;
    switch (unread.why) {
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
        atomic_fetch_add_explicit(&replayed, 1, memory_order_relaxed);
        break;
    default:
        atomic_fetch_add_explicit(&unauthenticated, 1, memory_order_relaxed);
        tell(leg, from);
    }
}

/* Whether it is no SRTP at all: of another version, as STUN is, or too short. */
static bool is_malformed(void)
{
    return *(const uint8_t *)unread.packet >> 6 != SH_RTP_VERSION ||
           unread.why == srtp_err_status_bad_param || unread.why == srtp_err_status_parse_err;
}

/* The next packet of a socket is asked for; the one before came `from` there. */
void sh_srtp_look(pj_ioqueue_key_t *key, const void *buffer, const pj_sockaddr *from)
{
    pjmedia_transport *socket;
    struct leg_rtp *leg;

    if (unread.packet != buffer)
        return;
    socket = pj_ioqueue_get_user_data(key);
    leg = socket->user_data;
    if (leg) {
        pj_grp_lock_acquire(leg->base.grp_lock);
        if (is_malformed())
            sh_rtp_count_malformed();
        else if (leg->stream)
            judge(leg, from);
        pj_grp_lock_release(leg->base.grp_lock);
    }
    unread.packet = NULL;
}

/* (SRTP and SRTCP packets that failed authentication, those that came before) */
void sh_srtp_counters(uint64_t *failed, uint64_t *again)
{
    *failed = atomic_load_explicit(&unauthenticated, memory_order_relaxed);
    *again = atomic_load_explicit(&replayed, memory_order_relaxed);
}
