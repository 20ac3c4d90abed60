#include "port.h"

static pj_status_t on_destroy(pjmedia_port *base)
{
    struct sh_port *port = (struct sh_port *)base;
    pj_pool_t *pool = port->pool;

    if (port->released)
        port->released(port);
    pj_pool_release(pool);
    return PJ_SUCCESS;
}

struct sh_port *sh_port_create(const char *name, size_t size, unsigned rate, sh_frame_fn *put,
                               sh_frame_fn *get, void (*released)(struct sh_port *))
{
    pj_pool_t *pool = pjsua_pool_create(name, size + 2048, 2048);
    const pj_str_t port_name = {(char *)name, (pj_ssize_t)pj_ansi_strlen(name)};
    struct sh_port *port;

    if (!pool)
        return NULL;
    port = pj_pool_zalloc(pool, size);
    port->pool = pool;
    pjmedia_port_info_init(&port->base.info, &port_name, PJMEDIA_SIG_CLASS_APP('S', 'W', 'H'), rate, 1,
                           16, rate / 50);
    port->base.put_frame = put;
    port->base.get_frame = get;
    port->base.on_destroy = on_destroy;
    port->released = released;
    if (pjmedia_port_init_grp_lock(&port->base, pool, NULL) != PJ_SUCCESS) {
        pj_pool_release(pool);
        return NULL;
    }
    return port;
}

pj_status_t sh_port_join(struct sh_port *port)
{
    pj_status_t status = pjsua_conf_add_port(port->pool, &port->base, &port->slot);

    if (status != PJ_SUCCESS)
        pjmedia_port_destroy(&port->base);
    return status;
}

void sh_port_close(struct sh_port *port)
{
    pjsua_conf_remove_port(port->slot);
    pjmedia_port_destroy(&port->base); /* drops our reference; the bridge holds its own */
}
