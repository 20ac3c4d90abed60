/* Whom the gate knows: the networks that requests come from, the trunks that they belong to, and what is
 * allowed to all of them. Made from the settings by sip/gate.py, and replaced where those change.
 */
#include "gate.h"

#include <stdlib.h>
#include <string.h>

static struct sh_gate_tables tables;

const struct sh_source *sh_gate_find_source(const pjsip_rx_data *rdata)
{
    uint32_t address = sh_gate_address_of(rdata);

    if (rdata->pkt_info.src_addr.addr.sa_family != pj_AF_INET())
        return NULL;
    for (unsigned i = 0; i < tables.source_count; i++)
        if ((address & tables.sources[i].mask) == tables.sources[i].network)
            return &tables.sources[i];
    return NULL;
}

const struct sh_trunk *sh_gate_find_trunk(pjsua_acc_id account)
{
    for (unsigned i = 0; i < tables.trunk_count; i++)
        if (tables.trunks[i].account == account)
            return &tables.trunks[i];
    return NULL;
}

const struct sh_gate_policy *sh_gate_policy(void)
{
    return &tables.policy;
}

/* Whether a message came from the peer of a call: from its trunk's networks, or from the very address
 * that the call was agreed with. A trunk that is known by its digest has no networks; the address that
 * its INVITE came from has proved itself, as a nonce is good for one address. */
bool sh_gate_is_peer(const pjsip_rx_data *rdata, struct sh_peer peer)
{
    const struct sh_source *source = sh_gate_find_source(rdata);

    return (source && source->account == peer.account) ||
           (peer.address && rdata->pkt_info.src_addr.addr.sa_family == pj_AF_INET() &&
            sh_gate_address_of(rdata) == peer.address);
}

static void *copy_of(const void *rows, size_t size)
{
    void *copy = malloc(size ? size : 1);

    if (copy)
        memcpy(copy, rows, size);
    return copy;
}

/* All at once, so that no request meets half of two configurations. Buckets stay as full as they are. */
pj_status_t sh_gate_replace(const struct sh_gate_tables *from)
{
    struct sh_gate_tables fresh = *from;

    fresh.sources = copy_of(from->sources, from->source_count * sizeof *from->sources);
    fresh.trunks = copy_of(from->trunks, from->trunk_count * sizeof *from->trunks);
    if (!fresh.sources || !fresh.trunks) {
        free(fresh.sources);
        free(fresh.trunks);
        return PJ_ENOMEM;
    }
    free(tables.sources);
    free(tables.trunks);
    tables = fresh;
    return PJ_SUCCESS;
}
