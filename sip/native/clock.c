/* The media clock: a thread of its own runs the conference bridge every 20 ms, and before it takes in
 * the packets that have come.
 *
 * PJSIP would have a second thread wait for packets, which the kernel wakes for nearly each of them. A
 * packet is wanted at the next tick and not before, so the sockets are looked at a few times a tick:
 * often enough for the jitter that RTCP reports to mean something.
 *
 * After each tick it writes to an eventfd, so that Python wakes once for all legs, when every frame
 * of the tick is in its ring. Absolute deadlines keep it free of drift; a tick that comes over
 * 100 ms late is skipped, not caught up with a burst of RTP.
 */
#include "native.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 20000000L
#define MAX_BEHIND_NS 100000000L
#define LOOKS 4 /* for packets, in each tick; the last one right before the bridge */
#define MAX_POLLS 64 /* in each look, and so many packets of one socket: a second of audio that came late */

static pj_pool_t *pool;
static pj_thread_t *thread;
static pjmedia_port *bridge;
static pj_ioqueue_t *packets;
static int event_fd = -1;
static atomic_bool stopping;
static atomic_ullong ticks, late, busy_ns;

static int64_t since_ns(const struct timespec *earlier, const struct timespec *later)
{
    return (int64_t)(later->tv_sec - earlier->tv_sec) * 1000000000 +
           (later->tv_nsec - earlier->tv_nsec);
}

static void advance(struct timespec *time, long ns)
{
    time->tv_nsec += ns;
    while (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec++;
    }
}

static void sleep_until(const struct timespec *due)
{
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL) == EINTR)
        ;
}

/* On this thread. */
static _Thread_local bool in_turns;

/* PJSIP reads a socket until it is empty. Who floods one faster than its packets are worked off, 130 000 a second
 * where they are passed on, would never let the clock go on. So after each packet it is told to wait for the
 * next poll, in which every socket has its turn. */
pj_status_t __real_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation,
                                       void *buffer, pj_ssize_t *size, pj_uint32_t flags,
                                       pj_sockaddr_t *from, int *from_size);
pj_status_t __wrap_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation,
                                       void *buffer, pj_ssize_t *size, pj_uint32_t flags,
                                       pj_sockaddr_t *from, int *from_size);

pj_status_t __wrap_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation,
                                       void *buffer, pj_ssize_t *size, pj_uint32_t flags,
                                       pj_sockaddr_t *from, int *from_size)
{
    if (in_turns) {
        flags |= PJ_IOQUEUE_ALWAYS_ASYNC;
        sh_srtp_look(key, buffer, from);
    }
    return __real_pj_ioqueue_recvfrom(key, operation, buffer, size, flags, from, from_size);
}

static void receive(void)
{
    const pj_time_val at_once = {0, 0};

    for (unsigned polls = 0; polls < MAX_POLLS && pj_ioqueue_poll(packets, &at_once) > 0; polls++)
        ;
}

static void mix(void)
{
    pj_int16_t samples[PJMEDIA_PIA_SPF(&bridge->info)];
    pjmedia_frame frame = {.buf = samples, .size = sizeof samples};

    pjmedia_port_get_frame(bridge, &frame);
}

static int run(void *unused)
{
    struct timespec due, began, done;
    const uint64_t one = 1;

    (void)unused;
    in_turns = true;
    clock_gettime(CLOCK_MONOTONIC, &due);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        for (unsigned look = 1; look <= LOOKS; look++) {
            advance(&due, TICK_NS / LOOKS);
            sleep_until(&due);
            clock_gettime(CLOCK_MONOTONIC, &began);
            receive();
            if (look == LOOKS)
                mix();
            clock_gettime(CLOCK_MONOTONIC, &done);
            atomic_fetch_add_explicit(&busy_ns, (unsigned long long)since_ns(&began, &done),
                                      memory_order_relaxed);
        }
        if (since_ns(&due, &began) > MAX_BEHIND_NS) {
            atomic_fetch_add_explicit(&late, 1, memory_order_relaxed);
            due = began;
        }
        atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed);
        if (write(event_fd, &one, sizeof one) < 0 && errno != EAGAIN)
            break;
    }
    return 0;
}

/* Before whatever else wants a processor, where the system allows it: a tick that has to wait is heard
 * as a gap. The lowest of the real-time priorities is above every ordinary one. */
static bool hurry(void)
{
    const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    const pthread_t *handle = pj_thread_get_os_handle(thread);

    return pthread_setschedparam(*handle, SCHED_RR, &lowest) == 0;
}

pj_status_t sh_clock_start(int *eventfd_out, bool *real_time)
{
    pj_status_t status;

    if (thread)
        return PJ_EEXISTS;
    bridge = pjsua_set_no_snd_dev();
    if (!bridge)
        return PJ_EINVALIDOP;
    packets = pjmedia_endpt_get_ioqueue(pjsua_var.med_endpt);
    pjmedia_endpt_stop_threads(pjsua_var.med_endpt);
    event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event_fd < 0)
        return PJ_STATUS_FROM_OS(errno);
    pool = pjsua_pool_create("media-clock", 1024, 1024);
    atomic_store(&stopping, false);
    status = pj_thread_create(pool, "media-clock", run, NULL, PJ_THREAD_DEFAULT_STACK_SIZE, 0,
                              &thread);
    *eventfd_out = event_fd;
    *real_time = status == PJ_SUCCESS && hurry();
    return status;
}

void sh_clock_stop(void)
{
    if (!thread)
        return;
    atomic_store(&stopping, true);
    pj_thread_join(thread);
    pj_thread_destroy(thread);
    thread = NULL;
    close(event_fd);
    event_fd = -1;
    pj_pool_release(pool);
}

unsigned long long sh_clock_tick(void)
{
    return atomic_load_explicit(&ticks, memory_order_relaxed);
}

/* (ticks, late ticks, nanoseconds spent on packets and in the bridge) */
PyObject *sh_clock_counters(void)
{
    return Py_BuildValue("KKK", atomic_load(&ticks), atomic_load(&late), atomic_load(&busy_ns));
}
