/* What this build of PJSIP is and can carry: for `switchhook doctor`. */
#include "native.h"

#include <openssl/crypto.h>

/* (version, calls, sockets, ioqueue, TLS backend or "", OpenSSL in use) */
PyObject *sh_facts(void)
{
    return Py_BuildValue("siisss", pj_get_version(), PJSUA_MAX_CALLS, PJ_IOQUEUE_MAX_HANDLES,
                         pj_ioqueue_name(), PJ_HAS_SSL_SOCK ? "OpenSSL" : "",
                         OpenSSL_version(OPENSSL_VERSION));
}
