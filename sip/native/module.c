/* The Python module `_pjsua2.native`: argument parsing and errors; the work is in the other files.
 *
 * Every function is called on the thread that polls PJSIP and returns within microseconds, so the
 * GIL is kept.
 */
#include "arguments.h"

/* Memory pools that PJSIP keeps for the next call instead of giving them back: those of some thousand
 * transactions. Stock keeps none, and pays for each with malloc, free and page faults. */
#define KEPT_POOL_BYTES (64u << 20)

static PyObject *facts(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_facts();
}

static PyObject *log_errors_only(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    pj_log_set_level(1);
    Py_RETURN_NONE;
}

static PyObject *register_modules(PyObject *self, PyObject *unused)
{
    pjsip_endpoint *endpt = pjsua_get_pjsip_endpt();
    pj_status_t status;

    (void)self, (void)unused;
    pjsua_var.cp.max_capacity = KEPT_POOL_BYTES;
    sh_call_hook_callbacks();
    sh_codecs_hook_callbacks();
    sh_rtp_hook();
    sh_tls_hook_callbacks();
    sh_log_hook();
    status = sh_gate_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_resolve_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_malformed_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_wire_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_challenge_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_refer_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_referral_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_capabilities_register(endpt);
    return sh_none_or_raise(status, "registering the gateway's PJSIP modules");
}

/* Timers B, D and F (RFC 3261 section 17), of which PJSIP knows one value. */
static PyObject *give_up_after(PyObject *self, PyObject *milliseconds)
{
    unsigned value;

    (void)self;
    if (!sh_as_unsigned(milliseconds, &value))
        return NULL;
    pjsip_tsx_set_timers(0, 0, 0, value);
    Py_RETURN_NONE;
}

/* One step of PJSIP, then what happened. What is still readable wakes the loop again. A step takes in 10
 * packets at most from each socket, so SPARE_CALLS slots (sip/engine.py) are enough for the calls that end
 * and begin in it. */
static PyObject *poll(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    pjsua_handle_events(0);
    return PyErr_Occurred() ? NULL : sh_events_drain();
}

static PyObject *drain_events(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_events_drain();
}

static PyObject *events_dropped(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyLong_FromUnsignedLongLong(sh_events_dropped());
}

static PyObject *log_lines(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyLong_FromUnsignedLongLong(sh_log_lines());
}

static PyObject *malformed_packets(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyLong_FromUnsignedLongLong(sh_malformed_packets());
}

static PyObject *malformed_take(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_malformed_take();
}

static PyMethodDef methods[] = {
    {"facts", facts, METH_NOARGS, "(version, calls, sockets, ioqueue, TLS backend, OpenSSL)"},
    {"log_errors_only", log_errors_only, METH_NOARGS, "Quiet PJLIB; before libCreate."},
    {"register_modules", register_modules, METH_NOARGS, "Join PJSIP; once, after libInit."},
    {"give_up_after", give_up_after, METH_O, "(milliseconds) without a response; PJSIP's are 32000"},
    {"poll", poll, METH_NOARGS, "Let PJSIP work, then as drain_events."},
    {"drain_events", drain_events, METH_NOARGS,
     "[(kind, monotonic seconds, Call-ID, number, extra, text, text)] since the last call"},
    {"events_dropped", events_dropped, METH_NOARGS, "Events lost to a full queue."},
    {"log_lines", log_lines, METH_NOARGS, "Lines of PJSIP's own log, those held back included."},
    {"malformed_packets", malformed_packets, METH_NOARGS, "SIP packets that could not be read."},
    {"malformed_take", malformed_take, METH_NOARGS,
     "([(source, packets, reason of the first)], packets of others) since the last call"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_pjsua2.native",
    .m_doc = "The gateway's own parts inside PJSIP.",
    .m_size = -1,
    .m_methods = methods,
};

PyObject *switchhook_native_init(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module && (PyModule_AddFunctions(module, sh_methods_trunks) < 0 ||
                   PyModule_AddFunctions(module, sh_methods_calls) < 0 ||
                   PyModule_AddFunctions(module, sh_methods_media) < 0))
        Py_CLEAR(module);
    return module;
}
