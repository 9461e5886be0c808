# CPython's list of the containers that repr() is printing: lets each greenlet have its own.
# Header only: every function here is inline.
#
# CPython has one such list for each thread. A container on the list is printed as `[...]`, because it contains itself.
# If a __repr__() waits, other greenlets may print the same container meanwhile, from the start. So the list is emptied
# while the greenlet waits, and gets its entries back when the greenlet goes on.

from cpython.exc cimport PyErr_Fetch, PyErr_Restore
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from *:
    PyObject *PyThreadState_GetDict()


cdef inline PyObject *printing_of_thread() except NULL:
    """The current thread's list, as Py_ReprEnter() finds it. A new reference."""
    cdef PyObject *of_thread = PyThreadState_GetDict()
    printing = [] if of_thread == NULL else (<dict> of_thread).setdefault("Py_Repr", [])
    Py_INCREF(printing)
    return <PyObject *> printing


cdef inline PyObject *suspend_printing(PyObject *printing, object hub) noexcept:
    """Empty the list: the current greenlet waits in the middle of a repr().

    Returns the entries as a new reference, or NULL after an error, which the hub reports.
    """
    try:
        printed = list(<object> printing)
        (<list> printing).clear()
    except BaseException as error:
        hub.report(hub, error)
        return NULL
    Py_INCREF(printed)
    return <PyObject *> printed


cdef inline int resume_printing(PyObject *printing, PyObject *printed, object hub, int result) noexcept:
    """Give the list its entries back, and give up the reference to them: the greenlet goes on.

    `result`: -1 if an exception is set. It stays set.
    """
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
