/* Whether a request may be read at all.
 *
 * Bounds keep known PJSIP 2.17 defects out of reach: overflow on many SDES crypto tags and media
 * lines, out-of-bounds printing of long headers. No trunk's INVITE comes near them. The rest is what
 * PJSIP takes although RFC 3261 forbids it, because two readers would read two things in it.
 */
#define _GNU_SOURCE /* memmem */
#include "native.h"

#include <string.h>
#include <strings.h>

#define MAX_MESSAGE_BYTES 8192
#define MAX_LINE_BYTES 1024
#define MAX_CRYPTO_LINES 32
#define MAX_MEDIA_LINES 4

static bool starts_with(const char *line, const char *end, const char *prefix)
{
    size_t length = strlen(prefix);

    return (size_t)(end - line) >= length && memcmp(line, prefix, length) == 0;
}

static bool is_small(const char *text, int size)
{
    const char *end = text + size;
    unsigned crypto = 0, media = 0;

    if (size > MAX_MESSAGE_BYTES)
        return false;
    for (const char *line = text; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));

        next = next ? next + 1 : end;
        if (next - line > MAX_LINE_BYTES)
            return false;
        crypto += starts_with(line, next, "a=crypto:");
        media += starts_with(line, next, "m=");
        line = next;
    }
    return crypto <= MAX_CRYPTO_LINES && media <= MAX_MEDIA_LINES;
}

/* Method, one space, a URI without spaces, one space, version (RFC 3261 section 7.1). PJSIP also takes
 * tabs, and a line that is folded. */
static bool has_request_line(const char *text, int size)
{
    static const char version[] = " SIP/2.0";
    const char *end = memchr(text, '\n', (size_t)size), *uri, *uri_end;

    if (!end)
        return false;
    if (end > text && end[-1] == '\r')
        end--;
    uri_end = end - (sizeof version - 1);
    uri = memchr(text, ' ', (size_t)(end - text));
    if (!uri || uri + 1 >= uri_end || strncasecmp(uri_end, version, sizeof version - 1) != 0)
        return false;
    for (const char *at = text; at < uri_end; at++)
        if ((unsigned char)*at <= ' ' && at != uri)
            return false;
    return true;
}

static const char head_ends[] = "\r\n\r\n";

/* Bytes of start line and headers, without the last line end. */
static size_t head_bytes(const pjsip_rx_data *rdata)
{
    const char *text = rdata->msg_info.msg_buf;
    size_t size = (size_t)rdata->msg_info.len;
    const char *end = memmem(text, size, head_ends, sizeof head_ends - 1);

    return end ? (size_t)(end - text) : size;
}

/* Bytes behind the headers. */
static size_t body_bytes(const pjsip_rx_data *rdata)
{
    size_t size = (size_t)rdata->msg_info.len, head = head_bytes(rdata);

    return head < size ? size - head - (sizeof head_ends - 1) : 0;
}

/* PJSIP takes a CR alone for the end of a line; others read on. What is repeated of such a header in an
 * INVITE of ours would be a header more to whoever reads as PJSIP does. */
static bool has_stray_cr(const pjsip_rx_data *rdata)
{
    const char *at = rdata->msg_info.msg_buf, *end = at + head_bytes(rdata);

    while (at < end && (at = memchr(at, '\r', (size_t)(end - at))))
        if (++at == end || *at != '\n')
            return true;
    return false;
}

/* Each of these may be there once (RFC 3261 section 7.3.1); of two, each reader picks another one. */
static bool repeats_header(const pjsip_msg *msg)
{
    static const pjsip_hdr_e singles[] = {PJSIP_H_FROM,         PJSIP_H_TO,
                                          PJSIP_H_CALL_ID,      PJSIP_H_CSEQ,
                                          PJSIP_H_MAX_FORWARDS, PJSIP_H_CONTENT_LENGTH,
                                          PJSIP_H_CONTENT_TYPE};

    for (size_t i = 0; i < PJ_ARRAY_SIZE(singles); i++) {
        const pjsip_hdr *first = pjsip_msg_find_hdr(msg, singles[i], NULL);

        if (first && pjsip_msg_find_hdr(msg, singles[i], first->next))
            return true;
    }
    return false;
}

/* The reason phrase and, in `code`, the status to refuse a request with. NULL: it may be read. */
const char *sh_shape_fault(const pjsip_rx_data *rdata, int *code)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_clen_hdr *length = rdata->msg_info.clen;

    *code = PJSIP_SC_MESSAGE_TOO_LARGE;
    if (!is_small(rdata->msg_info.msg_buf, rdata->msg_info.len))
        return "Message Too Large";
    *code = PJSIP_SC_BAD_REQUEST;
    if (!has_request_line(rdata->msg_info.msg_buf, rdata->msg_info.len))
        return "Malformed request line";
    if (has_stray_cr(rdata))
        return "Stray CR";
    if (repeats_header(msg))
        return "Repeated header";
    if (pjsip_method_cmp(&rdata->msg_info.cseq->method, &msg->line.req.method) != 0)
        return "CSeq of another method"; /* section 8.1.1.5 */
    if (length && length->len > 0 && (size_t)length->len > body_bytes(rdata))
        return "Body cut off"; /* section 18.3 */
    return NULL;
}
