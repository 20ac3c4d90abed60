/* Speech activity on a leg, by energy and shape of each 20 ms frame.
 *
 * A frame has a voice when it stands out of the noise, is no hiss (its sign changes too often for
 * one) and no steady tone (its power is that of the frame before). The noise is what the quietest
 * frame of the last two seconds had: between syllables speech falls back to it, while a fan, a
 * hum or a tone that has begun becomes the noise itself after that time.
 *
 * Speech starts when frames with a voice outnumber those without by `start_frames`, and stops after
 * `stop_frames` without any.
 */
#include "speech.h"

#include <math.h>
#include <string.h>

#define FRAME_MS 20
#define NARROW_SAMPLES 160       /* of a frame at 8000 samples/s, the lowest rate of a leg */
#define WINDOW_FRAMES 25         /* SH_FLOOR_WINDOWS of them: 2 s */
#define QUIETEST 1074.0f         /* -60 dBFS, as mean square of samples: no line's noise is lower */
#define AUDIBLE 10737.0f         /* -50 dBFS: what a listener takes for silence lies below */
#define HISS_CROSSINGS 60        /* of 20 ms; white noise of a telephone line has 80, a vowel 4 to 30 */
#define STEADY_RATIO 1.06f       /* a quarter of a decibel: a tone stays within it, a voice does not */

static unsigned frames(unsigned ms)
{
    return ms < FRAME_MS ? 1 : (ms + FRAME_MS / 2) / FRAME_MS;
}

void sh_speech_init(struct sh_speech *speech, unsigned start_ms, unsigned stop_ms, float threshold_db)
{
    memset(speech, 0, sizeof *speech);
    speech->start_frames = frames(start_ms);
    speech->stop_frames = frames(stop_ms);
    speech->above_noise = powf(10.0f, threshold_db / 10.0f);
    for (unsigned i = 0; i < SH_FLOOR_WINDOWS; i++)
        speech->lowest[i] = INFINITY;
}

/* Mean square about the mean: a line's direct current is not sound. */
static float power_of(const int16_t *samples, unsigned count)
{
    int64_t squares = 0;
    int32_t sum = 0; /* 480 samples at most */

    for (unsigned i = 0; i < count; i++) {
        sum += samples[i];
        squares += (int32_t)samples[i] * samples[i];
    }
    return ((float)squares - (float)sum * (float)sum / (float)count) / (float)count;
}

/* Changes of sign, at 8000 samples/s whatever the leg's rate: a faint hiss above the telephone's
 * band would change it more often than the voice below does. */
static unsigned crossings_of(const int16_t *samples, unsigned count)
{
    unsigned step = count / NARROW_SAMPLES, crossings = 0;
    int32_t last = 0;

    for (unsigned i = 0; i + step <= count; i += step) {
        int32_t sum = 0;

        for (unsigned k = 0; k < step; k++)
            sum += samples[i + k];
        crossings += (sum ^ last) < 0;
        last = sum;
    }
    return crossings;
}

/* Power of the noise, this frame's included. */
static float noise_with(struct sh_speech *speech, float power)
{
    float lowest;

    if (speech->window_frames++ == WINDOW_FRAMES) {
        memmove(speech->lowest + 1, speech->lowest, sizeof speech->lowest - sizeof *speech->lowest);
        speech->lowest[0] = power;
        speech->window_frames = 1;
    }
    speech->lowest[0] = fminf(speech->lowest[0], power);
    lowest = speech->lowest[0];
    for (unsigned i = 1; i < SH_FLOOR_WINDOWS; i++)
        lowest = fminf(lowest, speech->lowest[i]);
    return fmaxf(lowest, QUIETEST);
}

enum sh_speech_event sh_speech_hear(struct sh_speech *speech, const int16_t *samples, unsigned count)
{
    float power = samples ? power_of(samples, count) : 0.0f;
    float last = speech->last_power;
    int voice = power > noise_with(speech, power) * speech->above_noise &&
                (power > last * STEADY_RATIO || power * STEADY_RATIO < last) &&
                crossings_of(samples, count) < HISS_CROSSINGS;

    speech->last_power = power;
    if (speech->speaking) {
        speech->quiet = voice ? 0 : speech->quiet + 1;
        if (speech->quiet < speech->stop_frames)
            return SH_SPEECH_NOTHING;
        speech->speaking = 0;
        speech->voiced = 0;
        return SH_SPEECH_STOPPED;
    }
    if (!voice) {
        speech->voiced -= speech->voiced > 0;
        return SH_SPEECH_NOTHING;
    }
    if (++speech->voiced < speech->start_frames)
        return SH_SPEECH_NOTHING;
    speech->speaking = 1;
    speech->quiet = 0;
    return SH_SPEECH_STARTED;
}

int sh_speech_audible(const int16_t *samples, unsigned count)
{
    return power_of(samples, count) > AUDIBLE;
}
