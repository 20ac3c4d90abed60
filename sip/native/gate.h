/* The admission gate, shared by gate.c, gate_dialog.c, gate_tables.c and gate_answers.c. */
#ifndef SWITCHHOOK_GATE_H
#define SWITCHHOOK_GATE_H

#include "native.h"

/* What becomes of a request; gate_answers.c has the names. */
enum gate_counter {
    ADMITTED,
    CHALLENGED,
    REFUSED_SOURCE,
    REFUSED_TRANSPORT,
    REFUSED_SCANNER,
    REFUSED_CREDENTIALS,
    REFUSED_RATE,
    REFUSED_TRUNK_LIMIT,
    REFUSED_UNENCRYPTED,
    REFUSED_SHAPE,
    REFUSED_METHOD,
    REFUSED_DRAINING,
    REFUSED_LIMIT,
    REFUSED_TRANSFER,
    REFUSED_CALL_ID,
    COUNTERS
};

static inline bool sh_gate_method_is(const pjsip_rx_data *rdata, const char *name)
{
    return pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, name) == 0;
}

/* The names end with NULL. */
static inline bool sh_gate_method_among(const pjsip_rx_data *rdata, const char *const *names)
{
    while (*names)
        if (sh_gate_method_is(rdata, *names++))
            return true;
    return false;
}

/* Of the sender, host byte order. */
static inline uint32_t sh_gate_address_of(const pjsip_rx_data *rdata)
{
    return pj_ntohl(rdata->pkt_info.src_addr.ipv4.sin_addr.s_addr);
}

/* gate.c */
void sh_gate_turn_away(pjsip_rx_data *rdata, enum gate_counter counter, int code, const char *reason);

/* gate_dialog.c; PJ_TRUE: done with, PJSIP does not get it. */
pj_bool_t sh_gate_request_in_dialog(pjsip_rx_data *rdata);

/* gate_tables.c; NULL: there is none. */
const struct sh_source *sh_gate_find_source(const pjsip_rx_data *rdata);
const struct sh_trunk *sh_gate_find_trunk(pjsua_acc_id account);
const struct sh_gate_policy *sh_gate_policy(void);

/* gate_answers.c; `reason` may be NULL for the code's own, `header` for none. */
void sh_gate_count(enum gate_counter counter);
void sh_gate_refuse(pjsip_rx_data *rdata, enum gate_counter counter, int code, const char *reason,
                    const char *header, const char *value);
void sh_gate_refuse_method(pjsip_rx_data *rdata);
void sh_gate_answer_ok(pjsip_rx_data *rdata);

#endif
