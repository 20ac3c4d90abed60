/* Where a host is: PJSIP asks here instead of the system, which would answer on the loop's thread, in
 * seconds where a name server is slow. An address is its own answer; a name is looked up by the loop
 * and answered later.
 *
 * The name stays with the request: TLS sends it as SNI and verifies the peer by it.
 */
#include "native.h"

#include <stdlib.h>

struct question {
    struct question *next;
    unsigned id;
    pjsip_transport_type_e type;
    int port;
    void *token;
    pjsip_resolver_callback *answer;
};

static struct question *questions;
static unsigned last_id;

static pjsip_transport_type_e type_of(const pjsip_host_info *target)
{
    if (target->type != PJSIP_TRANSPORT_UNSPECIFIED)
        return target->type;
    if (target->flag & PJSIP_TRANSPORT_SECURE)
        return PJSIP_TRANSPORT_TLS;
    return target->flag & PJSIP_TRANSPORT_RELIABLE ? PJSIP_TRANSPORT_TCP : PJSIP_TRANSPORT_UDP;
}

static void answer_with(const struct question *question, pj_in_addr address)
{
    pjsip_server_addresses addresses = {.count = 1};
    pj_sockaddr *where = &addresses.entry[0].addr;
    int port = question->port;

    if (!port)
        port = pjsip_transport_get_default_port_for_type(question->type);
    pj_sockaddr_init(pj_AF_INET(), where, NULL, (pj_uint16_t)port);
    where->ipv4.sin_addr = address;
    addresses.entry[0].type = question->type;
    addresses.entry[0].addr_len = pj_sockaddr_get_len(where);
    question->answer(PJ_SUCCESS, question->token, &addresses);
}

static void resolve(pjsip_resolver_t *resolver, pj_pool_t *pool, const pjsip_host_info *target,
                    void *token, pjsip_resolver_callback *answer)
{
    struct question now = {.type = type_of(target), .port = target->addr.port, .token = token,
                           .answer = answer};
    struct question *question;
    pj_in_addr address;
    pj_str_t none = {NULL, 0};

    (void)resolver, (void)pool;
    if (target->addr.host.slen &&
        pj_inet_pton(pj_AF_INET(), &target->addr.host, &address) == PJ_SUCCESS) {
        answer_with(&now, address);
        return;
    }
    question = malloc(sizeof *question);
    if (!question) {
        answer(PJ_ENOMEM, token, NULL);
        return;
    }
    *question = now;
    question->id = ++last_id;
    question->next = questions;
    questions = question;
    sh_event_push(&(struct sh_event){.kind = SH_RESOLVE, .call_id = &none,
                                     .number = (int)question->id, .text1 = &target->addr.host});
}

/* The loop's answer; an empty address: the name has none. */
void sh_resolved(unsigned id, const pj_str_t *address_text)
{
    struct question **link = &questions, *question;
    pj_in_addr address;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    question = *link;
    if (!question)
        return;
    *link = question->next;
    if (address_text->slen && pj_inet_pton(pj_AF_INET(), address_text, &address) == PJ_SUCCESS)
        answer_with(question, address);
    else
        question->answer(PJ_ERESOLVE, question->token, NULL);
    free(question);
}

/* PJSIP is about to go: whoever still waits is told that there is no address. */
void sh_resolve_stop(void)
{
    pj_str_t none = {"", 0};

    while (questions)
        sh_resolved(questions->id, &none);
}

pj_status_t sh_resolve_register(pjsip_endpoint *endpt)
{
    static pjsip_ext_resolver resolver = {.resolve = resolve};

    return pjsip_endpt_set_ext_resolver(endpt, &resolver);
}
