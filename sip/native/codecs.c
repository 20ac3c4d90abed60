/* What each trunk's SDP shows, and what its streams are made of.
 *
 * PJSIP knows one order of codecs, one packet time and one jitter buffer for all accounts. Here every
 * local SDP is cut down to the codecs of its call's account, in their order, before it is negotiated;
 * and each stream gets the account's packet time and jitter buffer before it is made.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PTIME 60 /* ms; beyond it a peer could ask for packets of 2.5 s */

/* Frames that come in a burst find room beyond the greatest delay, and so does what a peer sends faster
 * than we play where the delay is fixed. */
#define ROOM_MS 200

static const pj_str_t rtpmap = {"rtpmap", 6}, fmtp = {"fmtp", 4}, ptime = {"ptime", 5},
                      maxptime = {"maxptime", 8}, telephone_event = {"telephone-event", 15},
                      opus = {"opus", 4};

static struct sh_codecs *table;
static unsigned table_count;

/* By call: the codec that an offer of ours begins with, if the account has it; empty: its order. */
static char first_choice[PJSUA_MAX_CALLS][SH_CODEC_NAME];

/* By call: what offers of ours show instead of all that the account has; no codecs: they show that. */
static struct sh_codecs instead_of[PJSUA_MAX_CALLS];

pj_status_t sh_codecs_replace(const struct sh_codecs *list, unsigned count)
{
    struct sh_codecs *copy = malloc((count ? count : 1) * sizeof *copy);

    if (!copy)
        return PJ_ENOMEM;
    memcpy(copy, list, count * sizeof *copy);
    free(table);
    table = copy;
    table_count = count;
    return PJ_SUCCESS;
}

static const struct sh_codecs *of_account(pjsua_acc_id account)
{
    for (unsigned i = 0; i < table_count; i++)
        if (table[i].account == account)
            return &table[i];
    return NULL;
}

void sh_codecs_prefer(pjsua_call_id call, const pj_str_t *name)
{
    size_t length = (size_t)name->slen;

    if (call < 0 || call >= PJSUA_MAX_CALLS)
        return;
    if (length >= SH_CODEC_NAME)
        length = 0;
    memcpy(first_choice[call], name->ptr, length);
    first_choice[call][length] = '\0';
}

/* `instead`: NULL for an offer as the account has it. */
void sh_codecs_offer(pjsua_call_id call, const struct sh_codecs *instead)
{
    if (call < 0 || call >= PJSUA_MAX_CALLS)
        return;
    if (instead)
        instead_of[call] = *instead;
    else
        instead_of[call].count = 0;
}

static unsigned ptime_of(pjsua_call_id call, const struct sh_codecs *account)
{
    return instead_of[call].count ? instead_of[call].ptime : account->ptime;
}

static bool describe(const pjmedia_sdp_media *media, const pj_str_t *format, pjmedia_sdp_rtpmap *map)
{
    const pjmedia_sdp_attr *attr = pjmedia_sdp_media_find_attr(media, &rtpmap, format);

    return attr && pjmedia_sdp_attr_get_rtpmap(attr, map) == PJ_SUCCESS;
}

static void take_attribute(pjmedia_sdp_media *to, const pjmedia_sdp_media *from,
                           const pj_str_t *name, const pj_str_t *format)
{
    pjmedia_sdp_attr *attr = pjmedia_sdp_media_find_attr(from, name, format);

    if (attr)
        to->attr[to->attr_count++] = attr;
}

/* Every format of this name and clock rate (0: any). The clock rate of the first; 0: there is none. */
static unsigned take(pjmedia_sdp_media *to, const pjmedia_sdp_media *from, const pj_str_t *name,
                     unsigned clock_rate)
{
    for (unsigned i = 0; i < from->desc.fmt_count; i++) {
        const pj_str_t *format = &from->desc.fmt[i];
        pjmedia_sdp_rtpmap map;

        if (!describe(from, format, &map) || pj_stricmp(&map.enc_name, name) != 0 ||
            (clock_rate && map.clock_rate != clock_rate))
            continue;
        for (unsigned j = 0; j < to->desc.fmt_count; j++)
            if (pj_strcmp(&to->desc.fmt[j], format) == 0)
                return map.clock_rate; /* the first choice has been taken before the others */
        to->desc.fmt[to->desc.fmt_count++] = *format;
        take_attribute(to, from, &rtpmap, format);
        take_attribute(to, from, &fmtp, format);
        return map.clock_rate;
    }
    return 0;
}

static void take_all(pjmedia_sdp_media *to, const pjmedia_sdp_media *from,
                     const struct sh_codecs *codecs, const char *first)
{
    unsigned clock_rates[SH_MAX_CODECS + 1], count = 0;

    for (unsigned i = 0; i < codecs->count; i++)
        if (pj_ansi_stricmp(codecs->names[i], first) == 0) {
            pj_str_t name = pj_str((char *)codecs->names[i]);

            clock_rates[count++] = take(to, from, &name, 0);
        }
    for (unsigned i = 0; i < codecs->count; i++) {
        pj_str_t name = pj_str((char *)codecs->names[i]);

        clock_rates[count++] = take(to, from, &name, 0);
    }
    /* Digits run on the clock of the codec they come beside (RFC 4733 section 2.1), that of the first
     * codec before the others: PJSIP listens to the first. */
    for (unsigned i = 0; i < count; i++)
        if (clock_rates[i])
            take(to, from, &telephone_event, clock_rates[i]);
}

/* Where the account's keys are optional PJSIP writes them beside plain RTP. */
static void set_keys(pjmedia_sdp_media *media, enum sh_keys keys)
{
    static const pj_str_t plain = {"RTP/AVP", 7}, secure = {"RTP/SAVP", 8};

    if (pj_strcmp(&media->desc.transport, &plain) != 0)
        return;
    if (keys == SH_KEYS_NEVER)
        pjmedia_sdp_media_remove_all_attr(media, "crypto");
    else if (keys == SH_KEYS_ALWAYS && pjmedia_sdp_media_find_attr2(media, "crypto", NULL))
        media->desc.transport = secure;
}

static void add_number(pj_pool_t *pool, pjmedia_sdp_media *media, const pj_str_t *name, unsigned value)
{
    char text[12];
    pj_str_t number = {text, 0};

    number.slen = pj_utoa(value, text);
    pjmedia_sdp_media_add_attr(media, pjmedia_sdp_attr_create(pool, name->ptr, &number));
}

/* Our SDP, an offer where the peer has sent none. What is left may have nothing in common with the
 * peer's: PJSIP then answers 488. */
static void on_call_sdp_created(pjsua_call_id id, pjmedia_sdp_session *sdp, pj_pool_t *pool,
                                const pjmedia_sdp_session *remote)
{
    const struct sh_codecs *account = of_account(pjsua_var.calls[id].acc_id);
    bool instead = account && !remote && instead_of[id].count;
    const struct sh_codecs *codecs = instead ? &instead_of[id] : account;

    for (unsigned i = 0; codecs && i < sdp->media_count; i++) {
        pjmedia_sdp_media *media = sdp->media[i], *kept;

        if (pj_stricmp2(&media->desc.media, "audio") != 0 || media->desc.port == 0)
            continue;
        if (instead)
            set_keys(media, codecs->keys);
        kept = PJ_POOL_ZALLOC_T(pool, pjmedia_sdp_media);
        take_all(kept, media, codecs, remote ? "" : first_choice[id]);
        if (kept->desc.fmt_count == 0)
            continue;
        for (unsigned j = 0; j < media->attr_count; j++)
            if (pj_strcmp(&media->attr[j]->name, &rtpmap) != 0 &&
                pj_strcmp(&media->attr[j]->name, &fmtp) != 0)
                kept->attr[kept->attr_count++] = media->attr[j];
        memcpy(media->desc.fmt, kept->desc.fmt, sizeof kept->desc.fmt);
        media->desc.fmt_count = kept->desc.fmt_count;
        memcpy(media->attr, kept->attr, sizeof kept->attr);
        media->attr_count = kept->attr_count;
        add_number(pool, media, &ptime, ptime_of(id, account));
        add_number(pool, media, &maxptime, MAX_PTIME);
    }
}

static const pjmedia_sdp_media *negotiated(const pjsua_call *call, unsigned index, bool remote)
{
    const pjmedia_sdp_session *sdp = NULL;
    pjmedia_sdp_neg *neg = call->inv ? call->inv->neg : NULL;
    pj_status_t status = PJ_ENOTFOUND;

    if (neg)
        status = remote ? pjmedia_sdp_neg_get_active_remote(neg, &sdp)
                        : pjmedia_sdp_neg_get_active_local(neg, &sdp);
    return status == PJ_SUCCESS && index < sdp->media_count ? sdp->media[index] : NULL;
}

/* Milliseconds in each packet that we send: what the peer asks for (RFC 8866 section 6.4), or else
 * what the account says. */
static unsigned packet_time(const pjmedia_sdp_media *remote, unsigned otherwise)
{
    const pjmedia_sdp_attr *asked = remote ? pjmedia_sdp_media_find_attr(remote, &ptime, NULL) : NULL;
    const pjmedia_sdp_attr *most = remote ? pjmedia_sdp_media_find_attr(remote, &maxptime, NULL) : NULL;
    unsigned chosen = asked ? (unsigned)pj_strtoul(&asked->value) : otherwise;
    unsigned limit = most ? (unsigned)pj_strtoul(&most->value) : MAX_PTIME;

    if (chosen == 0)
        chosen = otherwise;
    if (limit >= 10 && chosen > limit)
        chosen = limit;
    chosen = (chosen + 5) / 10 * 10;
    return chosen < 10 ? 10 : chosen > MAX_PTIME ? MAX_PTIME : chosen;
}

static void set_packet_time(pjmedia_stream_info *info, unsigned milliseconds)
{
    /* Frames of 10 ms fit into every packet; Opus has longer ones too, which sound better. */
    if (pj_stricmp(&info->fmt.encoding_name, &opus) == 0)
        info->param->info.frm_ptime = milliseconds % 20 ? 10 : 20;
    if (info->param->info.frm_ptime)
        info->param->setting.frm_per_pkt =
            (pj_uint8_t)(milliseconds / info->param->info.frm_ptime);
}

/* PJSIP takes the first telephone-event of an SDP, also where that is left with two codecs and a clock for
 * each. Here it is the one beside the codec that is spoken, if it has one. Returns the clock of the one
 * that counts; 0: there is none. */
static unsigned choose_event(int *number, const pjmedia_sdp_media *media, unsigned audio_clock)
{
    unsigned clock_rate = 0;

    for (unsigned i = 0; media && i < media->desc.fmt_count; i++) {
        int at = (int)pj_strtoul(&media->desc.fmt[i]);
        pjmedia_sdp_rtpmap map;

        if (!describe(media, &media->desc.fmt[i], &map) ||
            pj_stricmp(&map.enc_name, &telephone_event) != 0)
            continue;
        if (map.clock_rate == audio_clock) {
            *number = at;
            return audio_clock;
        }
        if (at == *number)
            clock_rate = map.clock_rate;
    }
    return clock_rate;
}

static void choose_events(const pjsua_call *call, unsigned index, pjmedia_stream_info *info)
{
    bool is_opus = pj_stricmp(&info->fmt.encoding_name, &opus) == 0;
    unsigned audio_clock = is_opus ? 48000 : 8000; /* G.722 counts as if it had 8000 samples */
    unsigned in = choose_event(&info->rx_event_pt, negotiated(call, index, false), audio_clock);
    unsigned out = choose_event(&info->tx_event_pt, negotiated(call, index, true), audio_clock);

    sh_rtp_event_clocks(call->media[index].tp, in, out);
}

/* A jitter buffer gets rid of delay by cutting audio out. PJSIP's progressive way cuts whenever more than
 * a packet waits: a peer whose packets come right at the tick, now before and now behind it, lost 20 ms
 * every few seconds. The static one cuts 10 ms at a time of what exceeds twice the jitter; so a faster
 * clock than ours does not fill the buffer. */
static pjmedia_jb_discard_algo shrinking(const struct sh_codecs *codecs)
{
    return codecs->jitter_min == codecs->jitter_max ? PJMEDIA_JB_DISCARD_NONE
                                                    : PJMEDIA_JB_DISCARD_STATIC;
}

static void on_stream_precreate(pjsua_call_id id, pjsua_on_stream_precreate_param *param)
{
    const pjsua_call *call = &pjsua_var.calls[id];
    const struct sh_codecs *codecs = of_account(call->acc_id);
    pjmedia_stream_info *info = &param->stream_info.info.aud;

    if (!codecs || param->stream_info.type != PJMEDIA_TYPE_AUDIO)
        return;
    info->jb_init = info->jb_min_pre = (int)codecs->jitter_min;
    info->jb_max_pre = (int)codecs->jitter_max;
    info->jb_max = (int)codecs->jitter_max + ROOM_MS;
    info->jb_discard_algo = shrinking(codecs);
    set_packet_time(info, packet_time(negotiated(call, param->stream_idx, true), ptime_of(id, codecs)));
    choose_events(call, param->stream_idx, info);
    /* An offer of ours within the call does not ask the peer to change the codec. */
    sh_codecs_prefer(id, &info->fmt.encoding_name);
}

void sh_codecs_hook_callbacks(void)
{
    pjsua_var.ua_cfg.cb.on_call_sdp_created = on_call_sdp_created;
    pjsua_var.ua_cfg.cb.on_stream_precreate = on_stream_precreate;
}
