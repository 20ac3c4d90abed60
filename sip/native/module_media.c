/* The Python side of audio: bridge, clock, frame pump, recorders, players. */
#include "arguments.h"
#include "rtp_numbers.h"

/* Do something to the port with this id. */
static PyObject *with_port(PyObject *id, pj_status_t (*work)(unsigned), const char *doing)
{
    unsigned value;

    return sh_as_unsigned(id, &value) ? sh_none_or_raise(work(value), doing) : NULL;
}

static PyObject *connect_slots(PyObject *self, PyObject *args)
{
    int from, to;

    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &from, &to))
        return NULL;
    return sh_none_or_raise(pjsua_conf_connect(from, to), "connecting audio");
}

static PyObject *disconnect_slots(PyObject *self, PyObject *args)
{
    int from, to;

    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &from, &to))
        return NULL;
    return sh_none_or_raise(pjsua_conf_disconnect(from, to), "disconnecting audio");
}

static PyObject *relay_join(PyObject *self, PyObject *args)
{
    int one, other;

    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &one, &other))
        return NULL;
    return PyBool_FromLong(sh_relay_join(one, other));
}

static PyObject *relay_part(PyObject *self, PyObject *call)
{
    int value;

    (void)self;
    if (!sh_as_int(call, &value))
        return NULL;
    sh_relay_part(value);
    Py_RETURN_NONE;
}

/* What relay.c does with each packet, for tests. */
static PyObject *renumber(PyObject *self, PyObject *args)
{
    struct sh_renumbering way;
    struct sh_rtp_numbers sent = {0};
    unsigned clock_rate, span, sequence;
    unsigned long long sent_ms, end_ms;
    PyObject *packets, *list;

    (void)self;
    if (!PyArg_ParseTuple(args, "(II)(IIIK)O!K", &clock_rate, &span, &sent.ssrc, &sequence,
                          &sent.timestamp, &sent_ms, &PyList_Type, &packets, &end_ms))
        return NULL;
    if (!clock_rate || !span)
        return PyErr_Format(PyExc_ValueError, "no clock");
    sent.sequence = (uint16_t)sequence;
    sh_renumbering_begin(&way, clock_rate, span, &sent, sent_ms);
    list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(packets); i++) {
        struct sh_rtp_numbers packet;
        unsigned long long at_ms;
        PyObject *made = NULL;
        int marker;

        if (PyArg_ParseTuple(PyList_GET_ITEM(packets, i), "IIIpK", &packet.ssrc, &sequence,
                             &packet.timestamp, &marker, &at_ms)) {
            packet.sequence = (uint16_t)sequence;
            packet.marker = marker;
            made = sh_renumber(&way, &packet, at_ms)
                       ? Py_BuildValue("IIIN", packet.ssrc, (unsigned)packet.sequence,
                                       packet.timestamp, PyBool_FromLong(packet.marker))
                       : Py_NewRef(Py_None);
        }
        if (!made || PyList_Append(list, made) < 0)
            Py_CLEAR(list);
        Py_XDECREF(made);
    }
    if (!list)
        return NULL;
    sent = sh_renumbering_end(&way, end_ms);
    return Py_BuildValue("NIK", list, sent.timestamp, (unsigned long long)way.skipped);
}

static PyObject *clock_start(PyObject *self, PyObject *unused)
{
    int fd = -1;
    bool real_time = false;
    pj_status_t status = sh_clock_start(&fd, &real_time);

    (void)self, (void)unused;
    if (status != PJ_SUCCESS)
        return sh_raise_status(status, "starting the media clock");
    return Py_BuildValue("iN", fd, PyBool_FromLong(real_time));
}

static PyObject *clock_stop(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    Py_BEGIN_ALLOW_THREADS
    sh_clock_stop();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *clock_counters(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_clock_counters();
}

static PyObject *pump_open(PyObject *self, PyObject *args)
{
    unsigned rate, format, id;
    pj_status_t status;
    int slot;

    (void)self;
    if (!PyArg_ParseTuple(args, "II", &rate, &format))
        return NULL;
    status = format <= SH_PCMA ? sh_pump_open(rate, (enum sh_samples)format, &id, &slot) : PJ_EINVAL;
    return status == PJ_SUCCESS ? Py_BuildValue("Ii", id, slot)
                                : sh_raise_status(status, "opening bot audio");
}

static PyObject *pump_close(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_pump_close, "closing bot audio");
}

static PyObject *pump_read(PyObject *self, PyObject *target)
{
    Py_buffer buffer;
    Py_ssize_t filled;

    (void)self;
    if (PyObject_GetBuffer(target, &buffer, PyBUF_WRITABLE) < 0)
        return NULL;
    filled = sh_pump_read(buffer.buf, buffer.len);
    PyBuffer_Release(&buffer);
    return PyLong_FromSsize_t(filled);
}

static PyObject *pump_write(PyObject *self, PyObject *args)
{
    unsigned id;
    Py_buffer data;
    Py_ssize_t taken;

    (void)self;
    if (!PyArg_ParseTuple(args, "Iy*", &id, &data))
        return NULL;
    taken = sh_pump_write(id, data.buf, data.len);
    PyBuffer_Release(&data);
    return taken < 0 ? sh_raise_status(PJ_ENOTFOUND, "writing bot audio") : PyLong_FromSsize_t(taken);
}

static PyObject *pump_clear(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_pump_clear, "clearing bot audio");
}

static PyObject *pump_state(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    return sh_as_unsigned(id, &value) ? sh_pump_state(value) : NULL;
}

static PyObject *pump_listen(PyObject *self, PyObject *args)
{
    unsigned id, start_ms, stop_ms;
    float threshold_db;

    (void)self;
    if (!PyArg_ParseTuple(args, "IIIf", &id, &start_ms, &stop_ms, &threshold_db))
        return NULL;
    return sh_none_or_raise(sh_pump_listen(id, start_ms, stop_ms, threshold_db),
                         "listening to a caller");
}

static PyObject *pump_quiet(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    return sh_as_unsigned(id, &value) ? sh_pump_quiet(value) : NULL;
}

static PyObject *speech_judge(PyObject *self, PyObject *args)
{
    unsigned rate, start_ms, stop_ms;
    float threshold_db;
    PyObject *events;
    Py_buffer samples;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*IIIf", &samples, &rate, &start_ms, &stop_ms, &threshold_db))
        return NULL;
    if (rate != 8000 && rate != 16000 && rate != 24000) {
        PyBuffer_Release(&samples);
        return PyErr_Format(PyExc_ValueError, "%u samples/s is no rate of a leg", rate);
    }
    events = sh_speech_judge(samples.buf, (size_t)samples.len / 2, rate, start_ms, stop_ms,
                             threshold_db);
    PyBuffer_Release(&samples);
    return events;
}

static PyObject *recorder_open(PyObject *self, PyObject *unused)
{
    unsigned id;
    int left, right;
    pj_status_t status = sh_recorder_open(&id, &left, &right);

    (void)self, (void)unused;
    return status == PJ_SUCCESS ? Py_BuildValue("Iii", id, left, right)
                                : sh_raise_status(status, "opening a recorder");
}

static PyObject *recorder_pause(PyObject *self, PyObject *args)
{
    unsigned id;
    int paused;

    (void)self;
    if (!PyArg_ParseTuple(args, "Ip", &id, &paused))
        return NULL;
    return sh_none_or_raise(sh_recorder_pause(id, paused), "pausing a recorder");
}

static PyObject *recorder_leave(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_recorder_leave, "taking a recorder off the bridge");
}

static PyObject *recorder_free(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_recorder_free, "closing a recorder");
}

static PyObject *recorder_read(PyObject *self, PyObject *args)
{
    unsigned id;
    Py_buffer buffer;
    Py_ssize_t filled;

    (void)self;
    if (!PyArg_ParseTuple(args, "Iw*", &id, &buffer))
        return NULL;
    filled = sh_recorder_read(id, buffer.buf, buffer.len);
    PyBuffer_Release(&buffer);
    return filled < 0 ? sh_raise_status(PJ_ENOTFOUND, "reading a recorder") : PyLong_FromSsize_t(filled);
}

static PyObject *recorder_state(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    return sh_as_unsigned(id, &value) ? sh_recorder_state(value) : NULL;
}

static const char sound_capsule[] = "switchhook.sound";

static void release_sound(PyObject *capsule)
{
    sh_sound_release(PyCapsule_GetPointer(capsule, sound_capsule));
}

static PyObject *sound_load(PyObject *self, PyObject *samples)
{
    Py_buffer data;
    sh_sound *sound;

    (void)self;
    if (PyObject_GetBuffer(samples, &data, PyBUF_SIMPLE) < 0)
        return NULL;
    sound = sh_sound_create(data.buf, data.len);
    PyBuffer_Release(&data);
    return sound ? PyCapsule_New(sound, sound_capsule, release_sound) : PyErr_NoMemory();
}

static PyObject *player_open(PyObject *self, PyObject *rate)
{
    unsigned value, id;
    pj_status_t status;
    int slot;

    (void)self;
    if (!sh_as_unsigned(rate, &value))
        return NULL;
    status = sh_player_open(value, &id, &slot);
    return status == PJ_SUCCESS ? Py_BuildValue("Ii", id, slot)
                                : sh_raise_status(status, "opening a player");
}

static PyObject *player_close(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_player_close, "closing a player");
}

static PyObject *player_play(PyObject *self, PyObject *args)
{
    PyObject *capsule;
    sh_sound *sound;
    unsigned id, play;
    pj_status_t status;
    int loop;

    (void)self;
    if (!PyArg_ParseTuple(args, "IOp", &id, &capsule, &loop))
        return NULL;
    sound = PyCapsule_GetPointer(capsule, sound_capsule);
    if (!sound)
        return NULL;
    status = sh_player_play(id, sound, loop, &play);
    return status == PJ_SUCCESS ? PyLong_FromUnsignedLong(play) : sh_raise_status(status, "playing");
}

static PyObject *player_stop(PyObject *self, PyObject *id)
{
    (void)self;
    return with_port(id, sh_player_stop, "stopping a player");
}

static PyObject *player_finished(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_player_finished();
}

PyMethodDef sh_methods_media[] = {
    {"connect", connect_slots, METH_VARARGS, "(from slot, to slot)"},
    {"disconnect", disconnect_slots, METH_VARARGS, "(from slot, to slot)"},
    {"relay_join", relay_join, METH_VARARGS,
     "(call, call) -> whether audio is passed on between them, undecoded"},
    {"relay_part", relay_part, METH_O, "(call): the bridge mixes its audio again"},
    {"renumber", renumber, METH_VARARGS,
     "((clock rate, span of a packet), (SSRC, sequence, timestamp sent last, when), packets, end) -> "
     "(packets, timestamp sent last at the end, places left empty)"},
    {"clock_start", clock_start, METH_NOARGS, "Start the media clock: (its eventfd, whether its priority is real-time)"},
    {"clock_stop", clock_stop, METH_NOARGS, "Stop the media clock; before libDestroy."},
    {"clock_counters", clock_counters, METH_NOARGS, "(ticks, late ticks, busy nanoseconds)"},
    {"pump_open", pump_open, METH_VARARGS, "(rate, enum sh_samples) -> (id, slot)"},
    {"pump_close", pump_close, METH_O, "(id)"},
    {"pump_read", pump_read, METH_O, "(writable buffer) -> bytes of records filled in"},
    {"pump_write", pump_write, METH_VARARGS, "(id, samples) -> bytes taken"},
    {"pump_clear", pump_clear, METH_O, "(id)"},
    {"pump_state", pump_state, METH_O,
     "(bytes written, bytes played, frames heard, frames dropped, underruns) or None"},
    {"pump_listen", pump_listen, METH_VARARGS, "(id, start ms, stop ms, threshold dB)"},
    {"pump_quiet", pump_quiet, METH_O, "(id) -> frames since anybody was heard"},
    {"speech_judge", speech_judge, METH_VARARGS,
     "(samples, rate, start ms, stop ms, threshold dB) -> what began with each frame"},
    {"recorder_open", recorder_open, METH_NOARGS, "() -> (id, left slot, right slot)"},
    {"recorder_pause", recorder_pause, METH_VARARGS, "(id, paused)"},
    {"recorder_leave", recorder_leave, METH_O, "(id): off the bridge, still to be read"},
    {"recorder_free", recorder_free, METH_O, "(id)"},
    {"recorder_read", recorder_read, METH_VARARGS,
     "(id, writable buffer) -> bytes of stereo frames filled in"},
    {"recorder_state", recorder_state, METH_O, "(id) -> (frames recorded, frames lost) or None"},
    {"sound_load", sound_load, METH_O, "(samples) -> sound"},
    {"player_open", player_open, METH_O, "(rate) -> (id, slot)"},
    {"player_close", player_close, METH_O, "(id)"},
    {"player_play", player_play, METH_VARARGS, "(id, sound, loop) -> play"},
    {"player_stop", player_stop, METH_O, "(id)"},
    {"player_finished", player_finished, METH_NOARGS, "[(id, play)] that ended"},
    {NULL, NULL, 0, NULL},
};
