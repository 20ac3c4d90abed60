/* Limits and features of Switchhook's PJSIP build. PJSIP allocates for most of these lazily, or a
 * few bytes a slot; they bound what a gateway may be asked for, and are shown by `switchhook doctor`.
 *
 * Left out on purpose:
 * - PJMEDIA_SRTP_HAS_DTLS: starts one clock thread per call.
 */
#define PJSUA_MAX_CALLS 4096
#define PJSUA_MAX_ACC 128
#define PJ_IOQUEUE_MAX_HANDLES 16384
#define PJSIP_MAX_TSX_COUNT 16383
#define PJSIP_MAX_DIALOG_COUNT 8191

/* Not below maxMediaPorts of the endpoint: getPortInfo() would overrun. */
#define PJSUA_MAX_CONF_PORTS 8192
#define PJSUA_MAX_PLAYERS 1024
#define PJSUA_MAX_RECORDERS 1024

/* Stock is 4000: an INVITE with a signed identity and many codecs is larger, and would be dropped
 * without an answer. The gate refuses what is over 8192, so it must be able to see it. */
#define PJSIP_MAX_PKT_LEN 9000

/* A request over 1300 bytes stays on the transport that its trunk names (RFC 3261 18.1.1 would
 * move it to TCP, which few UDP trunks accept). */
#define PJSIP_DONT_SWITCH_TO_TCP 1

/* With IPv6, PJSIP resolves the host's own name on the polling thread wherever an address is not
 * bound; that can stall the loop for seconds. */
#define PJ_HAS_IPV6 0

#define PJ_LOG_MAX_LEVEL 4
#define PJMEDIA_HAS_VIDEO 0

/* Where RTCP goes follows RTP (sip/native/rtp.c decides); stock lets three packets of anybody move it. */
#define PJMEDIA_RTCP_NAT_PROBATION_CNT 0x7fffffff

/* Each I/O queue is polled by one thread: nothing to be exclusive about, and EPOLLEXCLUSIVE makes PJSIP
 * take a socket out of epoll and put it back twice for every packet. */
#define PJ_IOQUEUE_DEFAULT_EPOLL_FLAGS 0

/* Packets that came since the last look are read in few calls of epoll_wait. */
#define PJ_IOQUEUE_MAX_EVENTS_IN_SINGLE_POLL 64
