/* Lets pyuv 1.4.0 (2017) compile on CPython 3.10 and later without a change to its files.
 *
 * The compiler is told to include this header before pyuv's own source (-include).
 * It must be the first to include Python.h, because some of what it replaces are macros there.
 */
#ifndef HUB_PYUV_COMPAT_H
#define HUB_PYUV_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* pyuv brings an object back to life in its deallocator by assigning to Py_REFCNT(x),
 * which stopped being an lvalue in 3.10. */
#undef Py_REFCNT
#define Py_REFCNT(op) (((PyObject *)(op))->ob_refcnt)

/* The Py_UNICODE encoders are gone. pyuv uses this one only to encode a file name as UTF-8. */
#undef PyUnicode_AS_UNICODE
#undef PyUnicode_GET_SIZE
#undef PyUnicode_EncodeUTF8
#define PyUnicode_AS_UNICODE(unicode) (unicode)
#define PyUnicode_GET_SIZE(unicode) 0
#define PyUnicode_EncodeUTF8(unicode, size, errors) \
    PyUnicode_AsEncodedString((unicode), "utf-8", (errors))

/* A no-op since 3.7, removed in 3.13. */
#undef PyEval_InitThreads
#define PyEval_InitThreads() ((void)0)

/* pyuv frees memory from close callbacks that run without the GIL, which the debug hooks of
 * the PyMem_* family have always forbidden and which crashes from 3.12 on. */
#undef PyMem_Malloc
#undef PyMem_Realloc
#undef PyMem_Free
#define PyMem_Malloc PyMem_RawMalloc
#define PyMem_Realloc PyMem_RawRealloc
#define PyMem_Free PyMem_RawFree

/* pyuv takes objects apart while the garbage collector still tracks them. A collection in that moment finds an object
 * without references, and may free it a second time. The name of a deallocator is followed by "(" only in its
 * definition, which becomes two functions: one that is called, and pyuv's own, which it calls. */
#define HUB_UNTRACKED(deallocator, argument)         \
    deallocator##_of_pyuv(argument);                 \
    static void(deallocator)(argument)               \
    {                                                \
        PyObject_GC_UnTrack(self);                   \
        deallocator##_of_pyuv(self);                 \
    }                                                \
    static void deallocator##_of_pyuv(argument)
#define Handle_tp_dealloc(argument) HUB_UNTRACKED(Handle_tp_dealloc, argument)
#define Loop_tp_dealloc(argument) HUB_UNTRACKED(Loop_tp_dealloc, argument)
#define Request_tp_dealloc(argument) HUB_UNTRACKED(Request_tp_dealloc, argument)
#define StdIO_tp_dealloc(argument) HUB_UNTRACKED(StdIO_tp_dealloc, argument)

#endif
