/* A port on the conference bridge that owns its memory: the common part of pump legs and players. */
#ifndef SWITCHHOOK_PORT_H
#define SWITCHHOOK_PORT_H

#include "native.h"

/* Legs at once: PJSUA_MAX_CALLS of the build, each with at most one port of a kind. */
#define SH_MAX_PORTS 4096

struct sh_port {
    pjmedia_port base; /* first, so that PJMEDIA's pointer is ours */
    pj_pool_t *pool;
    void (*released)(struct sh_port *); /* called last, on whichever thread let go last */
    int slot;
};

typedef pj_status_t sh_frame_fn(pjmedia_port *port, pjmedia_frame *frame);

/* Allocate `size` zeroed bytes that begin with a sh_port, for `rate` samples/s. NULL: no memory. */
struct sh_port *sh_port_create(const char *name, size_t size, unsigned rate, sh_frame_fn *put,
                               sh_frame_fn *get, void (*released)(struct sh_port *));

/* Join the bridge. From here on the clock thread may call: whatever it reads has been written. A port
 * that cannot join is gone. */
pj_status_t sh_port_join(struct sh_port *port);

/* Leave the bridge at its next tick; the memory goes when the bridge has let go of it. */
void sh_port_close(struct sh_port *port);

#endif
