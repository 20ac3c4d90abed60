/* What PJSIP writes into its own log, as events: a few lines of each kind, and how many were held back.
 *
 * PJSIP complains of what peers do to it, once for each time, and in their words. So a line is cut at
 * its first end, is made of printable ASCII only, and comes as an event like any other; whoever provokes
 * many of them is heard of now and then.
 */
#include "native.h"

#include <pthread.h>
#include <string.h>

/* Lines of one kind. */
static const struct sh_rate rate = {.per_second = 1.0 / 60, .burst = 5};

#define KINDS 16

#define MAX_TEXT 240

/* As PJSIP writes it, the sender stands before each line. What follows "0x" tells objects of one kind
 * apart. */
struct kind {
    struct sh_bucket bucket;
    unsigned held_back;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct kind kinds[KINDS];
static uint64_t lines;

static pj_str_t sender_of(const char *line, int length)
{
    pj_str_t sender = {(char *)line, 0};

    while (sender.slen < length && line[sender.slen] != ' ' &&
           strncmp(line + sender.slen, "0x", 2) != 0)
        sender.slen++;
    return sender;
}

/* Whether a line is to be told; by then, how many of its kind were not. */
static bool take(const pj_str_t *sender, unsigned *held_back)
{
    struct kind *kind = &kinds[pj_hash_calc(0, sender->ptr, (unsigned)sender->slen) % KINDS];
    bool taken;

    pthread_mutex_lock(&mutex);
    lines++;
    taken = sh_rate_take(&kind->bucket, rate, sh_now());
    *held_back = kind->held_back;
    kind->held_back = taken ? 0 : kind->held_back + 1;
    pthread_mutex_unlock(&mutex);
    return taken;
}

/* Of a packet that will be dropped, which malformed.c counts: while it is parsed, and when the endpoint is
 * told of the fault that was found. */
static bool tells_of_malformed(const pj_str_t *sender)
{
    const pjsip_rx_data *rdata = sh_packet_being_read();

    return rdata && (!rdata->msg_info.msg || pj_strcmp2(sender, "sip_endpoint.c") == 0);
}

static void on_line(int level, const char *line, int length)
{
    char text[MAX_TEXT];
    const pjsip_rx_data *rdata = sh_packet_being_read();
    pj_str_t sender, said = {text, 0}, source, none = {NULL, 0};
    unsigned held_back;

    (void)level;
    for (; length > 0 && *line == ' '; length--) /* the sender is aligned */
        line++;
    sender = sender_of(line, length);
    if (tells_of_malformed(&sender) || !take(&sender, &held_back))
        return;
    for (; said.slen < length && said.slen < MAX_TEXT; said.slen++) {
        char letter = line[said.slen];

        if (letter == '\r' || letter == '\n')
            break;
        text[said.slen] = letter >= ' ' && letter <= '~' ? letter : '?';
    }
    source = rdata ? pj_str((char *)rdata->pkt_info.src_name) : none;
    sh_event_push(&(struct sh_event){.kind = SH_PJSIP_SAYS, .call_id = &none,
                                     .number = (int)held_back, .text1 = &source, .text2 = &said});
}

/* After libInit, which lets PJSIP write to stdout. */
void sh_log_hook(void)
{
    pj_log_set_decor(PJ_LOG_HAS_SENDER);
    pj_log_set_log_func(on_line);
}

uint64_t sh_log_lines(void)
{
    uint64_t count;

    pthread_mutex_lock(&mutex);
    count = lines;
    pthread_mutex_unlock(&mutex);
    return count;
}
