/* Which RTP port the next call gets.
 *
 * PJSIP lets each account count through the whole range on its own and gives up after 100 ports
 * that are taken. Here all accounts share one cursor, and it steps over whatever is taken, so that a
 * port is reused as late as the range allows and a call fails only when every port is in use.
 */
#include "native.h"

#include <sys/socket.h>
#include <unistd.h>

static unsigned cursor;

static bool is_free(const pj_sockaddr_in *address, unsigned port)
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

void sh_rtp_port_choose(pjsua_acc_id id)
{
    pjsua_acc *account = &pjsua_var.acc[id];
    const pjsua_transport_config *range = &account->cfg.rtp_cfg;
    unsigned first = range->port, pairs = (range->port_range + 1) / 2;
    pj_sockaddr_in address;

    if (pj_sockaddr_in_init(&address, &range->bound_addr, 0) != PJ_SUCCESS)
        return;
    for (unsigned tried = 0; tried < pairs; tried++) {
        unsigned port = first + 2 * (cursor++ % pairs);

        if (is_free(&address, port)) { /* its RTCP neighbour is PJSIP's to try */
            account->next_rtp_port = (pj_uint16_t)port;
            return;
        }
    }
}
