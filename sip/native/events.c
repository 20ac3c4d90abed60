/* What happened, queued until the loop has left PJSIP. Any thread may push; the loop drains. */
#include "native.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A loop that stands still for a second at 400 calls/s meets about 3 000 messages. */
#define MAX_QUEUED 32768

struct queued_event {
    struct queued_event *next;
    enum sh_event_kind kind;
    int number, extra;
    double at;
    size_t call_id_len, text1_len, text2_len;
    char text[]; /* call id, text1 and text2, one behind the other */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct queued_event *first, *last;
static unsigned queued;
static uint64_t dropped, drained;

double sh_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t length(const pj_str_t *text)
{
    return text && text->slen > 0 ? (size_t)text->slen : 0;
}

static size_t append(char *to, const pj_str_t *text)
{
    if (length(text) > 0)
        memcpy(to, text->ptr, length(text));
    return length(text);
}

/* What a peer can cause at any rate, and whose loss costs a line of the timeline or a key. Of the rest
 * a call has a few, and one that is lost would leave its leg standing. */
static bool may_be_lost(enum sh_event_kind kind)
{
    switch (kind) {
    case SH_MESSAGE_RECEIVED:
    case SH_MESSAGE_SENT:
    case SH_CALL_DTMF:
    case SH_CALL_DTMF_END:
    case SH_RTP_REFUSED_SOURCE:
    case SH_RTP_UNAUTHENTICATED:
    case SH_PJSIP_SAYS:
        return true;
    default:
        return false;
    }
}

static void enqueue(struct queued_event *event)
{
    pthread_mutex_lock(&mutex);
    if (!event || (queued >= MAX_QUEUED && may_be_lost(event->kind))) {
        dropped++;
        free(event);
    } else {
        if (last)
            last->next = event;
        else
            first = event;
        last = event;
        queued++;
    }
    pthread_mutex_unlock(&mutex);
}

void sh_event_push(const struct sh_event *what)
{
    size_t room = length(what->call_id) + length(what->text1) + length(what->text2);
    struct queued_event *event = malloc(sizeof *event + room);

    if (event) {
        event->next = NULL;
        event->kind = what->kind;
        event->number = what->number;
        event->extra = what->extra;
        event->at = sh_now();
        event->call_id_len = append(event->text, what->call_id);
        event->text1_len = append(event->text + event->call_id_len, what->text1);
        event->text2_len =
            append(event->text + event->call_id_len + event->text1_len, what->text2);
    }
    enqueue(event);
}

static PyObject *as_tuple(const struct queued_event *event)
{
    const char *text1 = event->text + event->call_id_len;
    const char *text2 = text1 + event->text1_len;

    return Py_BuildValue(
        "idNiiNN", (int)event->kind, event->at,
        PyUnicode_DecodeUTF8(event->text, (Py_ssize_t)event->call_id_len, "replace"),
        event->number, event->extra,
        PyUnicode_DecodeUTF8(text1, (Py_ssize_t)event->text1_len, "replace"),
        PyUnicode_DecodeUTF8(text2, (Py_ssize_t)event->text2_len, "replace"));
}

/* [event, …]: all that is queued, oldest first. */
PyObject *sh_events_drain(void)
{
    PyObject *list = PyList_New(0);
    struct queued_event *event, *next;

    pthread_mutex_lock(&mutex);
    event = first;
    first = last = NULL;
    queued = 0;
    drained++;
    pthread_mutex_unlock(&mutex);
    for (; event; event = next) {
        PyObject *tuple = list ? as_tuple(event) : NULL;

        if (list && (!tuple || PyList_Append(list, tuple) < 0))
            Py_CLEAR(list);
        Py_XDECREF(tuple);
        next = event->next;
        free(event);
    }
    return list;
}

/* How often the queue was emptied. */
uint64_t sh_events_drained(void)
{
    return drained;
}

uint64_t sh_events_dropped(void)
{
    uint64_t count;

    pthread_mutex_lock(&mutex);
    count = dropped;
    pthread_mutex_unlock(&mutex);
    return count;
}
