"""_thread: start_new_thread, exits, what is printed of exceptions, locks, interrupt_main."""

import _thread
import sys
import time

from _tell import tell, until

done = []
tell("an ident", lambda: type(_thread.start_new_thread(done.append, (1,))).__name__)
until(lambda: len(done) == 1)
tell("named arguments", lambda: _thread.start_new_thread(lambda a, b: done.append((a, b)), (1,), {"b": 2}) > 0)
until(lambda: len(done) == 2)
print(done)
tell("no arguments", _thread.start_new_thread)
tell("no tuple", _thread.start_new_thread, print, [1])
tell("no function", _thread.start_new_thread, 5, ())
tell("no dictionary", _thread.start_new_thread, print, (), 5)
tell("too many", _thread.start_new_thread, print, (), {}, 1)
tell("exit", _thread.exit)
tell("error", lambda: _thread.error is RuntimeError)
tell("count", lambda: _thread._count() >= 0)
tell("stack size", _thread.stack_size)


def raises():
    try:
        raise ValueError("in a low-level thread")
    finally:
        done.append("raised")


def exits():
    try:
        _thread.exit()
    finally:
        done.append("exited")


def system_exit():
    try:
        sys.exit("nobody sees this")
    finally:
        done.append("left")


before = _thread._count()
for function in (raises, exits, system_exit):
    del done[:]
    _thread.start_new_thread(function, ())
    until(lambda: done and _thread._count() <= before)  # the report of its exception has been printed by then
    print(done)
sys.unraisablehook = lambda args: done.append((args.exc_type.__name__, str(args.exc_value), args.err_msg, args.object))
del done[:]
_thread.start_new_thread(raises, ())
until(lambda: len(done) > 1)
print(done[1][:2], done[1][2] and done[1][2].partition("<")[0], done[1][3] is raises)
try:
    _thread.interrupt_main()
    for _ in range(1000):
        time.sleep(0.01)
except KeyboardInterrupt as error:
    print("interrupted", repr(error))
tell("interrupt_main with what is no signal", _thread.interrupt_main, 1000)

idents = set()
lock = _thread.allocate_lock()


def notes():
    with lock:
        idents.add(_thread.get_ident())


count = 10
waits = _thread.allocate_lock()
waits.acquire()


def notes_and_waits():
    notes()
    waits.acquire()
    waits.release()
    done.append("end")


del done[:]
for _ in range(count):
    _thread.start_new_thread(notes_and_waits, ())
until(lambda: len(idents) == count)
print("each its own:", len(idents), _thread.get_ident() not in idents)
waits.release()
until(lambda: len(done) == count)
