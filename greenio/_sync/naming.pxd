# Gives a compiled type another name, such as that of the module from which programs import it. Header only.

from cpython.object cimport PyObject


cdef extern from *:
    """
    /* A compiled type has its module and its name in one string, which must stay where it is. */
    static inline void greenio_name_type(PyObject *type, const char *name)
    {
        ((PyTypeObject *) type)->tp_name = name;
        PyType_Modified((PyTypeObject *) type);
    }
    """
    void name_type "greenio_name_type"(object type, const char *name)
