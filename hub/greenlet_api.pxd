# greenlet's C API: declared here and nowhere else.
#
# A module that cimports this calls import_greenlet() once, at its top, before it uses anything below.

from cpython.exc cimport PyErr_Clear, PyErr_Occurred
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

cdef extern from "greenlet.h":
    # check_size error: a greenlet release that changes the object's layout must fail the import, loudly.
    ctypedef class greenlet.greenlet [object PyGreenlet, check_size error]:
        pass

    void PyGreenlet_Import()

cdef extern from *:
    """
    /* greenlet.h takes and returns PyGreenlet pointers; everything here is a plain PyObject pointer, borrowed
       unless said otherwise, so that no reference is counted behind the scheduler's back. */
    #define hub_greenlet_current() ((PyObject *) PyGreenlet_GetCurrent())
    #define hub_greenlet_switch(g) PyGreenlet_Switch((PyGreenlet *) (g), NULL, NULL)
    #define hub_greenlet_throw(g, t, v, tb) PyGreenlet_Throw((PyGreenlet *) (g), (t), (v), (tb))
    #define hub_greenlet_set_parent(g, p) PyGreenlet_SetParent((PyGreenlet *) (g), (PyGreenlet *) (p))
    #define hub_greenlet_parent(g) ((PyObject *) PyGreenlet_GetParent((PyGreenlet *) (g)))
    #define hub_greenlet_is_main(g) PyGreenlet_MAIN((PyGreenlet *) (g))
    #define hub_greenlet_has_started(g) PyGreenlet_STARTED((PyGreenlet *) (g))
    #define hub_greenlet_is_active(g) PyGreenlet_ACTIVE((PyGreenlet *) (g))

    /* The main greenlet of the thread that imported the library; it is never given up. */
    static PyObject *hub_greenlet_first = NULL;

    /* For code that found an exception already set, by a call that returned NULL: raises it. */
    #define hub_failed() (-1)
    """
    PyObject *hub_greenlet_first
    PyObject *hub_greenlet_current()  # a new reference, or NULL with an error set
    PyObject *hub_greenlet_switch(PyObject *g)  # a new reference, or NULL with an error set
    PyObject *hub_greenlet_throw(PyObject *g, PyObject *type, PyObject *value, PyObject *traceback)
    int hub_greenlet_set_parent(PyObject *g, PyObject *parent) except -1
    PyObject *hub_greenlet_parent(PyObject *g)  # a new reference; NULL without an error for a main greenlet
    bint hub_greenlet_is_main(PyObject *g)
    bint hub_greenlet_has_started(PyObject *g)
    bint hub_greenlet_is_active(PyObject *g)
    int hub_failed() except -1


cdef inline PyObject *running_greenlet() noexcept:
    """The current greenlet, borrowed: it is running, so somebody else owns it.

    When the interpreter ends, greenlet does not say any more. All code that runs then, such as a __del__(), runs on the
    main greenlet.
    """
    cdef PyObject *current = hub_greenlet_current()
    if current == NULL:
        PyErr_Clear()
        return hub_greenlet_first
    Py_XDECREF(current)
    return current


cdef inline void end_dropped_greenlets() noexcept:
    """Let greenlet end the greenlets of this thread that other threads have dropped while this one had no GIL.

    greenlet does so in its next call. If that call were a switch, a greenlet that ends might wait for something, and
    others might switch, in the middle of it, to the greenlet that was about to switch. That one would then go on with
    its own switch, and its turn would be lost.
    """
    running_greenlet()


cdef inline PyObject *main_above(PyObject *at) noexcept:
    """The main greenlet at the end of a greenlet's parents, as a new reference. The reference to `at` is given up."""
    cdef PyObject *above = hub_greenlet_parent(at)
    while above != NULL:
        Py_XDECREF(at)
        at = above
        above = hub_greenlet_parent(at)
    return at


cdef inline int import_greenlet() except -1:
    global hub_greenlet_first
    cdef PyObject *current
    PyGreenlet_Import()
    if PyErr_Occurred() != NULL:
        return -1
    if hub_greenlet_first == NULL:
        current = hub_greenlet_current()
        if current == NULL:
            return -1
        hub_greenlet_first = main_above(current)
    return 0
