/* The Python side of a call: REFER both ways, and what is known of its dialog. */
#include "arguments.h"

static PyObject *call_prepare(PyObject *self, PyObject *args)
{
    Py_ssize_t length;
    const char *codec;
    unsigned address;
    pj_str_t name;
    int id;

    (void)self;
    if (!PyArg_ParseTuple(args, "is#I", &id, &codec, &length, &address))
        return NULL;
    name = sh_as_pj_str(codec, length);
    sh_call_choose_slot(address);
    sh_codecs_prefer(pjsua_var.next_call_id, &name);
    sh_rtp_port_choose(id);
    Py_RETURN_NONE;
}

static PyObject *call_offer(PyObject *self, PyObject *args)
{
    struct sh_codecs offer = {0};
    const char *names;
    int keys;

    (void)self;
    if (!PyArg_ParseTuple(args, "sIi", &names, &offer.ptime, &keys) ||
        !sh_read_codecs(names, &offer))
        return NULL;
    offer.keys = (enum sh_keys)keys;
    sh_codecs_offer(pjsua_var.next_call_id, &offer);
    Py_RETURN_NONE;
}

static int add_header(pj_pool_t *pool, pjsip_hdr *headers, PyObject *pair)
{
    const char *name, *value;
    Py_ssize_t name_len, value_len;
    pj_str_t name_str, value_str;

    if (!PyArg_ParseTuple(pair, "s#s#", &name, &name_len, &value, &value_len))
        return -1;
    name_str = sh_as_pj_str(name, name_len);
    value_str = sh_as_pj_str(value, value_len);
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

/* What Python wants said in a call or to a referrer, and the headers that go with it. */
struct order {
    int id, code;
    pj_str_t text; /* a reason phrase, a URI or a body */
    pjsua_msg_data with;
    pj_pool_t *pool; /* of the headers; `carried_out` releases it */
};

static bool take_headers(struct order *order, PyObject *list, const char *text, Py_ssize_t length)
{
    order->text = sh_as_pj_str(text, length);
    pjsua_msg_data_init(&order->with);
    order->pool = read_headers(list, &order->with.hdr_list);
    return order->pool != NULL;
}

/* (id, text, [(name, value)]); false: a Python error is set. */
static bool read_order(PyObject *args, struct order *order)
{
    const char *text;
    Py_ssize_t length;
    PyObject *list;

    return PyArg_ParseTuple(args, "is#O!", &order->id, &text, &length, &PyList_Type, &list) &&
           take_headers(order, list, text, length);
}

/* (id, code, reason, [(name, value)]); likewise. Calls are not answered and ended by pjsua2, whose parameters
 * are five Python objects for each. */
static bool read_verdict(PyObject *args, struct order *order)
{
    const char *reason;
    Py_ssize_t length;
    PyObject *list;

    return PyArg_ParseTuple(args, "iis#O!", &order->id, &order->code, &reason, &length, &PyList_Type,
                            &list) &&
           take_headers(order, list, reason, length);
}

static PyObject *carried_out(const struct order *order, pj_status_t status, const char *doing)
{
    pj_pool_release(order->pool);
    return sh_none_or_raise(status, doing);
}

static PyObject *answer_call(PyObject *self, PyObject *args)
{
    struct order order;

    (void)self;
    if (!read_verdict(args, &order))
        return NULL;
    sh_call_keep_to_audio(order.id);
    return carried_out(&order,
                       pjsua_call_answer2(order.id, NULL, (unsigned)order.code,
                                          order.text.slen ? &order.text : NULL, &order.with),
                       "answering");
}

/* A call that has ended by itself, which Python is about to see, is as good as hung up. */
static PyObject *hang_up_call(PyObject *self, PyObject *args)
{
    struct order order;
    pj_status_t status;

    (void)self;
    if (!read_verdict(args, &order))
        return NULL;
    status = pjsua_call_hangup(order.id, (unsigned)order.code, order.text.slen ? &order.text : NULL,
                               &order.with);
    return carried_out(&order, status == PJSIP_ESESSIONTERMINATED ? PJ_SUCCESS : status, "hanging up");
}

static PyObject *refer_send(PyObject *self, PyObject *args)
{
    struct order order;
    int id = 0;
    PyObject *done;

    (void)self;
    if (!read_order(args, &order))
        return NULL;
    done = carried_out(&order, sh_refer_send(order.id, &order.text, &order.with.hdr_list, &id),
                       "sending REFER");
    Py_XDECREF(done);
    return done ? PyLong_FromLong(id) : NULL;
}

static PyObject *refer_unsubscribe(PyObject *self, PyObject *refer)
{
    int id;

    (void)self;
    return sh_as_int(refer, &id) ? sh_none_or_raise(sh_refer_unsubscribe(id), "unsubscribing") : NULL;
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
    if (!sh_as_int(refer, &id))
        return NULL;
    sh_refer_end(id);
    Py_RETURN_NONE;
}

static PyObject *referral_answer(PyObject *self, PyObject *args)
{
    struct order order;

    (void)self;
    if (!read_verdict(args, &order))
        return NULL;
    return carried_out(&order,
                       sh_referral_answer((unsigned)order.id, order.code, &order.text,
                                          &order.with.hdr_list),
                       "answering REFER");
}

static PyObject *referral_notify(PyObject *self, PyObject *args)
{
    struct order order;

    (void)self;
    if (!read_order(args, &order))
        return NULL;
    return carried_out(&order,
                       sh_referral_notify((unsigned)order.id, &order.text, &order.with.hdr_list),
                       "sending NOTIFY");
}

static PyObject *referral_close(PyObject *self, PyObject *id)
{
    unsigned value;

    (void)self;
    if (!sh_as_unsigned(id, &value))
        return NULL;
    sh_referral_close(value);
    Py_RETURN_NONE;
}

static PyObject *call_slot(PyObject *self, PyObject *id)
{
    int call;

    (void)self;
    return sh_as_int(id, &call) ? PyLong_FromLong(sh_call_slot(call)) : NULL;
}

static PyObject *call_rx_packets(PyObject *self, PyObject *id)
{
    int call;

    (void)self;
    return sh_as_int(id, &call) ? PyLong_FromUnsignedLong(sh_call_rx_packets(call)) : NULL;
}

static PyObject *call_id(PyObject *self, PyObject *id)
{
    pjsip_dialog *dlg;
    int call;

    (void)self;
    if (!sh_as_int(id, &call))
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
    if (!sh_as_int(id, &call))
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
    if (!sh_as_int(id, &call))
        return NULL;
    dlg = sh_call_dialog(call);
    if (!dlg)
        return Py_BuildValue("ss", "", "");
    return Py_BuildValue("s#s#", dlg->local.info->tag.ptr, (Py_ssize_t)dlg->local.info->tag.slen,
                         dlg->remote.info->tag.ptr, (Py_ssize_t)dlg->remote.info->tag.slen);
}

PyMethodDef sh_methods_calls[] = {
    {"call_prepare", call_prepare, METH_VARARGS,
     "(account, codec, address): slot, RTP port, first codec and peer of the call that is made next"},
    {"call_offer", call_offer, METH_VARARGS,
     "(\"PCMA PCMU\", ptime, keys), after call_prepare: what it offers instead of all that its account has"},
    {"call_answer", answer_call, METH_VARARGS, "(call, code, reason, [(name, value)])"},
    {"call_hangup", hang_up_call, METH_VARARGS, "(call, code, reason, [(name, value)])"},
    {"refer_send", refer_send, METH_VARARGS, "(call, refer_to, [(name, value)]) -> id"},
    {"refer_unsubscribe", refer_unsubscribe, METH_O, "(id)"},
    {"refer_count", refer_count, METH_NOARGS, "REFERs that were not ended"},
    {"refer_end", refer_end, METH_O, "(id); the events of this REFER end"},
    {"referral_answer", referral_answer, METH_VARARGS, "(id, code, reason, [(name, value)])"},
    {"referral_notify", referral_notify, METH_VARARGS, "(id, sipfrag, [(name, value)])"},
    {"referral_close", referral_close, METH_O, "(id): nothing more will be said of it"},
    {"call_slot", call_slot, METH_O, "(call) -> place on the bridge now; -1: no audio"},
    {"call_rx_packets", call_rx_packets, METH_O, "(call) -> RTP packets received; 0: no audio"},
    {"dialog_target", dialog_target, METH_O, "(call) -> URI of the peer's Contact"},
    {"dialog_tags", dialog_tags, METH_O, "(call) -> (ours, the peer's)"},
    {"call_id", call_id, METH_O, "(call) -> Call-ID; empty where the slot holds no call"},
    {NULL, NULL, 0, NULL},
};
