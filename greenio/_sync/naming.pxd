# Names of types that are made at compile time. Header only.

from cpython.object cimport PyObject


cdef extern from *:
    """
    /* Such a type has its name and its module in one string, which must stay. */
    static inline void greenio_name_type(PyObject *type, const char *name)
    {
        ((PyTypeObject *) type)->tp_name = name;
        PyType_Modified((PyTypeObject *) type);
    }
    """
    void name_type "greenio_name_type"(object type, const char *name)
