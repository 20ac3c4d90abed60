/* The Python module `_pjsua2.native`: argument parsing and errors; the work is in the other files.
 *
 * Every function is called on the thread that polls PJSIP and returns within microseconds, so the
 * GIL is kept.
 */
#include "native.h"

#include <string.h>

static PyObject *raise_status(pj_status_t status, const char *doing)
{
    char text[PJ_ERR_MSG_SIZE];

    pj_strerror(status, text, sizeof text);
    PyErr_Format(PyExc_OSError, "%s: %s", doing, text);
    return NULL;
}

static PyObject *none_or_raise(pj_status_t status, const char *doing)
{
    if (status != PJ_SUCCESS)
        return raise_status(status, doing);
    Py_RETURN_NONE;
}

static pj_str_t as_pj_str(const char *text, Py_ssize_t length)
{
    pj_str_t result = {(char *)text, length};

    return result;
}

static bool as_int(PyObject *value, int *out)
{
    long number = PyLong_AsLong(value);

    *out = (int)number;
    return number != -1 || !PyErr_Occurred();
}

static bool as_unsigned(PyObject *value, unsigned *out)
{
    unsigned long number = PyLong_AsUnsignedLong(value);

    *out = (unsigned)number;
    return number != (unsigned long)-1 || !PyErr_Occurred();
}

/* Memory pools that PJSIP keeps for the next call instead of giving them back: those of some thousand
 * transactions. Stock keeps none, and pays for each with malloc, free and page faults. */
#define KEPT_POOL_BYTES (64u << 20)

/* Open a port at a rate: (id, slot). */
static PyObject *open_port(PyObject *rate, pj_status_t (*open)(unsigned, unsigned *, int *),
                           const char *doing)
{
    unsigned value, id;
    pj_status_t status;
    int slot;

    if (!as_unsigned(rate, &value))
        return NULL;
    status = open(value, &id, &slot);
    return status == PJ_SUCCESS ? Py_BuildValue("Ii", id, slot) : raise_status(status, doing);
}

/* Do something to the port with this id. */
static PyObject *with_port(PyObject *id, pj_status_t (*work)(unsigned), const char *doing)
{
    unsigned value;

    return as_unsigned(id, &value) ? none_or_raise(work(value), doing) : NULL;
}

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
    status = sh_gate_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_resolve_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_wire_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_refer_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_referral_register(endpt);
    if (status == PJ_SUCCESS)
        status = sh_capabilities_register(endpt);
    return none_or_raise(status, "registering the gateway's PJSIP modules");
}

/* Timers B, D and F (RFC 3261 section 17), of which PJSIP knows one value. */
static PyObject *give_up_after(PyObject *self, PyObject *milliseconds)
{
    unsigned value;

    (void)self;
    if (!as_unsigned(milliseconds, &value))
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

/* A list of tuples as C; NULL: an exception is set. The caller frees it with PyMem_Free. */
static void *rows_of(PyObject *list, size_t size, int (*fill)(PyObject *tuple, void *row))
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    char *rows = PyMem_Calloc((size_t)count + 1, size);

    if (!rows)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!fill(PyList_GET_ITEM(list, i), rows + (size_t)i * size)) {
            PyMem_Free(rows);
            return NULL;
        }
    }
    return rows;
}

static int fill_source(PyObject *tuple, void *row)
{
    struct sh_source *source = row;

    return PyArg_ParseTuple(tuple, "IIi", &source->network, &source->mask, &source->account);
}

static int fill_trunk(PyObject *tuple, void *row)
{
    struct sh_trunk *trunk = row;

    return PyArg_ParseTuple(tuple, "iIddpp", &trunk->account, &trunk->max_calls,
                            &trunk->rate.per_second, &trunk->rate.burst, &trunk->digest,
                            &trunk->encrypted);
}

static int fill_credential(PyObject *tuple, void *row)
{
    struct sh_credential *credential = row;

    return PyArg_ParseTuple(tuple, "sssip", &credential->username, &credential->md5,
                            &credential->sha256, &credential->account, &credential->from_anywhere);
}

static PyObject *gate_replace(PyObject *self, PyObject *args)
{
    struct sh_gate_tables tables = {0};
    struct sh_gate_policy *policy = &tables.policy;
    PyObject *sources, *trunks;
    pj_status_t status = PJ_ENOMEM;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!(pppI(dd))", &PyList_Type, &sources, &PyList_Type, &trunks,
                          &policy->draining, &policy->drop_unknown, &policy->strangers_may_answer,
                          &policy->max_legs, &policy->per_source.per_second,
                          &policy->per_source.burst))
        return NULL;
    tables.source_count = (unsigned)PyList_GET_SIZE(sources);
    tables.trunk_count = (unsigned)PyList_GET_SIZE(trunks);
    tables.sources = rows_of(sources, sizeof *tables.sources, fill_source);
    tables.trunks = tables.sources ? rows_of(trunks, sizeof *tables.trunks, fill_trunk) : NULL;
    if (tables.trunks)
        status = sh_gate_replace(&tables);
    PyMem_Free(tables.sources);
    PyMem_Free(tables.trunks);
    return PyErr_Occurred() ? NULL : none_or_raise(status, "replacing the gate's tables");
}

static PyObject *digest_replace(PyObject *self, PyObject *args)
{
    struct sh_credential *credentials;
    PyObject *list;
    const char *realm;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "sO!", &realm, &PyList_Type, &list))
        return NULL;
    credentials = rows_of(list, sizeof *credentials, fill_credential);
    if (!credentials)
        return NULL;
    status = sh_digest_replace(realm, credentials, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(credentials);
    return none_or_raise(status, "replacing the digest credentials");
}

static PyObject *rtp_replace(PyObject *self, PyObject *args)
{
    PyObject *list;
    struct sh_source *sources;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &list))
        return NULL;
    sources = rows_of(list, sizeof *sources, fill_source);
    if (!sources)
        return NULL;
    status = sh_rtp_replace(sources, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(sources);
    return none_or_raise(status, "replacing the networks of audio");
}

static PyObject *rtp_silent(PyObject *self, PyObject *limit)
{
    unsigned milliseconds;

    (void)self;
    return as_unsigned(limit, &milliseconds) ? sh_rtp_silent(milliseconds) : NULL;
}

static PyObject *rtp_counters(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_rtp_counters();
}

static PyObject *gate_counters(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return sh_gate_counters();
}

static PyObject *resolved(PyObject *self, PyObject *args)
{
    const char *text;
    Py_ssize_t length;
    pj_str_t address;
    unsigned id;

    (void)self;
    if (!PyArg_ParseTuple(args, "Is#", &id, &text, &length))
        return NULL;
    address = as_pj_str(text, length);
    sh_resolved(id, &address);
    Py_RETURN_NONE;
}

static PyObject *resolve_stop(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    sh_resolve_stop();
    Py_RETURN_NONE;
}

static PyObject *route_set_hops(PyObject *self, PyObject *args)
{
    const char *uris[SH_MAX_HOPS];
    PyObject *list;
    Py_ssize_t count;
    int account;

    (void)self;
    if (!PyArg_ParseTuple(args, "iO!", &account, &PyList_Type, &list))
        return NULL;
    count = PyList_GET_SIZE(list);
    if (count > SH_MAX_HOPS)
        return PyErr_Format(PyExc_ValueError, "at most %d next hops", SH_MAX_HOPS);
    for (Py_ssize_t i = 0; i < count; i++) {
        uris[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(list, i));
        if (!uris[i])
            return NULL;
    }
    return none_or_raise(sh_route_set_hops(account, uris, (unsigned)count), "setting the next hops");
}

static PyObject *route_use_hop(PyObject *self, PyObject *args)
{
    unsigned hop;
    int account;

    (void)self;
    if (!PyArg_ParseTuple(args, "iI", &account, &hop))
        return NULL;
    return none_or_raise(sh_route_use_hop(account, hop), "choosing the next hop");
}

static int fill_tls_peer(PyObject *tuple, void *row)
{
    struct sh_tls_peer *peer = row;

    return PyArg_ParseTuple(tuple, "ssssp", &peer->host, &peer->address, &peer->name,
                            &peer->authorities, &peer->verify);
}

static PyObject *tls_replace(PyObject *self, PyObject *args)
{
    PyObject *list;
    struct sh_tls_peer *peers;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &list))
        return NULL;
    peers = rows_of(list, sizeof *peers, fill_tls_peer);
    if (!peers)
        return NULL;
    status = sh_tls_replace(peers, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(peers);
    return none_or_raise(status, "reading the TLS authorities");
}

static PyObject *call_prepare(PyObject *self, PyObject *args)
{
    Py_ssize_t length;
    const char *codec;
    pj_str_t name;
    int id;

    (void)self;
    if (!PyArg_ParseTuple(args, "is#", &id, &codec, &length))
        return NULL;
    name = as_pj_str(codec, length);
    sh_call_choose_slot();
    sh_codecs_prefer(pjsua_var.next_call_id, &name);
    sh_rtp_port_choose(id);
    Py_RETURN_NONE;
}

/* Names that are separated by spaces. */
static int fill_codecs(PyObject *tuple, void *row)
{
    struct sh_codecs *codecs = row;
    const char *names;

    if (!PyArg_ParseTuple(tuple, "isIII", &codecs->account, &names, &codecs->ptime,
                          &codecs->jitter_min, &codecs->jitter_max))
        return 0;
    while (*names) {
        size_t length = strcspn(names, " ");

        if (length >= SH_CODEC_NAME || codecs->count == SH_MAX_CODECS) {
            PyErr_SetString(PyExc_ValueError, "too many codecs, or too long a name");
            return 0;
        }
        memcpy(codecs->names[codecs->count++], names, length);
        names += length;
        names += *names == ' ';
    }
    return 1;
}

static PyObject *codecs_replace(PyObject *self, PyObject *list)
{
    struct sh_codecs *table;
    pj_status_t status;

    (void)self;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list is due");
        return NULL;
    }
    table = rows_of(list, sizeof *table, fill_codecs);
    if (!table)
        return NULL;
    status = sh_codecs_replace(table, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(table);
    return none_or_raise(status, "replacing the trunks' codecs");
}

static int add_header(pj_pool_t *pool, pjsip_hdr *headers, PyObject *pair)
{
    const char *name, *value;
    Py_ssize_t name_len, value_len;
    pj_str_t name_str, value_str;

    if (!PyArg_ParseTuple(pair, "s#s#", &name, &name_len, &value, &value_len))
        return -1;
    name_str = as_pj_str(name, name_len);
    value_str = as_pj_str(value, value_len);
    pj_list_push_back(headers, pjsip_generic_string_hdr_create(pool, &name_str, &value_str));
    return 0;
}

/* Headers from [(name, value)], in a pool of their own; NULL: a Python error is set. */
static pj_pool_t *read_headers(PyObject *list, pjsip_hdr *headers)
{
    pj_pool_t *pool = pjsua_pool_create("headers", 1024, 1024);

    pj_list_init(headers);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (add_header(pool, headers, PyList_GET_ITEM(list, i)) < 0) {
            pj_pool_release(pool);
            return NULL;
        }
    return pool;
}

static PyObject *refer_send(PyObject *self, PyObject *args)
{
    const char *refer_to;
    Py_ssize_t refer_to_len;
    PyObject *list;
    pjsip_hdr headers;
    pj_pool_t *pool;
    pj_str_t target;
    pj_status_t status;
    int call, id = 0;

    (void)self;
    if (!PyArg_ParseTuple(args, "is#O!", &call, &refer_to, &refer_to_len, &PyList_Type, &list))
        return NULL;
    pool = read_headers(list, &headers);
    if (!pool)
        return NULL;
    target = as_pj_str(refer_to, refer_to_len);
    status = sh_refer_send(call, &target, &headers, &id);
    pj_pool_release(pool);
    return status == PJ_SUCCESS ? PyLong_FromLong(id) : raise_status(status, "sending REFER");
}

static PyObject *refer_unsubscribe(PyObject *self, PyObject *refer)
{
    int id;

    (void)self;
    return as_int(refer, &id) ? none_or_raise(sh_refer_unsubscribe(id), "unsubscribing") : NULL;
}

static PyObject *refer_count(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyLong_FromUnsignedLong(sh_refer_count());
}

static PyObject *refer_end(PyObject *self, PyObject *refer)
{
    int id;

    (void)self;
    if (!as_int(refer, &id))
        return NULL;
    sh_refer_end(id);
    Py_RETURN_NONE;
}

static PyObject *transfers_in_replace(PyObject *self, PyObject *list)
{
    struct sh_transfers_in *table;
    Py_ssize_t count;
    pj_status_t status;

    (void)self;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list of (account, refer, replaces) is due");
        return NULL;
    }
    count = PyList_GET_SIZE(list);
    table = PyMem_Calloc((size_t)count + 1, sizeof *table);
    if (!table)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "ipp", &table[i].account, &table[i].refer,
                              &table[i].replaces)) {
            PyMem_Free(table);
            return NULL;
        }
    status = sh_transfers_in_replace(table, (unsigned)count);
    PyMem_Free(table);
    return none_or_raise(status, "replacing what trunks may transfer");
}

static PyObject *referral_answer(PyObject *self, PyObject *args)
{
    unsigned id;
    int code;
    const char *reason;
    Py_ssize_t reason_len;
    PyObject *list;
    pjsip_hdr headers;
    pj_pool_t *pool;
    pj_str_t words;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "Iis#O!", &id, &code, &reason, &reason_len, &PyList_Type, &list))
        return NULL;
    pool = read_headers(list, &headers);
    if (!pool)
        return NULL;
    words = as_pj_str(reason, reason_len);
    status = sh_referral_answer(id, code, &words, &headers);
    pj_pool_release(pool);
    return none_or_raise(status, "answering REFER");
}

static PyObject *referral_notify(PyObject *self, PyObject *args)
{
    unsigned id;
    const char *sipfrag;
    Py_ssize_t sipfrag_len;
    PyObject *list;
    pjsip_hdr headers;
    pj_pool_t *pool;
    pj_str_t body;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "Is#O!", &id, &sipfrag, &sipfrag_len, &PyList_Type, &list))
        return NULL;
    pool = read_headers(list, &headers);
    if (!pool)
        return NULL;
    body = as_pj_str(sipfrag, sipfrag_len);
    status = sh_referral_notify(id, &body, &headers);
    pj_pool_release(pool);
    return none_or_raise(status, "sending NOTIFY");
}

static PyObject *referral_close(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    if (!as_unsigned(id, &value))
        return NULL;
    sh_referral_close(value);
    Py_RETURN_NONE;
}

static PyObject *call_slot(PyObject *self, PyObject *id)
{
    int call;

    (void)self;
    return as_int(id, &call) ? PyLong_FromLong(sh_call_slot(call)) : NULL;
}

static PyObject *call_rx_packets(PyObject *self, PyObject *id)
{
    int call;

    (void)self;
    return as_int(id, &call) ? PyLong_FromUnsignedLong(sh_call_rx_packets(call)) : NULL;
}

static PyObject *call_id(PyObject *self, PyObject *id)
{
    pjsip_dialog *dlg;
    int call;

    (void)self;
    if (!as_int(id, &call))
        return NULL;
    dlg = sh_call_dialog(call);
    return PyUnicode_DecodeUTF8(dlg ? dlg->call_id->id.ptr : "", dlg ? dlg->call_id->id.slen : 0,
                                "replace");
}

static PyObject *dialog_target(PyObject *self, PyObject *id)
{
    char uri[PJSIP_MAX_URL_SIZE];
    pjsip_dialog *dlg;
    int call, length;

    (void)self;
    if (!as_int(id, &call))
        return NULL;
    dlg = sh_call_dialog(call);
    length = dlg ? pjsip_uri_print(PJSIP_URI_IN_REQ_URI, pjsip_uri_get_uri(dlg->target), uri,
                                   sizeof uri)
                 : 0;
    return PyUnicode_DecodeUTF8(uri, length > 0 ? length : 0, "replace");
}

static PyObject *dialog_tags(PyObject *self, PyObject *id)
{
    pjsip_dialog *dlg;
    int call;

    (void)self;
    if (!as_int(id, &call))
        return NULL;
    dlg = sh_call_dialog(call);
    if (!dlg)
        return Py_BuildValue("ss", "", "");
    return Py_BuildValue("s#s#", dlg->local.info->tag.ptr, (Py_ssize_t)dlg->local.info->tag.slen,
                         dlg->remote.info->tag.ptr, (Py_ssize_t)dlg->remote.info->tag.slen);
}

static PyObject *connect_slots(PyObject *self, PyObject *args)
{
    int from, to;

    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &from, &to))
        return NULL;
    return none_or_raise(pjsua_conf_connect(from, to), "connecting audio");
}

static PyObject *disconnect_slots(PyObject *self, PyObject *args)
{
    int from, to;

    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &from, &to))
        return NULL;
    return none_or_raise(pjsua_conf_disconnect(from, to), "disconnecting audio");
}

static PyObject *clock_start(PyObject *self, PyObject *unused)
{
    int fd = -1;
    pj_status_t status = sh_clock_start(&fd);

    (void)self, (void)unused;
    return status == PJ_SUCCESS ? PyLong_FromLong(fd) : raise_status(status, "starting the media clock");
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

static PyObject *pump_open(PyObject *self, PyObject *rate)
{
    (void)self;
    return open_port(rate, sh_pump_open, "opening bot audio");
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
    return taken < 0 ? raise_status(PJ_ENOTFOUND, "writing bot audio") : PyLong_FromSsize_t(taken);
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
    return as_unsigned(id, &value) ? sh_pump_state(value) : NULL;
}

static PyObject *pump_listen(PyObject *self, PyObject *args)
{
    unsigned id, start_ms, stop_ms;
    float threshold_db;

    (void)self;
    if (!PyArg_ParseTuple(args, "IIIf", &id, &start_ms, &stop_ms, &threshold_db))
        return NULL;
    return none_or_raise(sh_pump_listen(id, start_ms, stop_ms, threshold_db),
                         "listening to a caller");
}

static PyObject *pump_quiet(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    return as_unsigned(id, &value) ? sh_pump_quiet(value) : NULL;
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
                                : raise_status(status, "opening a recorder");
}

static PyObject *recorder_pause(PyObject *self, PyObject *args)
{
    unsigned id;
    int paused;

    (void)self;
    if (!PyArg_ParseTuple(args, "Ip", &id, &paused))
        return NULL;
    return none_or_raise(sh_recorder_pause(id, paused), "pausing a recorder");
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
    return filled < 0 ? raise_status(PJ_ENOTFOUND, "reading a recorder") : PyLong_FromSsize_t(filled);
}

static PyObject *recorder_state(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    return as_unsigned(id, &value) ? sh_recorder_state(value) : NULL;
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
    (void)self;
    return open_port(rate, sh_player_open, "opening a player");
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
    return status == PJ_SUCCESS ? PyLong_FromUnsignedLong(play) : raise_status(status, "playing");
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

static PyMethodDef methods[] = {
    {"facts", facts, METH_NOARGS, "(version, calls, sockets, ioqueue, TLS backend, OpenSSL)"},
    {"log_errors_only", log_errors_only, METH_NOARGS, "Quiet PJLIB; before libCreate."},
    {"register_modules", register_modules, METH_NOARGS, "Join PJSIP; once, after libInit."},
    {"give_up_after", give_up_after, METH_O, "(milliseconds) without a response; PJSIP's are 32000"},
    {"poll", poll, METH_NOARGS, "Let PJSIP work, then as drain_events."},
    {"drain_events", drain_events, METH_NOARGS,
     "[(kind, monotonic seconds, Call-ID, number, extra, text, text)] since the last call"},
    {"events_dropped", events_dropped, METH_NOARGS, "Events lost to a full queue."},
    {"gate_replace", gate_replace, METH_VARARGS,
     "([(network, mask, account)] most specific first,"
     " [(account, max_calls, per_second, burst, digest, encrypted)],"
     " (draining, drop_unknown, strangers_may_answer, max_legs, (per_second, burst)))"},
    {"digest_replace", digest_replace, METH_VARARGS,
     "(realm, [(username, MD5, SHA-256, account, from_anywhere)])"},
    {"gate_counters", gate_counters, METH_NOARGS, "{reason: requests}"},
    {"rtp_replace", rtp_replace, METH_VARARGS,
     "([(network, mask, account)]) that may send audio besides the SDP's host"},
    {"rtp_silent", rtp_silent, METH_O, "(milliseconds) -> [Call-ID] that nothing was heard from"},
    {"rtp_counters", rtp_counters, METH_NOARGS, "(packets of strangers, sources found elsewhere)"},
    {"resolved", resolved, METH_VARARGS, "(number of the question, address; empty: none)"},
    {"resolve_stop", resolve_stop, METH_NOARGS, "Answer what is still asked; before libDestroy."},
    {"route_set_hops", route_set_hops, METH_VARARGS, "(account, [URI as a Route has it])"},
    {"route_use_hop", route_use_hop, METH_VARARGS, "(account, hop), before a call or a REGISTER"},
    {"tls_replace", tls_replace, METH_VARARGS,
     "[(host, its address, name in its certificate, file of authorities, verify)]; '' as host: others"},
    {"codecs_replace", codecs_replace, METH_O,
     "([(account, \"PCMA opus\", ptime, least and greatest delay in the jitter buffer: ms)])"},
    {"call_prepare", call_prepare, METH_VARARGS,
     "(account, codec): the slot, RTP port and first codec of the call that is made next"},
    {"refer_send", refer_send, METH_VARARGS, "(call, refer_to, [(name, value)]) -> id"},
    {"refer_unsubscribe", refer_unsubscribe, METH_O, "(id)"},
    {"refer_count", refer_count, METH_NOARGS, "REFERs that were not ended"},
    {"refer_end", refer_end, METH_O, "(id); the events of this REFER end"},
    {"transfers_in_replace", transfers_in_replace, METH_O, "([(account, REFER, Replaces)])"},
    {"referral_answer", referral_answer, METH_VARARGS, "(id, code, reason, [(name, value)])"},
    {"referral_notify", referral_notify, METH_VARARGS, "(id, sipfrag, [(name, value)])"},
    {"referral_close", referral_close, METH_O, "(id): nothing more will be said of it"},
    {"call_slot", call_slot, METH_O, "(call) -> place on the bridge now; -1: no audio"},
    {"call_rx_packets", call_rx_packets, METH_O, "(call) -> RTP packets received; 0: no audio"},
    {"dialog_target", dialog_target, METH_O, "(call) -> URI of the peer's Contact"},
    {"dialog_tags", dialog_tags, METH_O, "(call) -> (ours, the peer's)"},
    {"call_id", call_id, METH_O, "(call) -> Call-ID; empty where the slot holds no call"},
    {"connect", connect_slots, METH_VARARGS, "(from slot, to slot)"},
    {"disconnect", disconnect_slots, METH_VARARGS, "(from slot, to slot)"},
    {"clock_start", clock_start, METH_NOARGS, "Start the media clock; its eventfd."},
    {"clock_stop", clock_stop, METH_NOARGS, "Stop the media clock; before libDestroy."},
    {"clock_counters", clock_counters, METH_NOARGS, "(ticks, late ticks, busy nanoseconds)"},
    {"pump_open", pump_open, METH_O, "(rate) -> (id, slot)"},
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

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_pjsua2.native",
    .m_doc = "The gateway's own parts inside PJSIP.",
    .m_size = -1,
    .m_methods = methods,
};

PyObject *switchhook_native_init(void)
{
    return PyModule_Create(&definition);
}
