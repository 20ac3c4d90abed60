/* Whether somebody speaks, told 20 ms frame by frame. One listener hears one leg, on one thread. */
#ifndef SWITCHHOOK_SPEECH_H
#define SWITCHHOOK_SPEECH_H

#include <stdint.h>

enum sh_speech_event { SH_SPEECH_NOTHING, SH_SPEECH_STARTED, SH_SPEECH_STOPPED };

#define SH_FLOOR_WINDOWS 4

struct sh_speech {
    /* the rule, in frames; the ratio of a frame's power to that of the noise */
    unsigned start_frames, stop_frames;
    float above_noise;

    unsigned voiced; /* frames with a voice, less those without since; while nobody speaks */
    unsigned quiet;  /* frames without a voice in a row; while somebody speaks */
    int speaking;

    float last_power;
    float lowest[SH_FLOOR_WINDOWS]; /* power of the quietest frame in each window; [0] goes on */
    unsigned window_frames;
};

void sh_speech_init(struct sh_speech *speech, unsigned start_ms, unsigned stop_ms, float threshold_db);

/* One frame; NULL: there is no audio. STARTED and STOPPED alternate, STARTED first. */
enum sh_speech_event sh_speech_hear(struct sh_speech *speech, const int16_t *samples, unsigned count);

/* Whether a frame can be heard at all. */
int sh_speech_audible(const int16_t *samples, unsigned count);

#endif
