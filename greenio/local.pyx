"""Greenlet-local data: an object with separate attributes for each greenlet. Nothing here switches.

Rules
    1. Each local has one dict for each greenlet that has used it. Before an attribute is looked up, set or deleted,
       the current greenlet's dict becomes the instance's; nothing runs in between.
    2. A greenlet's dict goes when the greenlet finishes or is collected: another greenlet may get its address then.
    3. Locals are told apart by identity, because a subclass may define a comparison, or have no hash.
"""

import weakref
from functools import partial

from cpython.object cimport PyObject, PyObject_GenericGetAttr, PyObject_GenericSetAttr
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.greenlets cimport HubGreenlet

cdef extern from *:
    PyObject **_PyObject_GetDictPtr(object)
    int PyObject_DelAttr "PyObject_GenericSetAttr"(object, object, void *) except -1

import_greenlet()

__all__ = ["all_local_dicts_for_greenlet", "local"]

# The id of each local -> a weak reference to it. In C, because modules are cleared when the interpreter ends.
cdef dict locals_alive = {}
cdef object with_arguments = partial
cdef object weak_reference = weakref.ref


cdef class Dicts:
    """The dicts of one local."""
    cdef object __weakref__
    cdef dict by_greenlet        # id of the greenlet -> (its dict, a weak reference to it)
    cdef PyObject *last          # the greenlet that used it last, if it is alive; borrowed
    cdef dict last_dict
    cdef PyObject *owner         # the local; borrowed, NULL when it is gone

    def __cinit__(self):
        self.by_greenlet = {}

    cdef dict of_current(self):
        """The current greenlet's dict, or None."""
        cdef PyObject *current = running_greenlet()
        if current == self.last:
            return self.last_dict
        entry = self.by_greenlet.get(<size_t> current)
        if entry is None:
            return None
        self.last = current
        self.last_dict = (<tuple> entry)[0]
        return self.last_dict

    cdef dict make(self):
        """A new dict for the current greenlet."""
        cdef PyObject *current = running_greenlet()
        cdef object greenlet = <object> current
        cdef dict made = {}
        key = <size_t> current
        forget = Forget(self, key)
        if isinstance(greenlet, HubGreenlet):
            if (<HubGreenlet> greenlet).at_end is None:
                (<HubGreenlet> greenlet).at_end = {}
            (<HubGreenlet> greenlet).at_end[id(self)] = forget
        # Our own greenlets need the reference, too: one may go without having finished, and the next gets its address.
        self.by_greenlet[key] = (made, weak_reference(greenlet, forget))
        self.last = current
        self.last_dict = made
        return made

    cdef int forget_current(self, dict made) except -1:
        """Take this dict from the current greenlet, if it still has it."""
        cdef PyObject *current = running_greenlet()
        cdef object greenlet
        key = <size_t> current
        entry = self.by_greenlet.get(key)
        if entry is None or (<tuple> entry)[0] is not made:
            return 0
        greenlet = <object> current
        if isinstance(greenlet, HubGreenlet) and (<HubGreenlet> greenlet).at_end is not None:
            (<HubGreenlet> greenlet).at_end.pop(id(self), None)
        self.forget(key)
        return 0

    def forget(self, key):
        """Drop the dict of a greenlet that has finished or is gone."""
        if <size_t> self.last == <size_t> key:
            self.last = NULL
            self.last_dict = None
        entry = self.by_greenlet.pop(key, None)
        if entry is not None and self.owner != NULL:
            drop_dict(<local> self.owner, entry[0])

    def __dealloc__(self):
        if self.by_greenlet is None:
            return
        for _made, reference in list(self.by_greenlet.values()):
            greenlet = reference()
            if isinstance(greenlet, HubGreenlet) and (<HubGreenlet> greenlet).at_end is not None:
                (<HubGreenlet> greenlet).at_end.pop(id(self), None)


class Forget:
    """Called when a greenlet has finished or is gone. Does not keep the dicts alive."""

    __slots__ = ("dicts", "key")

    def __init__(self, dicts, key):
        self.dicts = weak_reference(dicts)
        self.key = key

    def __call__(self, _reference=None):
        dicts = self.dicts()
        if dicts is not None:
            dicts.forget(self.key)


cdef class local:
    """An object with attributes that belong to the current greenlet; as `threading.local`.

    A subclass may have an ``__init__``. It is called for each greenlet that uses the object, with the arguments with
    which the object was made. A subclass may have ``__slots__``. Their attributes are shared by all greenlets.
    Raises TypeError for arguments without an ``__init__`` to take them.
    """
    cdef dict __dict__
    cdef object __weakref__
    cdef Dicts dicts
    cdef tuple args
    cdef dict keywords

    def __cinit__(self, *args, **kwargs):
        if (args or kwargs) and type(self).__init__ is object.__init__:
            raise TypeError("initialization arguments are not supported: a subclass with an __init__ takes them")
        self.args = args
        self.keywords = kwargs
        self.dicts = Dicts()
        self.dicts.owner = <PyObject *> self
        put_dict(self, self.dicts.make())
        locals_alive[id(self)] = weak_reference(self, with_arguments(locals_alive.pop, id(self)))

    def __dealloc__(self):
        cdef PyObject **place = _PyObject_GetDictPtr(self)
        cdef PyObject *last = place[0]
        if self.dicts is not None:
            self.dicts.owner = NULL
        # Cython would empty the dict, and other code may have kept it.
        place[0] = NULL
        Py_XDECREF(last)

    cdef dict enter(self):
        """Put the current greenlet's dict in place, and return it."""
        cdef dict current = self.dicts.of_current()
        if current is None:
            current = self.dicts.make()
            if type(self).__init__ is not object.__init__:
                try:
                    type(self).__init__(self, *self.args, **self.keywords)
                except BaseException:
                    # The next use calls it again.
                    self.dicts.forget_current(current)
                    raise
                # __init__() may have switched, and another greenlet's dict may be in place.
        put_dict(self, current)
        return current

    def __getattribute__(self, str name):
        cdef dict current = self.enter()
        if name == "__dict__":
            return current
        return PyObject_GenericGetAttr(self, name)

    def __setattr__(self, str name, value):
        if name == "__dict__":
            raise AttributeError(f"'{type(self).__name__}' object attribute '__dict__' is read-only")
        self.enter()
        PyObject_GenericSetAttr(self, name, value)

    def __delattr__(self, str name):
        if name == "__dict__":
            raise AttributeError(f"'{type(self).__name__}' object attribute '__dict__' is read-only")
        self.enter()
        PyObject_DelAttr(self, name, NULL)

    def __copy__(self):
        cdef dict current = self.enter()
        cdef local made = type(self)(*self.args, **self.keywords)
        cdef dict inside = made.enter()
        inside.clear()
        inside.update(current)
        return made


cdef void put_dict(local owner, dict value) noexcept:
    """Make `value` the instance's dict."""
    cdef PyObject **place = _PyObject_GetDictPtr(owner)
    cdef PyObject *before = place[0]
    if before is not <PyObject *> value:
        Py_INCREF(value)
        place[0] = <PyObject *> value
        Py_XDECREF(before)


cdef void drop_dict(local owner, dict value) noexcept:
    """Take the dict from the instance, if it is the instance's dict."""
    cdef PyObject **place = _PyObject_GetDictPtr(owner)
    if place[0] is <PyObject *> value:
        place[0] = NULL
        Py_DECREF(value)


def all_local_dicts_for_greenlet(greenlet):
    """The dicts that a greenlet has in all locals: a list of ((class of the local, its id), dict). For debugging."""
    cdef local each
    found = []
    for reference in list(locals_alive.values()):
        each = reference()
        if each is None:
            continue
        entry = each.dicts.by_greenlet.get(id(greenlet))
        if entry is not None:
            found.append(((type(each), id(each)), entry[0]))
    return found
