/* The frame pump: caller audio to bots and back, every leg in one batch per 20 ms tick.
 *
 * Each leg has two single-producer/single-consumer rings between the clock thread and the loop:
 *
 *     heard    clock thread writes frames, the loop reads them    (caller -> bot)
 *     spoken   the loop writes samples, the clock thread reads    (bot -> caller)
 *
 * Positions only grow; a slot is position % capacity. The producer alone stores its position with
 * release after the data is in place, and the consumer loads it with acquire before it reads the
 * data; the other way round for the free space. So neither side sees data that is not there yet,
 * nor overwrites what is still being read, and nobody waits.
 *
 * Samples lie in the rings as the bot's protocol has them. Those of G.711 come out as they were in
 * the caller's packets where nothing was mixed in: linear samples of G.711 have one code each, but
 * for the two that stand for 0.
 */
#include "port.h"
#include "speech.h"

#include <pjmedia/alaw_ulaw.h>
#include <string.h>

#define RING_SECONDS 2 /* what the loop may stand still, or a bot run ahead, without loss */
#define HEARD_FRAMES (50 * RING_SECONDS)
#define MAX_RATE 24000
#define FRAME_SAMPLES(rate) ((rate) / 50)

struct leg {
    struct sh_port port;
    unsigned frame_samples;
    enum sh_samples format;
    unsigned width; /* bytes of a sample in the rings */

    uint8_t *heard; /* HEARD_FRAMES frames */
    atomic_uint_fast64_t heard_written, heard_read;
    atomic_uint_fast32_t heard_high; /* most frames that ever waited; the clock thread stores it */

    uint8_t *spoken; /* RING_SECONDS of samples */
    unsigned spoken_capacity;
    unsigned spoken_high; /* most samples that ever waited; the loop's alone */
    atomic_uint_fast64_t spoken_written, spoken_read;
    atomic_uint_fast64_t spoken_clear; /* the consumer jumps here: set by the loop, never behind */

    atomic_uint_fast64_t heard_dropped, underruns;

    atomic_bool listening; /* stored once, when `speech` is filled in; the clock's from then on */
    struct sh_speech speech;
    uint8_t speech_events[HEARD_FRAMES]; /* enum sh_speech_event, what began with each frame heard */
    atomic_uint_fast64_t last_sound;     /* heard_written when a voice or the bot was last heard */
};

struct record {
    uint32_t id;
    uint16_t bytes;
    uint16_t speech; /* enum sh_speech_event */
};

static struct leg *legs[SH_MAX_PORTS]; /* the loop's thread alone */
static unsigned highest;               /* one past the highest id in use */
static unsigned next_read;             /* where a batch that did not fit goes on */

static void encode(uint8_t *to, const pj_int16_t *samples, unsigned count, enum sh_samples format)
{
    switch (format) {
    case SH_PCM16:
        memcpy(to, samples, count * sizeof *samples);
        return;
    case SH_PCMU:
        for (unsigned i = 0; i < count; i++)
            to[i] = pjmedia_linear2ulaw(samples[i]);
        return;
    case SH_PCMA:
        for (unsigned i = 0; i < count; i++)
            to[i] = pjmedia_linear2alaw(samples[i]);
        return;
    }
}

static void decode(pj_int16_t *samples, const uint8_t *from, unsigned count, enum sh_samples format)
{
    switch (format) {
    case SH_PCM16:
        memcpy(samples, from, count * sizeof *samples);
        return;
    case SH_PCMU:
        for (unsigned i = 0; i < count; i++)
            samples[i] = (pj_int16_t)pjmedia_ulaw2linear(from[i]);
        return;
    case SH_PCMA:
        for (unsigned i = 0; i < count; i++)
            samples[i] = (pj_int16_t)pjmedia_alaw2linear(from[i]);
        return;
    }
}

/* Clock thread: the bridge hands over what the caller said. */
static pj_status_t put_heard(pjmedia_port *base, pjmedia_frame *frame)
{
    static const pj_int16_t silence[FRAME_SAMPLES(MAX_RATE)];
    struct leg *leg = (struct leg *)base;
    uint_fast64_t written = atomic_load_explicit(&leg->heard_written, memory_order_relaxed);
    /* acquire: the loop has finished reading the slots below this position */
    uint_fast64_t read = atomic_load_explicit(&leg->heard_read, memory_order_acquire);
    const pj_int16_t *samples = silence;

    if (written - read == HEARD_FRAMES) {
        atomic_fetch_add_explicit(&leg->heard_dropped, 1, memory_order_relaxed);
        return PJ_SUCCESS;
    }
    if (written - read >= atomic_load_explicit(&leg->heard_high, memory_order_relaxed))
        atomic_store_explicit(&leg->heard_high, (uint_fast32_t)(written - read + 1),
                              memory_order_relaxed);
    if (frame->type == PJMEDIA_FRAME_TYPE_AUDIO &&
        frame->size >= leg->frame_samples * sizeof *samples)
        samples = frame->buf;
    encode(leg->heard + (written % HEARD_FRAMES) * leg->frame_samples * leg->width, samples,
           leg->frame_samples, leg->format);
    /* acquire: the listener is filled in */
    if (atomic_load_explicit(&leg->listening, memory_order_acquire)) {
        leg->speech_events[written % HEARD_FRAMES] =
            (uint8_t)sh_speech_hear(&leg->speech, samples, leg->frame_samples);
        if (leg->speech.speaking)
            atomic_store_explicit(&leg->last_sound, written + 1, memory_order_relaxed);
    }
    /* release: the frame is in place before the loop can see it */
    atomic_store_explicit(&leg->heard_written, written + 1, memory_order_release);
    return PJ_SUCCESS;
}

/* Clock thread: the bridge asks for what the bot says. */
static pj_status_t get_spoken(pjmedia_port *base, pjmedia_frame *frame)
{
    struct leg *leg = (struct leg *)base;
    /* acquire: samples below this position are in place */
    uint_fast64_t written = atomic_load_explicit(&leg->spoken_written, memory_order_acquire);
    uint_fast64_t clear = atomic_load_explicit(&leg->spoken_clear, memory_order_acquire);
    uint_fast64_t read = atomic_load_explicit(&leg->spoken_read, memory_order_relaxed);
    pj_int16_t *samples = frame->buf;
    unsigned count;

    if (read < clear)
        read = clear; /* clear never exceeds written: the loop sets it to its own position */
    count = leg->frame_samples;
    if (written - read < count) {
        count = (unsigned)(written - read);
        if (count > 0)
            atomic_fetch_add_explicit(&leg->underruns, 1, memory_order_relaxed);
    }
    for (unsigned done = 0; done < count;) {
        unsigned at = (unsigned)((read + done) % leg->spoken_capacity);
        unsigned run = leg->spoken_capacity - at;

        if (run > count - done)
            run = count - done;
        decode(samples + done, leg->spoken + (size_t)at * leg->width, run, leg->format);
        done += run;
    }
    /* release: these samples are copied out before the loop may overwrite them */
    atomic_store_explicit(&leg->spoken_read, read + count, memory_order_release);
    if (count == 0) {
        frame->type = PJMEDIA_FRAME_TYPE_NONE;
        frame->size = 0;
        return PJ_SUCCESS;
    }
    memset(samples + count, 0, (leg->frame_samples - count) * sizeof *samples);
    if (atomic_load_explicit(&leg->listening, memory_order_relaxed) &&
        sh_speech_audible(samples, leg->frame_samples))
        atomic_store_explicit(&leg->last_sound,
                              atomic_load_explicit(&leg->heard_written, memory_order_relaxed),
                              memory_order_relaxed);
    frame->type = PJMEDIA_FRAME_TYPE_AUDIO;
    frame->size = leg->frame_samples * sizeof *samples;
    return PJ_SUCCESS;
}

pj_status_t sh_pump_open(unsigned rate, enum sh_samples format, unsigned *id_out, int *slot)
{
    unsigned width = format == SH_PCM16 ? sizeof(pj_int16_t) : 1;
    size_t frame = FRAME_SAMPLES(rate) * width;
    size_t rings = HEARD_FRAMES * frame * 2;
    struct sh_port *port;
    pj_status_t status;
    struct leg *leg;
    unsigned id = 0;

    if (rate != 8000 && (format != SH_PCM16 || (rate != 16000 && rate != MAX_RATE)))
        return PJ_EINVAL; /* G.711 is of 8000 samples a second */
    while (id < SH_MAX_PORTS && legs[id])
        id++;
    if (id == SH_MAX_PORTS)
        return PJ_ETOOMANY;
    port = sh_port_create("bot-audio", sizeof *leg + rings, rate, put_heard, get_spoken, NULL);
    if (!port)
        return PJ_ENOMEM;
    leg = (struct leg *)port;
    leg->frame_samples = FRAME_SAMPLES(rate);
    leg->format = format;
    leg->width = width;
    leg->spoken_capacity = rate * RING_SECONDS;
    leg->heard = (uint8_t *)(leg + 1);
    leg->spoken = leg->heard + HEARD_FRAMES * frame;
    status = sh_port_join(port);
    if (status != PJ_SUCCESS)
        return status;
    legs[id] = leg;
    if (id >= highest)
        highest = id + 1;
    *id_out = id;
    *slot = port->slot;
    return PJ_SUCCESS;
}

static struct leg *find(unsigned id)
{
    return id < SH_MAX_PORTS ? legs[id] : NULL;
}

pj_status_t sh_pump_close(unsigned id)
{
    struct leg *leg = find(id);

    if (!leg)
        return PJ_ENOTFOUND;
    legs[id] = NULL;
    while (highest > 0 && !legs[highest - 1])
        highest--;
    sh_port_close(&leg->port);
    return PJ_SUCCESS;
}

/* Tell from now on, frame by frame, when the caller starts and stops to speak. Once a leg. */
pj_status_t sh_pump_listen(unsigned id, unsigned start_ms, unsigned stop_ms, float threshold_db)
{
    struct leg *leg = find(id);

    if (!leg)
        return PJ_ENOTFOUND;
    if (atomic_load_explicit(&leg->listening, memory_order_relaxed))
        return PJ_EINVALIDOP; /* the listener is the clock thread's */
    sh_speech_init(&leg->speech, start_ms, stop_ms, threshold_db);
    atomic_store_explicit(&leg->last_sound, atomic_load(&leg->heard_written), memory_order_relaxed);
    /* release: the listener is filled in before the clock uses it */
    atomic_store_explicit(&leg->listening, true, memory_order_release);
    return PJ_SUCCESS;
}

/* Frames since a listened leg's caller or bot was last heard. */
PyObject *sh_pump_quiet(unsigned id)
{
    struct leg *leg = find(id);
    uint_fast64_t last;

    if (!leg)
        return PyLong_FromLong(0);
    last = atomic_load(&leg->last_sound); /* first: the clock goes on meanwhile */
    return PyLong_FromUnsignedLongLong(atomic_load(&leg->heard_written) - last);
}

/* A recording, judged as a leg's audio is: one enum sh_speech_event for each whole frame. */
PyObject *sh_speech_judge(const int16_t *samples, size_t count, unsigned rate, unsigned start_ms,
                          unsigned stop_ms, float threshold_db)
{
    size_t frame = FRAME_SAMPLES(rate), whole = count / frame;
    PyObject *events = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)whole);
    struct sh_speech speech;

    if (!events)
        return NULL;
    sh_speech_init(&speech, start_ms, stop_ms, threshold_db);
    for (size_t i = 0; i < whole; i++)
        PyBytes_AS_STRING(events)[i] =
            (char)sh_speech_hear(&speech, samples + i * frame, (unsigned)frame);
    return events;
}

/* Move every leg's heard frames into `buffer` as records (id, bytes, speech, samples). Returns the bytes
 * filled; what does not fit stays for the next call, which goes on at the same leg. */
Py_ssize_t sh_pump_read(uint8_t *buffer, Py_ssize_t size)
{
    uint8_t *to = buffer;

    for (unsigned visited = 0; visited < highest; visited++) {
        unsigned id = next_read >= highest ? (next_read = 0) : next_read;
        struct leg *leg = legs[id];

        if (leg) {
            uint_fast64_t read = atomic_load_explicit(&leg->heard_read, memory_order_relaxed);
            /* acquire: frames below this position are in place */
            uint_fast64_t written =
                atomic_load_explicit(&leg->heard_written, memory_order_acquire);
            struct record record = {id, (uint16_t)(leg->frame_samples * leg->width), 0};

            for (; read < written; read++) {
                if (buffer + size - to < (Py_ssize_t)(sizeof record + record.bytes)) {
                    atomic_store_explicit(&leg->heard_read, read, memory_order_release);
                    return to - buffer;
                }
                record.speech = leg->speech_events[read % HEARD_FRAMES];
                memcpy(to, &record, sizeof record);
                memcpy(to + sizeof record,
                       leg->heard + (read % HEARD_FRAMES) * record.bytes, record.bytes);
                to += sizeof record + record.bytes;
            }
            /* release: the frames are copied out before the clock may overwrite them */
            atomic_store_explicit(&leg->heard_read, read, memory_order_release);
        }
        next_read = id + 1;
    }
    return to - buffer;
}

/* Queue whole samples for the caller. Returns the bytes taken, fewer where the ring is full. */
Py_ssize_t sh_pump_write(unsigned id, const uint8_t *data, Py_ssize_t size)
{
    struct leg *leg = find(id);
    uint_fast64_t written, read;
    unsigned count, room;

    if (!leg)
        return -1;
    written = atomic_load_explicit(&leg->spoken_written, memory_order_relaxed);
    /* acquire: samples below this position have been copied out */
    read = atomic_load_explicit(&leg->spoken_read, memory_order_acquire);
    room = leg->spoken_capacity - (unsigned)(written - read);
    count = (size_t)size / leg->width < room ? (unsigned)((size_t)size / leg->width) : room;
    for (unsigned done = 0; done < count;) {
        unsigned at = (unsigned)((written + done) % leg->spoken_capacity);
        unsigned run = leg->spoken_capacity - at;

        if (run > count - done)
            run = count - done;
        memcpy(leg->spoken + (size_t)at * leg->width, data + (size_t)done * leg->width,
               (size_t)run * leg->width);
        done += run;
    }
    /* release: the samples are in place before the clock can see them */
    atomic_store_explicit(&leg->spoken_written, written + count, memory_order_release);
    if (written + count - read > leg->spoken_high)
        leg->spoken_high = (unsigned)(written + count - read);
    return (Py_ssize_t)count * leg->width;
}

/* Drop what has not been played: the clock thread jumps over it at its next tick. */
pj_status_t sh_pump_clear(unsigned id)
{
    struct leg *leg = find(id);

    if (!leg)
        return PJ_ENOTFOUND;
    atomic_store_explicit(&leg->spoken_clear,
                          atomic_load_explicit(&leg->spoken_written, memory_order_relaxed),
                          memory_order_release);
    return PJ_SUCCESS;
}

/* (bytes written, bytes played or cleared, frames heard, frames dropped, underruns,
 *  most frames heard that waited at once, most bytes written that did) */
PyObject *sh_pump_state(unsigned id)
{
    struct leg *leg = find(id);
    uint_fast64_t read, clear;

    if (!leg)
        Py_RETURN_NONE;
    read = atomic_load(&leg->spoken_read);
    clear = atomic_load(&leg->spoken_clear);
    return Py_BuildValue("KKKKKKK",
                         (unsigned long long)atomic_load(&leg->spoken_written) * leg->width,
                         (unsigned long long)(read < clear ? clear : read) * leg->width,
                         (unsigned long long)atomic_load(&leg->heard_written),
                         (unsigned long long)atomic_load(&leg->heard_dropped),
                         (unsigned long long)atomic_load(&leg->underruns),
                         (unsigned long long)atomic_load(&leg->heard_high),
                         (unsigned long long)leg->spoken_high * leg->width);
}
