/* The parts of the gateway that stand inside PJSIP: what crosses their files.
 *
 *   module.c      the Python module `_pjsua2.native`: argument parsing, nothing else; its functions
 *                 stand in module_trunks.c, module_calls.c and module_media.c, what they share in arguments.c
 *   events.c      what happened on the SIP side, queued for Python
 *   log.c         what PJSIP writes into its own log, within bounds
 *   malformed.c   packets that PJSIP cannot read, counted by who sent them
 *   wire.c        every SIP message on the wire, for the ladder and as evidence
 *   shape.c       whether a request may be read at all
 *   gate.c        who may send us what, decided before a call object exists
 *   gate_dialog.c   what is served inside a dialog
 *   gate_tables.c   whom it knows
 *   gate_answers.c  what it answers, counted
 *   challenge.c   which challenges to our own requests are answered
 *   digest.c      challenges those who call, and judges their answers
 *   rate.c        token buckets
 *   resolve.c     host names, looked up by the loop
 *   route.c       which of a trunk's next hops is used
 *   ping.c        whether a next hop is in service
 *   idle.c        connections that peers open and do not use
 *   tls.c         whether a TLS peer is who it should be
 *   refer.c       REFER as a dialog usage of our own (RFC 3515)
 *   referral.c    REFER that a peer sends, answered and reported on as Python decides
 *   capabilities.c  what Allow and Supported say to which trunk
 *   rtp.c         the RTP of a leg between socket and stream
 *   rtp_in.c      the packets that come: whose count
 *   rtp_source.c  the rule by which they do
 *   rtp_probation.c  from which packet on a source is believed
 *   srtp.c        packets that SRTP cannot read: how many, and of which leg
 *   rtp_event.c   its keys: the clock they count by, and how many are told
 *   relay.c       audio passed on between two joined legs without being decoded
 *   rtp_numbers.c  how its packets are numbered
 *   rtp_ports.c   which RTP port the next call gets
 *   call.c        what happens to a call: state, audio, statistics
 *   codecs.c      what a trunk's SDP shows, and its packet time and jitter buffer
 *   clock.c       the media clock: one thread, one eventfd for all legs
 *   frame_pump.c  caller audio to bots and back, in one batch per tick
 *   speech.c      whether the caller speaks
 *   player.c      prompts and waiting sounds from shared memory
 *   recorder.c    what a caller says and hears, for files
 *   facts.c       what this build is and can carry
 *
 * Threads: SIP runs on the thread that polls it (the asyncio loop's), so wire, gate, refer and call
 * are single-threaded, but for digits, which come with the audio. The media clock's thread takes in all
 * audio (rtp) and runs the conference bridge, and with it the ports of frame_pump.c, player.c and
 * recorder.c. No Python runs there.
 */
#ifndef SWITCHHOOK_NATIVE_H
#define SWITCHHOOK_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* module.c */
PyObject *switchhook_native_init(void);

/* Seconds of CLOCK_MONOTONIC: the same clock as Python's time.monotonic(). */
double sh_now(void);

/* events.c */
enum sh_event_kind {
    SH_MESSAGE_RECEIVED = 0, /* number = peer's port, text1 = "udp 10.0.0.2", text2 = message */
    SH_MESSAGE_SENT = 1,     /* likewise */
    SH_REFER_FINAL = 2,      /* number = status code, extra = REFER's id, text1 = reason, text2 = note */
    SH_NOTIFY = 3,           /* number = REFER's id, text2 = message */
    SH_CALL_STATE = 4,       /* number = pjsip_inv_state, extra = status code, text1 = reason */
    SH_CALL_MEDIA = 5,       /* number = slot or -1, extra = held, text1 = codec, text2 = "remote suite" */
    SH_CALL_STREAM = 6,      /* text1 = codec, text2 = ten figures: see call.c */
    SH_CALL_DTMF = 7,        /* number = digit, extra = ms or 0, text1 = "rtp" or "info",
                              * text2 = "passed" if it goes to the other party by itself */
    SH_RTP_REFUSED_SOURCE = 8, /* text1 = "10.0.0.9:4000" */
    SH_RESOLVE = 9,          /* number = what `resolved` is told, text1 = host */
    SH_TLS_REFUSED = 10,     /* text1 = host, text2 = why */
    SH_REFER_RECEIVED = 11,  /* number = referral, text2 = message */
    SH_NOTIFY_FINAL = 12,    /* number = referral, extra = status code, text1 = reason */
    SH_CALL_DTMF_END = 13,   /* number = digit, extra = ms or 0, text2 likewise */
    SH_SUBSCRIBE_RECEIVED = 14, /* number = referral, extra = Expires in s; -1: none */
    SH_PING_ANSWERED = 15,   /* number = what `ping` was given, extra = status code; 0: none, text1 = reason */
    SH_PJSIP_SAYS = 16,      /* number = lines of its kind held back before it, text1 = "10.0.0.9": whose
                              * packet is being read, or empty, text2 = sender and text */
    SH_RTP_UNAUTHENTICATED = 17, /* number = others of the leg were taken, text1 = "10.0.0.9:4000" */
};

struct sh_event {
    enum sh_event_kind kind;
    const pj_str_t *call_id;
    int number, extra;
    const pj_str_t *text1, *text2; /* NULL: empty */
};

void sh_event_push(const struct sh_event *what);
PyObject *sh_events_drain(void);
uint64_t sh_events_drained(void);
uint64_t sh_events_dropped(void);

/* log.c */
void sh_log_hook(void);
uint64_t sh_log_lines(void);

/* malformed.c */
pj_status_t sh_malformed_register(pjsip_endpoint *endpt);
const pjsip_rx_data *sh_packet_being_read(void);
uint64_t sh_malformed_packets(void);
PyObject *sh_malformed_take(void);

/* wire.c, gate.c, challenge.c, refer.c, referral.c, capabilities.c: PJSIP modules, registered once after libInit */
pj_status_t sh_wire_register(pjsip_endpoint *endpt);
pj_status_t sh_gate_register(pjsip_endpoint *endpt);
pj_status_t sh_challenge_register(pjsip_endpoint *endpt);
pj_status_t sh_refer_register(pjsip_endpoint *endpt);
pj_status_t sh_referral_register(pjsip_endpoint *endpt);
pj_status_t sh_capabilities_register(pjsip_endpoint *endpt);

/* shape.c */
const char *sh_shape_fault(const pjsip_rx_data *rdata, int *code);

/* gate_tables.c */
struct sh_source {
    uint32_t network; /* host byte order */
    uint32_t mask;
    pjsua_acc_id account;
};
struct sh_rate {
    double per_second; /* 0: no limit */
    double burst;
};
struct sh_trunk {
    pjsua_acc_id account;
    unsigned max_calls; /* 0: no limit of its own */
    struct sh_rate rate;
    pj_bool_t digest;       /* its calls are challenged */
    pj_bool_t encrypted;    /* its audio must be */
    unsigned transports;    /* 1 << pjsip_transport_type_e of each that its requests may come over */
};
struct sh_gate_policy {
    pj_bool_t draining;
    pj_bool_t drop_unknown;
    pj_bool_t strangers_may_answer; /* to a challenge: some trunk is known by its digest alone */
    unsigned max_legs;
    struct sh_rate per_source;
};
struct sh_gate_tables {
    struct sh_source *sources; /* most specific first */
    struct sh_trunk *trunks;
    unsigned source_count, trunk_count;
    struct sh_gate_policy policy;
};
pj_status_t sh_gate_replace(const struct sh_gate_tables *tables);
struct sh_peer {
    pjsua_acc_id account;
    uint32_t address; /* that its INVITE came from or went to, host byte order; 0: not known */
};
bool sh_gate_is_peer(const pjsip_rx_data *rdata, struct sh_peer peer);

/* gate_answers.c */
PyObject *sh_gate_counters(void);

/* digest.c */
struct sh_credential {
    const char *username, *md5, *sha256; /* H(username:realm:password), RFC 7616 section 3.4.2 */
    pjsua_acc_id account;
    pj_bool_t from_anywhere; /* the username selects the trunk, whatever the source */
};
enum sh_digest_verdict { SH_DIGEST_RIGHT, SH_DIGEST_MISSING, SH_DIGEST_STALE, SH_DIGEST_WRONG };
pj_status_t sh_digest_replace(const char *realm, const struct sh_credential *list, unsigned count);
enum sh_digest_verdict sh_digest_judge(const pjsip_rx_data *rdata, pjsua_acc_id account,
                                       pjsua_acc_id *authenticated);
void sh_digest_challenge(const pjsip_rx_data *rdata, bool stale, pjsip_hdr *headers);

/* rate.c */
struct sh_bucket {
    double tokens, at; /* at: monotonic seconds; 0: never used, and full */
};
struct sh_address_bucket {
    uint32_t address;
    struct sh_bucket bucket;
};
struct sh_rate_table {
    struct sh_address_bucket *rows;
};
bool sh_rate_take(struct sh_bucket *bucket, struct sh_rate rate, double now);
void sh_rate_forget(struct sh_rate_table *table, uint32_t address);
void sh_rate_forget_all(struct sh_rate_table *table);
bool sh_rate_take_for(struct sh_rate_table *table, uint32_t address, struct sh_rate rate, double now);

/* resolve.c */
pj_status_t sh_resolve_register(pjsip_endpoint *endpt);
void sh_resolve_stop(void);
void sh_resolved(unsigned id, const pj_str_t *address);

/* route.c */
#define SH_MAX_HOPS 8
pj_status_t sh_route_set_hops(pjsua_acc_id account, const char *const *uris, unsigned count);
pj_status_t sh_route_use_hop(pjsua_acc_id account, unsigned hop);

/* ping.c */
pj_status_t sh_ping_send(pjsua_acc_id account, const pj_str_t *uri, int id);

/* idle.c */
void sh_idle_accepted(pjsip_transport *tp);
void sh_idle_used(pjsip_transport *tp);

/* tls.c */
struct sh_tls_peer {
    const char *host;        /* empty: everybody who is not listed */
    const char *address;     /* of the host */
    const char *name;        /* what its certificate must say; empty: the host */
    const char *authorities; /* PEM file; empty: the system's */
    pj_bool_t verify;
};
void sh_tls_hook_callbacks(void);
pj_status_t sh_tls_replace(const struct sh_tls_peer *list, unsigned count);
void sh_tls_keep_to(pjsip_dialog *dlg, pjsip_transport *tp);
const char *sh_tls_failure(const pj_sockaddr *where); /* why, or NULL */

/* rtp_ports.c */
void sh_rtp_port_choose(pjsua_acc_id account);
void sh_rtp_port_taken(unsigned port);
void sh_rtp_port_released(unsigned port);

/* rtp.c */
void sh_rtp_hook(void);
const pj_str_t *sh_rtp_call_id(const pjmedia_transport *transport); /* NULL: it is no leg's */
PyObject *sh_rtp_silent(unsigned limit_ms);

/* rtp_in.c; the second: the leg that a packet came to, from within what it makes its stream tell. */
pj_status_t sh_rtp_replace(const struct sh_source *networks, unsigned count);
pjmedia_transport *sh_rtp_delivering(void);
PyObject *sh_rtp_counters(void);

/* srtp.c */
void sh_srtp_look(pj_ioqueue_key_t *key, const void *buffer, const pj_sockaddr *from);

/* rtp_event.c */
struct sh_key {
    bool begins, ends;
    unsigned ms; /* 0: not known */
};
void sh_rtp_event_clocks(pjmedia_transport *transport, unsigned in, unsigned out);
struct sh_key sh_rtp_key_judge(pjmedia_transport *transport, struct sh_key found, bool by_info);
uint64_t sh_rtp_keys_refused(void);

/* relay.c */
bool sh_relay_join(pjsua_call_id one, pjsua_call_id other);
void sh_relay_part(pjsua_call_id call);
bool sh_relay_key_passes(pjmedia_transport *transport);
void sh_relay_figures(pjmedia_transport *transport, uint64_t *passed, uint64_t *skipped);

/* codecs.c */
#define SH_MAX_CODECS 8
#define SH_CODEC_NAME 16
enum sh_keys { SH_KEYS_NEVER, SH_KEYS_AS_CONFIGURED, SH_KEYS_ALWAYS }; /* Keys of sip/offer.py */
struct sh_codecs {
    pjsua_acc_id account;
    unsigned ptime, jitter_min, jitter_max; /* ms */
    enum sh_keys keys;                      /* of SRTP, in one call's offer */
    unsigned count;
    char names[SH_MAX_CODECS][SH_CODEC_NAME]; /* as in SDP, the preferred first */
};
pj_status_t sh_codecs_replace(const struct sh_codecs *list, unsigned count);
void sh_codecs_prefer(pjsua_call_id call, const pj_str_t *name);
void sh_codecs_offer(pjsua_call_id call, const struct sh_codecs *instead);
void sh_codecs_hook_callbacks(void);

/* refer.c */
pj_status_t sh_refer_send(pjsua_call_id call, const pj_str_t *refer_to, pjsip_hdr *headers, int *id);
pj_status_t sh_refer_unsubscribe(int id);
void sh_refer_end(int id);
void sh_refer_call_over(const pjsip_dialog *dlg);
unsigned sh_refer_count(void);

/* referral.c */
struct sh_transfers_in {
    pjsua_acc_id account;
    int refer, replaces;
};
pj_status_t sh_transfers_in_replace(const struct sh_transfers_in *table, unsigned count);
bool sh_transfers_in_allow(pjsua_acc_id account, bool replaces);
void sh_referral_receive(pjsip_dialog *dlg, pjsip_rx_data *rdata);
bool sh_referral_subscribe(pjsip_dialog *dlg, pjsip_rx_data *rdata);
pj_status_t sh_referral_answer(unsigned id, int code, const pj_str_t *reason, pjsip_hdr *headers);
pj_status_t sh_referral_notify(unsigned id, const pj_str_t *sipfrag, pjsip_hdr *headers);
void sh_referral_close(unsigned id);

/* facts.c */
PyObject *sh_facts(void);

/* call.c */
void sh_call_hook_callbacks(void);
void sh_call_choose_slot(uint32_t address);
struct sh_peer sh_call_peer(const pjsip_dialog *dlg);
pjsip_dialog *sh_call_dialog(pjsua_call_id call);
const pj_str_t *sh_call_id(pjsua_call_id call);
bool sh_call_id_is_taken(const pj_str_t *call_id);
void sh_call_keep_to_audio(pjsua_call_id call);
int sh_call_slot(pjsua_call_id call);
pjmedia_transport *sh_call_transport(pjsua_call_id call);
pjsua_acc_id sh_call_account(const pjsip_dialog *dlg);
unsigned sh_call_rx_packets(pjsua_call_id call);

/* clock.c */
pj_status_t sh_clock_start(int *eventfd_out, bool *real_time);
void sh_clock_stop(void);
unsigned long long sh_clock_tick(void); /* of the clock thread: the tick it is in */
PyObject *sh_clock_counters(void);

/* frame_pump.c */
enum sh_samples { SH_PCM16, SH_PCMU, SH_PCMA }; /* as a bot has them: _FORMATS in frame_pump.py */

pj_status_t sh_pump_open(unsigned rate, enum sh_samples format, unsigned *id, int *slot);
pj_status_t sh_pump_close(unsigned id);
Py_ssize_t sh_pump_read(uint8_t *buffer, Py_ssize_t size);
Py_ssize_t sh_pump_write(unsigned id, const uint8_t *data, Py_ssize_t size);
pj_status_t sh_pump_clear(unsigned id);
PyObject *sh_pump_state(unsigned id);
pj_status_t sh_pump_listen(unsigned id, unsigned start_ms, unsigned stop_ms, float threshold_db);
PyObject *sh_pump_quiet(unsigned id);
PyObject *sh_speech_judge(const int16_t *samples, size_t count, unsigned rate, unsigned start_ms,
                          unsigned stop_ms, float threshold_db);

/* recorder.c */
pj_status_t sh_recorder_open(unsigned *id, int *left, int *right);
pj_status_t sh_recorder_pause(unsigned id, bool paused);
pj_status_t sh_recorder_leave(unsigned id);
pj_status_t sh_recorder_free(unsigned id);
Py_ssize_t sh_recorder_read(unsigned id, uint8_t *buffer, Py_ssize_t size);
PyObject *sh_recorder_state(unsigned id);

/* player.c */
typedef struct sh_sound sh_sound;
sh_sound *sh_sound_create(const void *samples, Py_ssize_t bytes);
void sh_sound_release(sh_sound *sound);
pj_status_t sh_player_open(unsigned rate, unsigned *id, int *slot);
pj_status_t sh_player_close(unsigned id);
pj_status_t sh_player_play(unsigned id, sh_sound *sound, pj_bool_t loop, unsigned *play);
pj_status_t sh_player_stop(unsigned id);
PyObject *sh_player_finished(void);

#endif
