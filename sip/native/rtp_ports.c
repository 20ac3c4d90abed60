/* Which RTP port the next call gets.
 *
 * PJSIP lets each account count through the whole range on its own and gives up after 100 ports
 * that are taken. Here all accounts share one cursor, and it steps over whatever is taken, so that a
 * port is reused as late as the range allows and a call fails only when every port is in use. A port
 * rests after its call, so that packets still under way to that call are not taken for the next one's.
 */
#include "native.h"

#include <float.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

/* Seconds: peers send on for a second or two after BYE, until they have answered it. */
#define REST 5.0

/* Since when a port pair is free, by the loop's clock; or one of these. */
#define UNKNOWN 0.0    /* no call has had it yet: another process may hold it */
#define TAKEN HUGE_VAL /* by a call */

static unsigned cursor;
static double free_since[65536 / 2];

static bool is_bindable(const pj_sockaddr_in *address, unsigned port)
{
    struct sockaddr_in probe = {.sin_family = AF_INET, .sin_port = pj_htons((pj_uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool bound;

    if (fd < 0)
        return true; /* out of descriptors: PJSIP will say so */
    probe.sin_addr.s_addr = address->sin_addr.s_addr;
    bound = bind(fd, (struct sockaddr *)&probe, sizeof probe) == 0;
    close(fd);
    return bound;
}

void sh_rtp_port_taken(unsigned port)
{
    if (port < 65536)
        free_since[port / 2] = TAKEN;
}

void sh_rtp_port_released(unsigned port)
{
    if (port < 65536)
        free_since[port / 2] = sh_now();
}

/* The next port that has been free since then; 0: none. What a call has had once is not tried before
 * PJSIP binds it: should another process have taken it since, PJSIP steps on by itself. */
static unsigned find(const pj_sockaddr_in *address, unsigned first, unsigned pairs, double since)
{
    for (unsigned tried = 0; tried < pairs; tried++) {
        unsigned port = first + 2 * (cursor++ % pairs);
        double begin = free_since[port / 2];

        if (begin <= since && (begin != UNKNOWN || is_bindable(address, port)))
            return port; /* its RTCP neighbour is PJSIP's to try */
    }
    return 0;
}

void sh_rtp_port_choose(pjsua_acc_id id)
{
    pjsua_acc *account = &pjsua_var.acc[id];
    const pjsua_transport_config *range = &account->cfg.rtp_cfg;
    unsigned first = range->port, pairs = (range->port_range + 1) / 2, port;
    pj_sockaddr_in address;

    if (pj_sockaddr_in_init(&address, &range->bound_addr, 0) != PJ_SUCCESS)
        return;
    port = find(&address, first, pairs, sh_now() - REST);
    if (!port) /* better a port that may still get a stray packet than no call */
        port = find(&address, first, pairs, DBL_MAX);
    if (port)
        account->next_rtp_port = (pj_uint16_t)port;
}
