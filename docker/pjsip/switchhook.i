/* SWIG interface of the engine: PJSIP's own, plus Switchhook's C module as attribute `native`.
 *
 * sip/native/native.h declares the same function; it is not included here, so that a change in
 * sip/native does not recompile this wrapper.
 */
%module(directors="1") pjsua2

%header %{
extern "C" PyObject *switchhook_native_init(void);
%}

%include "pjsua2.i"

%init %{
  {
    PyObject *native = switchhook_native_init();
    if (native == NULL || PyModule_AddObjectRef(m, "native", native) < 0) {
      Py_XDECREF(native);
      return NULL;
    }
    Py_DECREF(native);
  }
%}
