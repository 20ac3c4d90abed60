/* Which of a trunk's next hops is used: by the calls that are dialled from now on, and by its REGISTERs. */
#include "native.h"

static pjsip_route_hdr *hops[PJSUA_MAX_ACC][SH_MAX_HOPS];
static unsigned hop_counts[PJSUA_MAX_ACC];

/* `uris`: as Route headers have them, with `lr` and `hide`. They live as long as the account. */
pj_status_t sh_route_set_hops(pjsua_acc_id account, const char *const *uris, unsigned count)
{
    pj_str_t name = pj_str("Route");

    if (!pjsua_acc_is_valid(account) || count > SH_MAX_HOPS)
        return PJ_EINVAL;
    hop_counts[account] = 0;
    for (unsigned i = 0; i < count; i++) {
        pj_str_t copy;

        pj_strdup2_with_null(pjsua_var.acc[account].pool, &copy, uris[i]);
        hops[account][i] = pjsip_parse_hdr(pjsua_var.acc[account].pool, &name, copy.ptr,
                                           (pj_size_t)copy.slen, NULL);
        if (!hops[account][i])
            return PJSIP_EINVALIDURI;
    }
    hop_counts[account] = count;
    return PJ_SUCCESS;
}

/* The hop is the first Route of the account; a Service-Route may follow it (RFC 3608). */
pj_status_t sh_route_use_hop(pjsua_acc_id account, unsigned hop)
{
    pjsua_acc *acc;

    if (!pjsua_acc_is_valid(account) || hop >= hop_counts[account])
        return PJ_EINVAL;
    acc = &pjsua_var.acc[account];
    if (acc->route_set.next == hops[account][hop])
        return PJ_SUCCESS;
    if (!pj_list_empty(&acc->route_set))
        pj_list_erase(acc->route_set.next);
    pj_list_insert_after(&acc->route_set, hops[account][hop]);
    return acc->regc ? pjsip_regc_set_route_set(acc->regc, &acc->route_set) : PJ_SUCCESS;
}
