/* Packets that PJSIP cannot read, counted by who sent them.
 *
 * Its parser gives them up without an answer, before any of our modules sees them, and would write what
 * it made of each into the log: one sender could fill a disk. Here they are added up; Python asks for the
 * sums now and then.
 *
 * PJSIP says what it drops, but not whose it was. The linker leads every packet through here first
 * (--wrap in docker/pjsip/recipe/extension.py), so that we know which one is being read.
 */
#include "native.h"

#include <stdio.h>
#include <string.h>

/* Told apart between two reports. With more it is a flood from forged addresses, whose names say nothing. */
#define MAX_SOURCES 8

struct source {
    uint32_t address; /* network byte order */
    const char *transport;
    unsigned packets;
    char reason[80]; /* of the first one */
};

/* All on the thread that polls SIP. */
static struct source sources[MAX_SOURCES];
static unsigned source_count, from_others;
static uint64_t packets;

/* The log is written to by other threads as well, which read nothing. */
static _Thread_local const pjsip_rx_data *being_read;

pj_ssize_t __real_pjsip_tpmgr_receive_packet(pjsip_tpmgr *mgr, pjsip_rx_data *rdata);
pj_ssize_t __wrap_pjsip_tpmgr_receive_packet(pjsip_tpmgr *mgr, pjsip_rx_data *rdata);

pj_ssize_t __wrap_pjsip_tpmgr_receive_packet(pjsip_tpmgr *mgr, pjsip_rx_data *rdata)
{
    pj_ssize_t eaten;

    being_read = rdata;
    eaten = __real_pjsip_tpmgr_receive_packet(mgr, rdata);
    being_read = NULL;
    return eaten;
}

/* The packet whose reading goes on on this thread; NULL: none. */
const pjsip_rx_data *sh_packet_being_read(void)
{
    return being_read;
}

static void name_missing(const pjsip_rx_data *rdata, char *text, size_t size)
{
    const struct { const char *name; bool there; } needed[] = {
        {" Call-ID", rdata->msg_info.cid && rdata->msg_info.cid->id.slen},
        {" From", rdata->msg_info.from},
        {" To", rdata->msg_info.to},
        {" Via", rdata->msg_info.via},
        {" CSeq", rdata->msg_info.cseq}};

    pj_ansi_strxcpy(text, "missing:", size);
    for (size_t i = 0; i < PJ_ARRAY_SIZE(needed); i++)
        if (!needed[i].there)
            pj_ansi_strxcat(text, needed[i].name, size);
}

static void name_fault(const pjsip_rx_data *rdata, pj_status_t status, char *text, size_t size)
{
    const pjsip_parser_err_report *error = rdata->msg_info.parse_err.next;

    if (status == PJSIP_EMISSINGHDR)
        name_missing(rdata, text, size);
    else if (status == PJSIP_EINVALIDMSG && error != &rdata->msg_info.parse_err)
        snprintf(text, size, "line %d: %.*s", error->line, (int)error->hname.slen,
                 error->hname.slen ? error->hname.ptr : "");
    else
        pj_strerror(status, text, size);
}

static struct source *row_of(const pjsip_rx_data *rdata)
{
    uint32_t address = rdata->pkt_info.src_addr.ipv4.sin_addr.s_addr;
    const char *transport = rdata->tp_info.transport->type_name;

    for (unsigned i = 0; i < source_count; i++)
        if (sources[i].address == address && strcmp(sources[i].transport, transport) == 0)
            return &sources[i];
    if (source_count == MAX_SOURCES)
        return NULL;
    sources[source_count] = (struct source){.address = address, .transport = transport};
    return &sources[source_count++];
}

static void on_dropped(pjsip_tp_dropped_data *data)
{
    struct source *row;

    if (data->status == PJ_EIGNORED || !being_read) /* empty lines keep a NAT's binding alive */
        return;
    packets++;
    row = row_of(being_read);
    if (!row) {
        from_others++;
        return;
    }
    if (row->packets++ == 0)
        name_fault(being_read, data->status, row->reason, sizeof row->reason);
}

pj_status_t sh_malformed_register(pjsip_endpoint *endpt)
{
    source_count = from_others = 0;
    return pjsip_tpmgr_set_drop_data_cb(pjsip_endpt_get_tpmgr(endpt), on_dropped);
}

uint64_t sh_malformed_packets(void)
{
    return packets;
}

static PyObject *as_tuple(const struct source *row)
{
    char address[PJ_INET_ADDRSTRLEN] = "", source[64];
    const pj_in_addr number = {row->address};

    pj_inet_ntop(pj_AF_INET(), &number, address, sizeof address);
    snprintf(source, sizeof source, "%s %s", row->transport, address);
    return Py_BuildValue("(sIN)", source, row->packets,
                         PyUnicode_DecodeUTF8(row->reason, (Py_ssize_t)strlen(row->reason),
                                              "replace"));
}

/* ([("UDP 10.0.0.9", packets, reason), …], packets of others) since this was asked last. */
PyObject *sh_malformed_take(void)
{
    PyObject *list = PyList_New(0);
    unsigned others = from_others;

    for (unsigned i = 0; list && i < source_count; i++) {
        PyObject *tuple = as_tuple(&sources[i]);

        if (!tuple || PyList_Append(list, tuple) < 0)
            Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    source_count = from_others = 0;
    return list ? Py_BuildValue("NI", list, others) : NULL;
}
