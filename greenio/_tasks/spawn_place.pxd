# Records where a greenlet is made. A header, because every spawn does it. See spawn_place.pyx.

from cpython.object cimport PyObject


cdef extern from *:
    """
    #include <frameobject.h>
    #include <string.h>

    typedef struct { PyObject *code; int instruction; } greenio_place;
    typedef struct { int length; greenio_place places[]; } greenio_stack;

    /* Record the code and the current instruction of up to `limit` frames, innermost first: two words a frame, and
       nothing for the garbage collector. Returns memory that greenio_stack_free() gives back; NULL for no frames. */
    static inline greenio_stack *greenio_stack_record(int limit)
    {
        greenio_place found[32];
        int length = 0;
        greenio_stack *stack;
        PyFrameObject *frame = PyEval_GetFrame(), *back;
        if (limit > 32)
            limit = 32;
        Py_XINCREF(frame);
        while (frame != NULL) {
            if (length == limit) {
                Py_DECREF(frame);
                break;
            }
            found[length].code = (PyObject *) PyFrame_GetCode(frame);
    #if PY_VERSION_HEX >= 0x030B0000
            found[length].instruction = PyFrame_GetLasti(frame);
    #else
            found[length].instruction = frame->f_lasti * 2;
    #endif
            length++;
            back = PyFrame_GetBack(frame);
            Py_DECREF(frame);
            frame = back;
        }
        if (length == 0)
            return NULL;
        stack = PyMem_Malloc(sizeof(greenio_stack) + length * sizeof(greenio_place));
        if (stack != NULL) {
            stack->length = length;
            memcpy(stack->places, found, length * sizeof(greenio_place));
        }
        else
            while (length--)
                Py_DECREF(found[length].code);
        return stack;
    }

    static inline void greenio_stack_free(greenio_stack *stack)
    {
        int i;
        if (stack == NULL)
            return;
        for (i = 0; i < stack->length; i++)
            Py_DECREF(stack->places[i].code);
        PyMem_Free(stack);
    }

    static inline int greenio_line(PyObject *code, int instruction)
    {
        return PyCode_Addr2Line((PyCodeObject *) code, instruction);
    }
    """
    ctypedef struct place_t "greenio_place":
        PyObject *code
        int instruction
    ctypedef struct stack_t "greenio_stack":
        int length
        place_t *places
    stack_t *stack_record "greenio_stack_record"(int limit)
    void stack_free "greenio_stack_free"(stack_t *stack)
    int line_of "greenio_line"(PyObject *code, int instruction)


cdef bint track_tree
cdef int stack_limit

cdef object frames_of(stack_t *stack)
cdef str format_place(stack_t *stack)
