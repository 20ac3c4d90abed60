/* The Python side of what is known of trunks: tables, replaced whole, and their counters. */
#include "arguments.h"

static int fill_source(PyObject *tuple, void *row)
{
    struct sh_source *source = row;

    return PyArg_ParseTuple(tuple, "IIi", &source->network, &source->mask, &source->account);
}

static int fill_trunk(PyObject *tuple, void *row)
{
    struct sh_trunk *trunk = row;

    return PyArg_ParseTuple(tuple, "iIddppI", &trunk->account, &trunk->max_calls,
                            &trunk->rate.per_second, &trunk->rate.burst, &trunk->digest,
                            &trunk->encrypted, &trunk->transports);
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
    tables.sources = sh_rows_of(sources, sizeof *tables.sources, fill_source);
    tables.trunks = tables.sources ? sh_rows_of(trunks, sizeof *tables.trunks, fill_trunk) : NULL;
    if (tables.trunks)
        status = sh_gate_replace(&tables);
    PyMem_Free(tables.sources);
    PyMem_Free(tables.trunks);
    return PyErr_Occurred() ? NULL : sh_none_or_raise(status, "replacing the gate's tables");
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
    credentials = sh_rows_of(list, sizeof *credentials, fill_credential);
    if (!credentials)
        return NULL;
    status = sh_digest_replace(realm, credentials, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(credentials);
    return sh_none_or_raise(status, "replacing the digest credentials");
}

static PyObject *rtp_replace(PyObject *self, PyObject *args)
{
    PyObject *list;
    struct sh_source *sources;
    pj_status_t status;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &list))
        return NULL;
    sources = sh_rows_of(list, sizeof *sources, fill_source);
    if (!sources)
        return NULL;
    status = sh_rtp_replace(sources, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(sources);
    return sh_none_or_raise(status, "replacing the networks of audio");
}

static PyObject *rtp_silent(PyObject *self, PyObject *limit)
{
    unsigned milliseconds;

    (void)self;
    return sh_as_unsigned(limit, &milliseconds) ? sh_rtp_silent(milliseconds) : NULL;
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
    address = sh_as_pj_str(text, length);
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
    return sh_none_or_raise(sh_route_set_hops(account, uris, (unsigned)count), "setting the next hops");
}

static PyObject *route_use_hop(PyObject *self, PyObject *args)
{
    unsigned hop;
    int account;

    (void)self;
    if (!PyArg_ParseTuple(args, "iI", &account, &hop))
        return NULL;
    return sh_none_or_raise(sh_route_use_hop(account, hop), "choosing the next hop");
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
    peers = sh_rows_of(list, sizeof *peers, fill_tls_peer);
    if (!peers)
        return NULL;
    status = sh_tls_replace(peers, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(peers);
    return sh_none_or_raise(status, "reading the TLS authorities");
}

bool sh_read_codecs(const char *names, struct sh_codecs *codecs)
{
    while (*names) {
        size_t length = strcspn(names, " ");

        if (length >= SH_CODEC_NAME || codecs->count == SH_MAX_CODECS) {
            PyErr_SetString(PyExc_ValueError, "too many codecs, or too long a name");
            return false;
        }
        memcpy(codecs->names[codecs->count++], names, length);
        names += length;
        names += *names == ' ';
    }
    return true;
}

static int fill_codecs(PyObject *tuple, void *row)
{
    struct sh_codecs *codecs = row;
    const char *names;

    return PyArg_ParseTuple(tuple, "isIII", &codecs->account, &names, &codecs->ptime,
                            &codecs->jitter_min, &codecs->jitter_max) &&
           sh_read_codecs(names, codecs);
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
    table = sh_rows_of(list, sizeof *table, fill_codecs);
    if (!table)
        return NULL;
    status = sh_codecs_replace(table, (unsigned)PyList_GET_SIZE(list));
    PyMem_Free(table);
    return sh_none_or_raise(status, "replacing the trunks' codecs");
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
    return sh_none_or_raise(status, "replacing what trunks may transfer");
}

static PyObject *ping(PyObject *self, PyObject *args)
{
    Py_ssize_t length;
    const char *uri;
    pj_str_t target;
    int account, id;

    (void)self;
    if (!PyArg_ParseTuple(args, "is#i", &account, &uri, &length, &id))
        return NULL;
    target = sh_as_pj_str(uri, length);
    return sh_none_or_raise(sh_ping_send(account, &target, id), "sending OPTIONS");
}

PyMethodDef sh_methods_trunks[] = {
    {"gate_replace", gate_replace, METH_VARARGS,
     "([(network, mask, account)] most specific first,"
     " [(account, max_calls, per_second, burst, digest, encrypted,"
     " transports: 1 << type each)],"
     " (draining, drop_unknown, strangers_may_answer, max_legs, (per_second, burst)))"},
    {"digest_replace", digest_replace, METH_VARARGS,
     "(realm, [(username, MD5, SHA-256, account, from_anywhere)])"},
    {"gate_counters", gate_counters, METH_NOARGS, "{reason: requests}"},
    {"rtp_replace", rtp_replace, METH_VARARGS,
     "([(network, mask, account)]) that may send audio besides the SDP's host"},
    {"rtp_silent", rtp_silent, METH_O, "(milliseconds) -> [Call-ID] that nothing was heard from"},
    {"rtp_counters", rtp_counters, METH_NOARGS, "(strangers, moved, malformed, unauthenticated, replayed, keys refused)"},
    {"resolved", resolved, METH_VARARGS, "(number of the question, address; empty: none)"},
    {"resolve_stop", resolve_stop, METH_NOARGS, "Answer what is still asked; before libDestroy."},
    {"route_set_hops", route_set_hops, METH_VARARGS, "(account, [URI as a Route has it])"},
    {"route_use_hop", route_use_hop, METH_VARARGS, "(account, hop), before a call or a REGISTER"},
    {"ping", ping, METH_VARARGS, "(account, URI, number of the question): sends OPTIONS"},
    {"tls_replace", tls_replace, METH_VARARGS,
     "[(host, its address, name in its certificate, file of authorities, verify)]; '' as host: others"},
    {"codecs_replace", codecs_replace, METH_O,
     "([(account, \"PCMA opus\", ptime, least and greatest delay in the jitter buffer: ms)])"},
    {"transfers_in_replace", transfers_in_replace, METH_O, "([(account, REFER, Replaces)])"},
    {NULL, NULL, 0, NULL},
};
