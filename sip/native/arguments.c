/* Arguments and errors of the Python functions: what all module_*.c share. */
#include "arguments.h"

PyObject *sh_raise_status(pj_status_t status, const char *doing)
{
    char text[PJ_ERR_MSG_SIZE];

    pj_strerror(status, text, sizeof text);
    PyErr_Format(PyExc_OSError, "%s: %s", doing, text);
    return NULL;
}

PyObject *sh_none_or_raise(pj_status_t status, const char *doing)
{
    if (status != PJ_SUCCESS)
        return sh_raise_status(status, doing);
    Py_RETURN_NONE;
}

pj_str_t sh_as_pj_str(const char *text, Py_ssize_t length)
{
    pj_str_t result = {(char *)text, length};

    return result;
}

bool sh_as_int(PyObject *value, int *out)
{
    long number = PyLong_AsLong(value);

    *out = (int)number;
    return number != -1 || !PyErr_Occurred();
}

bool sh_as_unsigned(PyObject *value, unsigned *out)
{
    unsigned long number = PyLong_AsUnsignedLong(value);

    *out = (unsigned)number;
    return number != (unsigned long)-1 || !PyErr_Occurred();
}

void *sh_rows_of(PyObject *list, size_t size, int (*fill)(PyObject *tuple, void *row))
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
