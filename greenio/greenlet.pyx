"""Greenlet: a function that runs beside others, with its result, its links and its name.

Rules
    1. A greenlet is started by the hub, once, and ends by returning to it.
    2. A greenlet sets its own result, once, as its last act. It wakes its joiners and schedules its links there and
       then, in the order in which they came.
    3. Links that are functions run on the hub (`rawlink`) or in greenlets of their own (`link`), never here.

What does not belong here: places of spawning (_tasks/spawn_place.pyx), lists of links (_tasks/link_list.pyx).
"""

from types import MethodType

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cython cimport binding, final

from greenlet import GreenletExit

from greenio._tasks.idents import ident_registry
from greenio._tasks.link_list cimport (
    check_link, count_links, find_link, schedule_link, tell_links, with_link, without_link,
)
from greenio._tasks.links import SpawnedAlways, SpawnedOnException, SpawnedOnValue
from greenio._tasks.raw import no_function
from greenio._tasks.spawn_place cimport format_place, frames_of, stack_free, stack_limit, stack_record, track_tree
from greenio.timeout import Timeout
from hub.errors import HubDestroyed
from hub.greenlet_api cimport import_greenlet, running_greenlet
from hub.arguments cimport seconds_of
from hub.callbacks cimport CallingHub
from hub.core cimport core_of
from hub.ready cimport *
from hub.greenlets cimport HubGreenlet
from hub.scheduler cimport Scheduler, current_hub, is_current
from hub.waits cimport Wait
from hub.thrown cimport exception_of, without_frames
from hub.timers cimport due_after, is_of, keep_timer, timer_give, timer_start, timer_t, timer_take, timer_to_pool
from hub.wait_queue cimport await_turn, line_grant_all, line_join, new_turn

cdef extern from *:
    """
    /* Whether the current thread has a context. Without one, a new greenlet need not copy an empty context. */
    static int greenio_has_context(void) { return PyThreadState_Get()->context != NULL; }
    """
    bint greenio_has_context()

cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    object PyWeakref_NewRef(object target, PyObject *callback)

import_greenlet()

__all__ = ["Greenlet"]

cdef set spawn_callbacks = set()


cdef void on_start_timer(timer_t *timer) noexcept nogil:
    """The time of start_later() has come. The reference that the timer had goes to the ready queue."""
    core_of(timer).references -= 1
    ready_push(&core_of(timer).ready, <node_t *> timer.target)
    timer_to_pool(timer)


cdef class Greenlet(HubGreenlet):
    """A function that runs cooperatively beside others.

    ``Greenlet(function, *args, **kwargs)`` makes one; ``start()`` schedules it; ``Greenlet.spawn(...)`` does both.
    A subclass may override ``_run(self, *args, **kwargs)`` instead of passing a function.

    It runs in a copy of the context (`contextvars`) of the greenlet that made it; ``context=`` chooses another.
    When the function raises GreenletExit, that instance is the greenlet's value, and it counts as successful.
    Any other exception is kept in `exception`, and reported to ``hub.handle_error`` unless `reports_errors` is false.

    `value`: the function's result; None until the function has returned, and if it fails.
    `args`, `kwargs`: the function's arguments (a tuple and a dict); empty when it has ended.

    Leaving a ``with`` statement joins the greenlet. An exception in the block is first raised in the greenlet too.
    Methods that wait say that they switch; the others do not switch.
    """

    def __cinit__(self, *args, **kwargs):
        self.state = STATE_NEW
        self.reports_errors = True

    def __init__(self, run=None, *args, context=None, **kwargs):
        self.setup(run, args, kwargs, context)

    cdef int setup(self, object run, tuple args, dict kwargs, object context) except -1:
        return self.setup_on(current_hub(), run, args, kwargs, context)

    @final
    cdef int setup_on(self, Scheduler hub, object run, tuple args, dict kwargs, object context) except -1:
        if self.state != STATE_NEW:
            raise RuntimeError(f"{self!r} is initialised already, and was started")
        if run is not None and not callable(run):
            raise no_function(run)
        self.attach(hub)
        self.target = run
        self.args = args
        self.keywords = kwargs if kwargs else None
        if context is not None:
            self.gr_context = context
        elif greenio_has_context():
            self.gr_context = PyContext_CopyCurrent()
        if track_tree:
            self.record_spawn()
        return 0

    cdef int need_init(self) except -1:
        """Raise RuntimeError if the __init__() of a subclass has not called the one of this class."""
        if self.scheduler is None:
            raise RuntimeError(f"Greenlet.__init__() was not called by that of {type(self).__qualname__}")
        return 0

    cdef int record_spawn(self) except -1:
        cdef object spawner = <object> running_greenlet()
        self.spawner = PyWeakref_NewRef(spawner, NULL)
        if isinstance(spawner, Greenlet):
            self.tree_locals = (<Greenlet> spawner).spawn_tree_locals
        stack_free(self.stack)
        self.stack = stack_record(stack_limit)
        return 0

    def __dealloc__(self):
        # If memory ran out while greenlet made its part of the object, there is NULL in place of None.
        if <PyObject *> self.ident != NULL and self.ident is not None and self.scheduler is not None:
            # Not through this module's globals, which may be gone at the end of the interpreter.
            registry = self.scheduler.__dict__.get("ident_registry")
            if registry is not None:
                registry.give(self.ident)
        stack_free(self.stack)

    # --- life ---

    @classmethod
    def spawn(cls, *args, **kwargs):
        """Make a greenlet of this class with these arguments, and start it. Returns it. Does not switch."""
        cdef Greenlet greenlet
        if cls is Greenlet and args and args[0] is None:
            raise no_function(None)
        if cls is Greenlet and not kwargs and args:
            # The most frequent form by far: the arguments of the call are not built twice.
            greenlet = Greenlet.__new__(Greenlet)
            greenlet.setup(args[0], args[1:], None, None)
        else:
            greenlet = cls(*args, **kwargs)
        greenlet.start()
        return greenlet

    @classmethod
    def spawn_later(cls, seconds, *args, **kwargs):
        """Make a greenlet that starts `seconds` (float) from now. Returns it. Does not switch.

        Raises TypeError if there is no function to run.
        """
        seconds = seconds_of(seconds)
        if cls is Greenlet and not args:
            raise TypeError("spawn_later() needs a function to run after the number of seconds")
        if cls is Greenlet and args[0] is None:
            raise no_function(None)
        greenlet = cls(*args, **kwargs)
        greenlet.start_later(seconds)
        return greenlet

    def start(self):
        """Schedule the greenlet to run. Only the first start counts. Does not switch.

        Raises InvalidThreadUseError in another thread than its hub's.
        """
        if self.state != STATE_NEW:
            return
        self.need_init()
        self.scheduler.check_thread()
        self.state = STATE_STARTING
        if spawn_callbacks:
            self.call_spawn_callbacks()
        self.schedule_start()

    def initialize_elsewhere(self, hub, run, args, kwargs, context):
        """__init__() for the hub of any thread. start_elsewhere() starts it (internal)."""
        self.setup_on(hub, run, args, kwargs, context)

    def start_elsewhere(self):
        """start() from any thread. Raises HubDestroyed if its hub is gone (internal)."""
        if self.state != STATE_NEW:
            return
        if is_current(self.scheduler):
            return self.start()
        self.state = STATE_STARTING
        if spawn_callbacks:
            self.call_spawn_callbacks()
        self.scheduler.run_callback_threadsafe(self.start_here)

    def start_here(self):
        """The part of start_elsewhere() that runs in the greenlet's own thread (internal)."""
        if self.state == STATE_STARTING:  # it may have been killed meanwhile
            self.schedule_start()

    def start_later(self, seconds):
        """Schedule the greenlet to run `seconds` (float) from now. Only the first start counts. Does not switch."""
        self.need_init()
        cdef CallingHub hub = self.scheduler
        cdef timer_t *timer
        cdef double delay = seconds_of(seconds)
        if self.state != STATE_NEW:
            return
        if delay <= 0:
            return self.start()
        due = due_after(delay)
        hub.check_thread()
        self.state = STATE_STARTING
        if spawn_callbacks:
            self.call_spawn_callbacks()
        timer = timer_take(&hub.loop.core.timers)
        Py_INCREF(self)  # the timer's; it goes to the ready queue
        keep_timer(&self.start_timer, timer)
        timer.target = &self.start_node
        timer.fire = on_start_timer
        timer_start(timer, due)
        hub.loop.core.references += 1
        if hub.to_start_later is None:
            hub.to_start_later = set()
        hub.to_start_later.add(self)

    def call_spawn_callbacks(self):
        """Call the functions that add_spawn_callback() was given (internal)."""
        for callback in list(spawn_callbacks):
            callback(self)

    @staticmethod
    def add_spawn_callback(callback):
        """Call ``callback(greenlet)`` from now on whenever a greenlet is started. Does not switch."""
        spawn_callbacks.add(callback)

    @staticmethod
    def remove_spawn_callback(callback):
        """Call `callback` no longer. Does nothing if it was not added. Does not switch."""
        spawn_callbacks.discard(callback)

    @binding(False)
    def run(self):
        """The greenlet's main function. Not for users: override `_run`."""
        cdef object function = self.target
        cdef tuple arguments = self.args
        cdef object value = None
        cdef object error = None
        if self.begin():
            self.cancel_start()  # switched to by hand before its time
            if self.state == STATE_FINISHED:
                return  # killed before
        self.state = STATE_RUNNING
        if self.start_timer.timer != NULL:
            self.start_timer.timer = NULL
            self.scheduler.to_start_later.discard(self)
        self.target = None
        try:
            if function is None:
                function = self._run
            if type(function) is MethodType:
                # Called as a function, it leaves less on the C stack, which is copied at each switch.
                arguments = (function.__self__, *arguments)
                function = function.__func__
            if self.keywords is None:
                value = function(*arguments)
            else:
                value = function(*arguments, **self.keywords)
        except GreenletExit as exit:
            value = without_frames(exit)
        except BaseException as failure:
            error = failure
        function = arguments = None
        self.finish(value, error)

    def _run(self, *args, **kwargs):
        """The work of the greenlet, for subclasses to override. It gets the greenlet's arguments."""

    cdef int finish(self, object value, object error) except -1:
        """Keep the result, report an error, and wake the greenlets that wait for the end of this one."""
        if self.state == STATE_FINISHED:
            return 0  # it was given up when its hub was destroyed
        self.state = STATE_FINISHED
        self.args = ()
        self.keywords = None
        self.target = None
        if error is None:
            self.value = value
        else:
            self.error = error
            self.error_traceback = error.__traceback__
            if self.reports_errors:
                self.scheduler.report(self, error)
        line_grant_all(&self.joiners)
        if self.links is not None:
            self.notify_links()
        self.finished()
        return 0

    cdef int die_before_start(self, object exception) except -1:
        """End a greenlet that was killed before it ran."""
        self.cancel_start()
        if isinstance(exception, GreenletExit):
            self.finish(without_frames(exception), None)
        else:
            self.finish(None, exception)
        return 0

    cdef int not_begun(self, object error) except -1:
        return 0 if self.state == STATE_FINISHED else self.finish(None, error)

    cdef bint cancel_start(self) noexcept:
        cdef CallingHub hub = self.scheduler
        cdef timer_t *timer = self.start_timer.timer
        self.start_timer.timer = NULL
        if timer != NULL and hub.to_start_later is not None:
            hub.to_start_later.discard(self)
        if self.start_node.queued:
            return self.unschedule_start()
        # Here the timer has not fired: it would have put the entry into the queue.
        if self.state == STATE_STARTING and timer != NULL and is_of(&self.start_timer, &hub.loop.core.timers):
            timer_give(timer)
            hub.loop.core.references -= 1
            Py_DECREF(self)
            return True
        return False

    cdef int end_unstarted(self, object exception) except -1:
        return self.die_before_start(exception)

    cdef int end_unfinished(self, object exception) except -1:
        if self.state == STATE_RUNNING:
            return self.finish(exception, None)
        return self.die_before_start(exception)

    # --- state ---

    def ready(self):
        """Whether it has finished: returned, raised, or been killed (bool)."""
        return self.state == STATE_FINISHED

    def successful(self):
        """Whether it has finished without an error (bool). GreenletExit does not count as one."""
        return self.state == STATE_FINISHED and self.error is None

    @property
    def dead(self):
        """Whether it will never run (again) (bool)."""
        return self.state == STATE_FINISHED

    @property
    def started(self):
        """Whether it was started and has not finished (bool)."""
        return bool(self)

    def __bool__(self):
        return self.state == STATE_STARTING or self.state == STATE_RUNNING

    @property
    def loop(self):
        """The event loop of its hub."""
        self.need_init()
        return self.scheduler.loop

    @property
    def kwargs(self):
        """Its keyword arguments (dict); empty when it has ended."""
        return {} if self.keywords is None else self.keywords

    @property
    def exception(self):
        """The exception (an instance) with which the function ended, or None."""
        return self.error

    @property
    def exc_info(self):
        """(type, instance, traceback) of `exception`, or an empty tuple."""
        if self.error is None:
            return ()
        return (type(self.error), self.error, self.error_traceback)

    # --- waiting for it ---

    cdef bint wait_for_end(self, object timeout) except -1:
        """Wait until it has finished, at most `timeout` seconds. Returns False if they passed first. In any thread."""
        cdef Wait wait
        self.need_init()
        if timeout is not None:
            seconds_of(timeout)
        if self.scheduler.destroyed and self.state != STATE_FINISHED:
            # The greenlet was never started; or this is a forked child, and it ran in another thread of the parent.
            self.end_unfinished(HubDestroyed(f"the hub of {self!r} was destroyed"))
        if self.state == STATE_FINISHED:
            return True
        if <PyObject *> self is running_greenlet():
            raise RuntimeError(f"{self!r} cannot wait for its own end")
        wait = new_turn(self, timeout)
        if self.state == STATE_FINISHED:
            return True
        line_join(&self.joiners, wait)
        return await_turn(wait)

    def join(self, timeout=None):
        """Wait until it has finished, at most `timeout` seconds (float; None for ever). Returns None. Switches.

        May be called from any thread. Raises RuntimeError if the greenlet would wait for itself.
        """
        self.wait_for_end(timeout)

    def get(self, block=True, timeout=None):
        """Wait until it has finished. Returns the function's result, or raises its exception. Switches if it waits.

        `timeout` in seconds (float; None for ever). Raises Timeout if that passes first or, with ``block=False``, if
        the greenlet has not finished.
        """
        if timeout is not None:
            seconds_of(timeout)
        if self.state != STATE_FINISHED:
            if not block:
                raise Timeout(0)
            if not self.wait_for_end(timeout):
                raise Timeout(timeout)
        if self.error is None:
            return self.value
        raise self.error.with_traceback(self.error_traceback)

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Raise `exception` (a class, an instance, or a triple) in the greenlet. Returns None.

        A greenlet that waits is woken with the exception. A greenlet that was just woken otherwise gets it at its next
        wait. A greenlet that has not begun never begins. Killing a finished greenlet does nothing.
        `block`: whether to wait for its end, at most `timeout` seconds (float; None for ever). It may catch the
        exception and go on. A greenlet that kills itself gets it at once. Switches if it waits. For any thread.
        """
        self.need_init()
        cdef CallingHub hub = self.scheduler
        if timeout is not None:
            seconds_of(timeout)
        if self.state == STATE_FINISHED:
            return
        error = exception_of(exception)
        if not hub.destroyed and hub is current_hub():
            self.throw_or_die(error)
        else:
            try:
                hub.run_callback_threadsafe(self.throw_or_die, error)
            except HubDestroyed:
                self.end_unfinished(error)
        if block and self.state != STATE_FINISHED:
            if <PyObject *> self is running_greenlet():
                (<Scheduler> hub).yield_turn("its own end")  # raises the error
            else:
                self.wait_for_end(timeout)

    def throw_or_die(self, error):
        """The part of kill() that runs in the greenlet's own thread (internal)."""
        self.need_init()
        self.scheduler.check_thread()
        if self.state == STATE_NEW or self.state == STATE_STARTING:
            self.die_before_start(error)
        elif self.state == STATE_RUNNING:
            self.scheduler.throw_into(self, error)

    def throw(self, *args):
        """Switch to the greenlet at once and raise an exception there, as greenlet does it. Programs use kill()."""
        self.need_init()
        if self.state == STATE_NEW or self.state == STATE_STARTING:
            self.scheduler.check_thread()
            self.die_before_start(exception_of(args or GreenletExit))
        elif self.state == STATE_RUNNING:
            return HubGreenlet.throw(self, *args)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            try:
                self.join()
            finally:
                self.kill()
        else:
            self.kill((kind, value, traceback))

    # --- links ---

    cdef int add_link(self, object link) except -1:
        check_link(link)
        if self.state == STATE_FINISHED:
            return schedule_link(self.scheduler, link, self)
        self.links = with_link(self.links, link)
        return 0

    cdef int remove_link(self, object link) except -1:
        entry = find_link(self.links, link)  # may run code that changes the links
        self.links = without_link(self.links, entry)
        return 0

    cdef int notify_links(self) except -1:
        links, self.links = self.links, None
        return tell_links(links, self, self.scheduler)

    def rawlink(self, callback):
        """Call ``callback(greenlet)`` on the hub when it has finished; soon, if it has already. Does not switch.

        The callback must not block. Raises TypeError if it is not callable.
        """
        self.add_link(callback)

    def link(self, callback, SpawnedLink=None):
        """Call ``callback(greenlet)`` in a greenlet of its own when it has finished. Does not switch.

        `callback` may be an AsyncResult, which then gets the value or the exception. Raises TypeError if it is not
        callable.
        """
        self.add_link((SpawnedLink or SpawnedAlways)(callback))

    def link_value(self, callback, SpawnedLink=None):
        """As link(), but only if the greenlet finishes without an error."""
        self.add_link((SpawnedLink or SpawnedOnValue)(callback))

    def link_exception(self, callback, SpawnedLink=None):
        """As link(), but only if the greenlet finishes with an error."""
        self.add_link((SpawnedLink or SpawnedOnException)(callback))

    def unlink(self, callback):
        """Forget a link that was made with any of these methods. Does nothing if there is no such link."""
        self.remove_link(callback)

    def unlink_all(self):
        """Forget all links."""
        self.links = None

    def has_links(self):
        """How many links there are (int)."""
        return count_links(self.links)

    # --- names and places ---

    @property
    def minimal_ident(self):
        """A small number that no other living greenlet of the hub has (int)."""
        if self.ident is None:
            self.need_init()
            self.ident = ident_registry(self.scheduler).take()
        return self.ident

    @property
    def name(self):
        """Its name, for people: ``Greenlet-<minimal_ident>`` unless assigned (str)."""
        return f"Greenlet-{self.minimal_ident}" if self.given_name is None else self.given_name

    @name.setter
    def name(self, value):
        self.given_name = value

    @property
    def spawning_greenlet(self):
        """A weak reference to the greenlet that made this one, or None if that is not recorded."""
        return self.spawner

    @spawning_greenlet.setter
    def spawning_greenlet(self, value):
        self.spawner = value

    @property
    def spawn_tree_locals(self):
        """A dict that all greenlets of a tree share. A Greenlet that no other Greenlet has made begins a tree."""
        if self.tree_locals is None and track_tree:
            self.tree_locals = {}
        return self.tree_locals

    @spawn_tree_locals.setter
    def spawn_tree_locals(self, value):
        self.tree_locals = value

    @property
    def spawning_stack(self):
        """The frames of the place where it was made, innermost first, linked by `f_back`; or None."""
        return frames_of(self.stack)

    def format_spawn(self):
        """The place where it was made, as `file:line in function` (str); empty if it is not known."""
        return format_place(self.stack)

    def describe_call(self):
        """The call that it runs, for the repr (str) (internal)."""
        if self.target is None:
            return ""
        function = getattr(self.target, "__name__", None) or repr(self.target)
        arguments = [repr(argument) for argument in self.args]
        arguments += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f": {function}({', '.join(arguments)})"

    def __repr__(self):
        try:
            call = self.describe_call()
        except Exception as error:
            call = f": <repr of the call failed: {error!r}>"
        return f'<{type(self).__name__} "{self.name}" at {id(self):#x}{call}>'
