/* See arguments.c. */
#ifndef SWITCHHOOK_ARGUMENTS_H
#define SWITCHHOOK_ARGUMENTS_H

#include "native.h"

PyObject *sh_raise_status(pj_status_t status, const char *doing);

PyObject *sh_none_or_raise(pj_status_t status, const char *doing);

pj_str_t sh_as_pj_str(const char *text, Py_ssize_t length);

bool sh_as_int(PyObject *value, int *out);

bool sh_as_unsigned(PyObject *value, unsigned *out);

/* A list of tuples as C; NULL: an exception is set. The caller frees it with PyMem_Free. */
void *sh_rows_of(PyObject *list, size_t size, int (*fill)(PyObject *tuple, void *row));

/* Names that are separated by spaces; false: an exception is set. */
bool sh_read_codecs(const char *names, struct sh_codecs *codecs);

/* The functions of `_pjsua2.native`, by file. */
extern PyMethodDef sh_methods_trunks[], sh_methods_calls[], sh_methods_media[];

#endif
