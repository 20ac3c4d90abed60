/* Connections that peers open, and that nobody uses.
 *
 * PJSIP starts the timer that ends an unused connection when somebody lets go of it. Nobody does who was
 * never answered: a connection without a request, or whose requests are dropped, would stay for ever, and
 * so would as many as there are sockets.
 */
#include "native.h"

/* Seconds to the first request; PJSIP's idle time, 600 s, counts from each one. */
#define FIRST_REQUEST 10

static void begin_to_wait(pjsip_transport *tp)
{
    pjsip_transport_add_ref(tp);
    pjsip_transport_dec_ref(tp);
}

void sh_idle_accepted(pjsip_transport *tp)
{
    if (tp->dir != PJSIP_TP_DIR_INCOMING)
        return;
    tp->initial_timeout = FIRST_REQUEST;
    begin_to_wait(tp);
}

/* A request has come over it, whatever becomes of that. */
void sh_idle_used(pjsip_transport *tp)
{
    if (tp->dir == PJSIP_TP_DIR_INCOMING)
        begin_to_wait(tp);
}
