/* Prompts and waiting sounds: a port per leg that plays shared samples and tells when they ended.
 *
 * A sound is loaded once and shared by every leg that plays it. The loop and the clock thread meet
 * under a mutex that is held for one frame's memcpy at most.
 */
#include "port.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct sh_sound {
    atomic_uint references;
    size_t count; /* samples */
    pj_int16_t samples[];
};

struct player {
    struct sh_port port;
    unsigned id, frame_samples;
    pthread_mutex_t mutex; /* guards all below */
    sh_sound *sound;
    size_t position;
    unsigned play; /* number of the running play */
    pj_bool_t loop;
};

static struct player *players[SH_MAX_PORTS]; /* the loop's thread alone */
static unsigned plays; /* one numbering for all players: a reused id cannot end a stranger's play */

/* Plays that ended since the loop asked last, at most one per player and play. */
static struct {
    pthread_mutex_t mutex;
    unsigned count;
    struct { unsigned id, play; } ended[SH_MAX_PORTS];
} finished = {.mutex = PTHREAD_MUTEX_INITIALIZER};

sh_sound *sh_sound_create(const void *samples, Py_ssize_t bytes)
{
    sh_sound *sound = malloc(sizeof *sound + (size_t)bytes);

    if (!sound)
        return NULL;
    atomic_init(&sound->references, 1);
    sound->count = (size_t)bytes / sizeof sound->samples[0];
    memcpy(sound->samples, samples, (size_t)bytes);
    return sound;
}

void sh_sound_release(sh_sound *sound)
{
    if (sound && atomic_fetch_sub(&sound->references, 1) == 1)
        free(sound);
}

static void report(const struct player *player)
{
    pthread_mutex_lock(&finished.mutex);
    if (finished.count < SH_MAX_PORTS) {
        finished.ended[finished.count].id = player->id;
        finished.ended[finished.count].play = player->play;
        finished.count++;
    }
    pthread_mutex_unlock(&finished.mutex);
}

static void put_sound(struct player *player, sh_sound *sound)
{
    sh_sound_release(player->sound);
    player->sound = sound;
    player->position = 0;
}

static unsigned fill(struct player *player, pj_int16_t *samples)
{
    unsigned done = 0;

    while (player->sound && done < player->frame_samples) {
        size_t left = player->sound->count - player->position;
        size_t run = player->frame_samples - done;

        if (left == 0) {
            if (player->loop && player->sound->count > 0) {
                player->position = 0;
                continue;
            }
            report(player);
            put_sound(player, NULL);
            break;
        }
        if (run > left)
            run = left;
        memcpy(samples + done, player->sound->samples + player->position, run * sizeof *samples);
        player->position += run;
        done += (unsigned)run;
    }
    return done;
}

/* Clock thread. */
static pj_status_t get_frame(pjmedia_port *base, pjmedia_frame *frame)
{
    struct player *player = (struct player *)base;
    unsigned done;

    pthread_mutex_lock(&player->mutex);
    done = fill(player, frame->buf);
    pthread_mutex_unlock(&player->mutex);
    if (done == 0) {
        frame->type = PJMEDIA_FRAME_TYPE_NONE;
        frame->size = 0;
        return PJ_SUCCESS;
    }
    memset((pj_int16_t *)frame->buf + done, 0,
           (player->frame_samples - done) * sizeof(pj_int16_t));
    frame->type = PJMEDIA_FRAME_TYPE_AUDIO;
    frame->size = player->frame_samples * sizeof(pj_int16_t);
    return PJ_SUCCESS;
}

static pj_status_t put_frame(pjmedia_port *base, pjmedia_frame *frame)
{
    (void)base;
    (void)frame;
    return PJ_SUCCESS;
}

static void released(struct sh_port *port)
{
    struct player *player = (struct player *)port;

    sh_sound_release(player->sound);
    pthread_mutex_destroy(&player->mutex);
}

pj_status_t sh_player_open(unsigned rate, unsigned *id_out, int *slot)
{
    struct player *player;
    struct sh_port *port;
    pj_status_t status;
    unsigned id = 0;

    while (id < SH_MAX_PORTS && players[id])
        id++;
    if (id == SH_MAX_PORTS)
        return PJ_ETOOMANY;
    port = sh_port_create("player", sizeof *player, rate, put_frame, get_frame, released);
    if (!port)
        return PJ_ENOMEM;
    player = (struct player *)port;
    player->id = id;
    player->frame_samples = rate / 50;
    pthread_mutex_init(&player->mutex, NULL);
    status = sh_port_join(port);
    if (status != PJ_SUCCESS)
        return status;
    players[id] = player;
    *id_out = id;
    *slot = port->slot;
    return PJ_SUCCESS;
}

static struct player *find(unsigned id)
{
    return id < SH_MAX_PORTS ? players[id] : NULL;
}

pj_status_t sh_player_close(unsigned id)
{
    struct player *player = find(id);

    if (!player)
        return PJ_ENOTFOUND;
    players[id] = NULL;
    sh_port_close(&player->port);
    return PJ_SUCCESS;
}

/* Play `sound` from its beginning instead of what is playing; the play before it reports no end. */
pj_status_t sh_player_play(unsigned id, sh_sound *sound, pj_bool_t loop, unsigned *play)
{
    struct player *player = find(id);

    if (!player)
        return PJ_ENOTFOUND;
    atomic_fetch_add(&sound->references, 1);
    pthread_mutex_lock(&player->mutex);
    put_sound(player, sound);
    player->loop = loop;
    *play = player->play = ++plays;
    pthread_mutex_unlock(&player->mutex);
    return PJ_SUCCESS;
}

pj_status_t sh_player_stop(unsigned id)
{
    struct player *player = find(id);

    if (!player)
        return PJ_ENOTFOUND;
    pthread_mutex_lock(&player->mutex);
    put_sound(player, NULL);
    pthread_mutex_unlock(&player->mutex);
    return PJ_SUCCESS;
}

/* [(player, play)] that ended since the last call. */
PyObject *sh_player_finished(void)
{
    PyObject *list = PyList_New(0);

    pthread_mutex_lock(&finished.mutex);
    for (unsigned i = 0; list && i < finished.count; i++) {
        PyObject *pair = Py_BuildValue("II", finished.ended[i].id, finished.ended[i].play);

        if (!pair || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    finished.count = 0;
    pthread_mutex_unlock(&finished.mutex);
    return list;
}
