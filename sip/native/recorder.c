/* Recorders: what a caller says and what it hears, side by side, for a thread that writes files.
 *
 * A recorder has two ports on the bridge. Everything connected to the first is its left channel,
 * everything connected to the second its right one. The bridge feeds both in every tick, in any
 * order; what comes in one tick becomes one frame of both channels, so that they cannot drift apart.
 *
 *     clock thread ── frame, numbered ──▶ ring of RING_SECONDS ──▶ whoever reads, under the GIL
 *
 * A frame that finds the ring full is lost, but keeps its number: the reader finds the gap and puts
 * silence there. While paused, frames are neither kept nor numbered.
 */
#include "port.h"

#include <stdlib.h>
#include <string.h>

#define RATE 8000 /* telephone bandwidth; a bridge at another rate resamples for us */
#define SIDE_SAMPLES (RATE / 50)
#define FRAME_BYTES (2 * SIDE_SAMPLES * sizeof(pj_int16_t))
#define RING_SECONDS 5 /* what a disk may stand still without loss: 160 KB a recorder */
#define RING_FRAMES (50 * RING_SECONDS)

enum side { LEFT, RIGHT };

struct frame {
    uint64_t number;
    pj_int16_t samples[2 * SIDE_SAMPLES]; /* left, right, left … */
};

struct ear {
    struct sh_port port;
    struct recorder *recorder;
    enum side side;
};

struct recorder {
    struct ear *ears[2]; /* the loop's thread alone; NULL once they have left the bridge */
    atomic_uint held;    /* by each port and by the table */

    /* The clock thread alone. */
    struct frame pending;
    unsigned long long tick;
    bool begun;    /* `pending` has something of `tick` */
    bool unwanted; /* and it began while paused */

    atomic_bool paused;
    atomic_uint_fast64_t numbered, lost;

    struct frame *ring;
    atomic_uint_fast64_t ring_written, ring_read;
    uint64_t expected; /* the reader alone: number of the next frame to be read */
};

static struct recorder *recorders[SH_MAX_PORTS]; /* under the GIL */

static void let_go(struct recorder *recorder)
{
    if (atomic_fetch_sub(&recorder->held, 1) != 1)
        return;
    free(recorder->ring);
    free(recorder);
}

static void ear_released(struct sh_port *port)
{
    let_go(((struct ear *)port)->recorder);
}

/* Clock thread: what the last tick brought is complete. */
static void keep(struct recorder *recorder)
{
    uint_fast64_t written, read;

    recorder->begun = false;
    if (recorder->unwanted || atomic_load(&recorder->paused))
        return;
    recorder->pending.number = atomic_fetch_add(&recorder->numbered, 1);
    written = atomic_load_explicit(&recorder->ring_written, memory_order_relaxed);
    /* acquire: the reader has copied the slots below this position */
    read = atomic_load_explicit(&recorder->ring_read, memory_order_acquire);
    if (written - read == RING_FRAMES) {
        atomic_fetch_add(&recorder->lost, 1);
        return;
    }
    recorder->ring[written % RING_FRAMES] = recorder->pending;
    /* release: the frame is in place before the reader can see it */
    atomic_store_explicit(&recorder->ring_written, written + 1, memory_order_release);
}

/* Clock thread: the bridge hands over one channel of this tick. */
static pj_status_t put_side(pjmedia_port *base, pjmedia_frame *frame)
{
    struct ear *ear = (struct ear *)base;
    struct recorder *recorder = ear->recorder;
    unsigned long long tick = sh_clock_tick();
    const pj_int16_t *samples = frame->buf;

    if (recorder->begun && recorder->tick != tick)
        keep(recorder);
    if (!recorder->begun) {
        recorder->begun = true;
        recorder->unwanted = atomic_load(&recorder->paused);
        recorder->tick = tick;
        memset(recorder->pending.samples, 0, sizeof recorder->pending.samples);
    }
    if (frame->type == PJMEDIA_FRAME_TYPE_AUDIO && frame->size >= SIDE_SAMPLES * sizeof *samples)
        for (unsigned i = 0; i < SIDE_SAMPLES; i++)
            recorder->pending.samples[2 * i + ear->side] = samples[i];
    return PJ_SUCCESS;
}

/* Clock thread: a recorder says nothing. */
static pj_status_t get_nothing(pjmedia_port *base, pjmedia_frame *frame)
{
    (void)base;
    frame->type = PJMEDIA_FRAME_TYPE_NONE;
    frame->size = 0;
    return PJ_SUCCESS;
}

static pj_status_t open_ear(struct recorder *recorder, enum side side)
{
    struct sh_port *port = sh_port_create(side == LEFT ? "record-left" : "record-right",
                                          sizeof(struct ear), RATE, put_side, get_nothing,
                                          ear_released);
    struct ear *ear = (struct ear *)port;
    pj_status_t status;

    if (!port)
        return PJ_ENOMEM;
    ear->recorder = recorder;
    ear->side = side;
    atomic_fetch_add(&recorder->held, 1); /* given back by ear_released, joined or not */
    status = sh_port_join(port);
    if (status == PJ_SUCCESS)
        recorder->ears[side] = ear;
    return status;
}

static void leave(struct recorder *recorder)
{
    for (unsigned side = LEFT; side <= RIGHT; side++) {
        struct ear *ear = recorder->ears[side];

        recorder->ears[side] = NULL;
        if (ear)
            sh_port_close(&ear->port);
    }
}

static struct recorder *find(unsigned id)
{
    return id < SH_MAX_PORTS ? recorders[id] : NULL;
}

/* Begin to record whatever will be connected to the two slots. */
pj_status_t sh_recorder_open(unsigned *id_out, int *left, int *right)
{
    struct recorder *recorder;
    pj_status_t status;
    unsigned id = 0;

    while (id < SH_MAX_PORTS && recorders[id])
        id++;
    if (id == SH_MAX_PORTS)
        return PJ_ETOOMANY;
    recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return PJ_ENOMEM;
    atomic_init(&recorder->held, 1);
    recorder->ring = calloc(RING_FRAMES, sizeof *recorder->ring);
    status = recorder->ring ? open_ear(recorder, LEFT) : PJ_ENOMEM;
    if (status == PJ_SUCCESS)
        status = open_ear(recorder, RIGHT);
    if (status != PJ_SUCCESS) {
        leave(recorder);
        let_go(recorder);
        return status;
    }
    recorders[id] = recorder;
    *id_out = id;
    *left = recorder->ears[LEFT]->port.slot;
    *right = recorder->ears[RIGHT]->port.slot;
    return PJ_SUCCESS;
}

/* Keep nothing from this very frame on, or keep again from the next one that begins. */
pj_status_t sh_recorder_pause(unsigned id, bool paused)
{
    struct recorder *recorder = find(id);

    if (!recorder)
        return PJ_ENOTFOUND;
    atomic_store(&recorder->paused, paused);
    return PJ_SUCCESS;
}

/* Leave the bridge. What the ring holds can still be read. */
pj_status_t sh_recorder_leave(unsigned id)
{
    struct recorder *recorder = find(id);

    if (!recorder)
        return PJ_ENOTFOUND;
    leave(recorder);
    return PJ_SUCCESS;
}

/* Forget the recorder and what it holds. */
pj_status_t sh_recorder_free(unsigned id)
{
    struct recorder *recorder = find(id);

    if (!recorder)
        return PJ_ENOTFOUND;
    recorders[id] = NULL;
    leave(recorder);
    let_go(recorder);
    return PJ_SUCCESS;
}

/* Move whole frames into `buffer`, silence where some were lost. Returns the bytes filled; -1: there
 * is no such recorder. */
Py_ssize_t sh_recorder_read(unsigned id, uint8_t *buffer, Py_ssize_t size)
{
    struct recorder *recorder = find(id);
    uint_fast64_t written, read;
    uint8_t *to = buffer;

    if (!recorder)
        return -1;
    read = atomic_load_explicit(&recorder->ring_read, memory_order_relaxed);
    /* acquire: frames below this position are in place */
    written = atomic_load_explicit(&recorder->ring_written, memory_order_acquire);
    while (read < written && buffer + size - to >= (Py_ssize_t)FRAME_BYTES) {
        const struct frame *frame = &recorder->ring[read % RING_FRAMES];

        if (recorder->expected < frame->number) {
            memset(to, 0, FRAME_BYTES);
        } else {
            memcpy(to, frame->samples, FRAME_BYTES);
            read++;
        }
        recorder->expected++;
        to += FRAME_BYTES;
    }
    /* release: the frames are copied out before the clock may overwrite them */
    atomic_store_explicit(&recorder->ring_read, read, memory_order_release);
    return to - buffer;
}

/* (frames of 20 ms that were recorded, how many of them were lost) */
PyObject *sh_recorder_state(unsigned id)
{
    struct recorder *recorder = find(id);

    if (!recorder)
        Py_RETURN_NONE;
    return Py_BuildValue("KK", (unsigned long long)atomic_load(&recorder->numbered),
                         (unsigned long long)atomic_load(&recorder->lost));
}
