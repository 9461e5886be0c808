# What repr() is in the middle of. Header only: every function here is inline.
#
# CPython notes in a list of the thread which containers it is printing: one that contains itself is printed as `[...]`.
# Where a __repr__() waits, other greenlets print meanwhile, and what they print is not below that. So the list is
# emptied while a greenlet is away, and is its own again when it goes on.

from cpython.exc cimport PyErr_Fetch, PyErr_Restore
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from *:
    PyObject *PyThreadState_GetDict()


cdef inline PyObject *printing_of_thread() except NULL:
    """The current thread's list, where Py_ReprEnter() notes it. A new reference."""
    cdef PyObject *of_thread = PyThreadState_GetDict()
    printing = [] if of_thread == NULL else (<dict> of_thread).setdefault("Py_Repr", [])
    Py_INCREF(printing)
    return <PyObject *> printing


cdef inline PyObject *leave_printing(PyObject *printing, object hub) noexcept:
    """The current greenlet waits in the middle of a repr(): what was on the list, a new reference, or NULL.

    What goes wrong is reported by the hub.
    """
    try:
        printed = list(<object> printing)
        (<list> printing).clear()
    except BaseException as error:
        hub.report(hub, error)
        return NULL
    Py_INCREF(printed)
    return <PyObject *> printed


cdef inline int go_on_printing(PyObject *printing, PyObject *printed, object hub, int result) noexcept:
    """It goes on; with an exception set if `result` is -1. The reference to `printed` is given up."""
    cdef PyObject *kind = NULL
    cdef PyObject *value = NULL
    cdef PyObject *traceback = NULL
    if result < 0:
        PyErr_Fetch(&kind, &value, &traceback)
    try:
        (<list> printing).extend(<list> printed)
    except BaseException as error:
        hub.report(hub, error)
    Py_DECREF(<object> printed)
    if result < 0:
        PyErr_Restore(kind, value, traceback)
    return 0
