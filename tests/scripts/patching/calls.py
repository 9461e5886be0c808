"""patch_all() and the patch functions: arguments, results, warnings, and functions for modules that are imported later.

Each scenario in a process of its own. Objects that exist before patching are in made_before.py.
"""

import sys
import warnings

from shared import raises, warnings_of

from greenio import events, monkey

PARTS = (
    "os", "thread", "time", "socket", "select", "ssl", "subprocess", "signal", "queue", "fcntl", "multiprocessing",
    "asyncio", "dns",
)  # fmt: skip


def _none(*parts, **more):
    """Arguments of patch_all() that leave out every part but the given ones."""
    arguments = dict.fromkeys((*PARTS, "builtins", "contextvars"), False)
    return {**arguments, **dict.fromkeys(parts, True), **more}


def nothing_is_patched_by_importing():
    assert not monkey.is_anything_patched()
    assert not monkey.is_module_patched("socket")
    assert not monkey.is_object_patched("socket", "socket")
    assert monkey.saved == {}


def patches_all():
    import socket
    import time

    native, native_sleep = socket.socket, time.sleep
    result, warned = warnings_of(monkey.patch_all)
    assert result is True and warned == []
    assert monkey.is_anything_patched()
    for name in ("os", "_thread", "threading", "time", "socket", "select", "subprocess", "signal", "queue", "fcntl"):
        assert monkey.is_module_patched(name), name
    assert monkey.is_object_patched("socket", "socket") and not monkey.is_object_patched("socket", "AF_INET")
    assert not monkey.is_object_patched("nothing", "nothing")
    assert not monkey.is_object_patched("sys", "stdin") and not monkey.is_module_patched("json")
    assert monkey.saved["socket"]["socket"] is native is monkey.get_original("socket", "socket")
    assert issubclass(socket.socket, native)
    assert monkey.get_original("time", "sleep") is native_sleep is not time.sleep


def again_finds_nothing_to_do():
    assert monkey.patch_all() is True
    before = {name: dict(items) for name, items in monkey.saved.items()}
    assert warnings_of(monkey.patch_all) == (None, [])
    assert before == monkey.saved


def again_adds_what_was_left_out():
    assert monkey.patch_all(**_none("time")) is True
    assert set(monkey.saved) == {"time"}
    assert warnings_of(monkey.patch_all, **_none("time", "os")) == (True, [])
    assert "os" in monkey.saved and "socket" not in monkey.saved
    assert monkey.patch_all() is True
    assert "socket" in monkey.saved


def again_with_less_warns():
    monkey.patch_all()
    result, warned = warnings_of(monkey.patch_all, socket=False, time=False)
    assert result is None
    assert len(warned) == 1 and "time, socket stay patched" in warned[0] and "cannot be undone" in warned[0]
    assert monkey.is_module_patched("socket")


def the_warning_points_at_the_caller():
    monkey.patch_all()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        monkey.patch_all(time=False)
    assert [each.filename.rpartition("/")[2] for each in caught] == ["calls.py"]


def warnings_are_runtime_warnings():
    assert issubclass(monkey.MonkeyPatchWarning, RuntimeWarning)


def nothing_wanted():
    assert monkey.patch_all(**_none()) is None
    assert not monkey.is_anything_patched()


def without_threads():
    import _thread
    import threading

    before = _thread.start_new_thread, threading.Lock, threading.local, threading.get_ident, threading.Event
    monkey.patch_all(thread=False)
    assert before == (_thread.start_new_thread, threading.Lock, threading.local, threading.get_ident, threading.Event)
    ran = []
    thread = threading.Thread(target=lambda: ran.append(threading.get_native_id()))
    thread.start()
    thread.join()
    assert ran != [threading.get_native_id()]


def without_event():
    import threading

    before = threading.Event
    monkey.patch_all(Event=False)
    assert threading.Event is before
    event = threading.Event()
    threading.Timer(0.001, event.set).start()
    assert event.wait(10)


def event_is_greenios():
    import threading

    from greenio.event import Event

    monkey.patch_all()
    assert threading.Event is Event


def without_dns():
    import socket

    before = socket.getaddrinfo
    monkey.patch_all(dns=False)
    assert socket.getaddrinfo is before and monkey.is_object_patched("socket", "socket")
    assert monkey.patch_dns() is True and socket.getaddrinfo is not before


def no_dns_without_sockets():
    monkey.patch_all(socket=False)
    assert not monkey.is_module_patched("socket")


def aggressive_takes_nothing_away():
    import select

    monkey.patch_all(aggressive=True)
    with select.epoll() as waiting:
        assert waiting.poll(0) == []


def builtins_and_contextvars_are_accepted():
    assert monkey.patch_builtins() is False and monkey.patch_contextvars() is False


def standard_streams_only_if_asked_for():
    before = sys.stdin, sys.stdout, sys.stderr
    monkey.patch_all()
    assert before == (sys.stdin, sys.stdout, sys.stderr)
    monkey.patch_all(sys=True)
    assert sys.stdin is before[0]  # it is /dev/null, which is always ready
    assert sys.stdout is not before[1] and sys.stderr is not before[2]  # they are pipes
    assert sys.stdout.encoding == before[1].encoding and sys.stderr.errors == before[2].errors
    assert monkey.get_original("sys", "stdout") is before[1]


def positional_arguments_are_gevents():
    monkey.patch_all(False, False, True, False, False, False, False, False, False, True, True, True, False, False)
    assert monkey.is_module_patched("time") and not monkey.is_module_patched("socket")
    assert not monkey.is_module_patched("queue") and not monkey.is_module_patched("signal")


def every_function_alone():
    for part in PARTS:
        function = getattr(monkey, f"patch_{part}")
        assert function.__name__ == f"patch_{part}" and function.__doc__
        result = function()
        # These two were patched by patch_socket() and patch_select().
        assert result is (part not in ("dns", "selectors")), part
        assert function() is False, part
    assert monkey.patch_selectors() is False
    assert monkey.patch_all() is None


def thread_arguments():
    import _thread
    import _threading_local
    import threading

    before = threading.local, threading.RLock, _threading_local.local, threading.Event
    monkey.patch_thread(threading=False, _threading_local=False, Event=False, logging=False, existing_locks=False)
    assert monkey.is_module_patched("_thread")
    assert (threading.local, _threading_local.local, threading.Event) == (before[0], before[2], before[3])
    assert _thread._local is before[0]


def originals():
    import time

    monkey.patch_all()
    sleep, monotonic = monkey.get_original("time", ["sleep", "monotonic"])
    assert sleep is not time.sleep and monotonic is time.monotonic
    assert monkey.get_original("time", ("sleep",)) == [sleep]
    assert monkey.get_original("json", "dumps") is __import__("json").dumps
    with raises(AttributeError, "no_such_thing"):
        monkey.get_original("time", "no_such_thing")
    with raises(ModuleNotFoundError):
        monkey.get_original("no_such_module", "name")


def classes_stay_what_they_are():
    import selectors
    import socket
    import ssl
    import subprocess
    import threading

    class Context(ssl.SSLContext):
        pass

    class Selector(selectors.DefaultSelector):
        pass

    before = (
        ssl.SSLContext, ssl.SSLSocket, selectors.DefaultSelector, selectors.EpollSelector, threading.Thread,
        threading.Timer, threading.Condition, threading.Barrier, subprocess.CompletedProcess,
        ssl.create_default_context,
    )  # fmt: skip
    native_socket, native_popen = socket.socket, subprocess.Popen
    monkey.patch_all()
    assert before == (
        ssl.SSLContext, ssl.SSLSocket, selectors.DefaultSelector, selectors.EpollSelector, threading.Thread,
        threading.Timer, threading.Condition, threading.Barrier, subprocess.CompletedProcess,
        ssl.create_default_context,
    )  # fmt: skip
    assert issubclass(socket.socket, native_socket) and issubclass(subprocess.Popen, native_popen)
    assert isinstance(Context(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext)
    with Selector() as selector:
        assert isinstance(selector, selectors.EpollSelector)
    with socket.socket() as sock:
        assert isinstance(sock, socket.SocketType)  # the class in C, of which each socket is


def patched_functions_are_pickled_by_their_names():
    import pickle
    import subprocess

    monkey.patch_all()
    import os
    import select
    import socket
    import time

    for function in (time.sleep, os.read, os.waitpid, socket.getaddrinfo, select.select):
        assert pickle.loads(pickle.dumps(function)) is function
    data = pickle.dumps([time.sleep, os.read, os.waitpid, socket.getaddrinfo, select.select])
    # A process that is not patched, and has not even imported greenio, finds its own functions by these names.
    script = (
        "import pickle, sys, time; found = pickle.load(sys.stdin.buffer);"
        "assert found[0] is time.sleep, found; assert 'greenio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], input=data, check=True)


def own_modules():
    import types

    target, source = types.ModuleType("target"), types.ModuleType("source")
    target.one, target.two = 1, 2
    source.one, source.two, source.three = "one", "two", "three"
    for items, expected in ((["one"], ("one", 2)), (None, ("one", "two"))):
        if items is None:
            with raises(AttributeError, "__implements__"):
                monkey.patch_module(target, source)
            source.__implements__ = ["one", "two", "three"]
        told = []
        source._greenio_will_monkey_patch = lambda event, told=told: told.append(("will", event.target_item_names))
        source._greenio_did_monkey_patch = lambda event, told=told: told.append(("did", event.target))
        assert monkey.patch_module(target, source, items) is True
        assert (target.one, target.two) == expected
        assert told == [("will", items or source.__implements__), ("did", target)]
    assert target.three == "three"
    assert monkey.saved["target"] == {"one": 1, "two": 2}
    assert monkey.patch_module(target, source) is False
    assert monkey.get_original("target", "one") == 1


def a_hook_says_no():
    import types

    target, source = types.ModuleType("target"), types.ModuleType("source")
    target.one, source.one, source.__implements__ = 1, 2, ["one"]

    def no(event):
        raise events.DoNotPatch

    source._greenio_will_monkey_patch = no
    assert monkey.patch_module(target, source) is False
    assert target.one == 1 and not monkey.is_anything_patched()


def items_that_the_source_lacks():
    import types

    with raises(AttributeError):
        monkey.patch_module(types.ModuleType("target"), types.ModuleType("source"), ["one"])
    assert not monkey.is_anything_patched()


def in_another_thread():
    import threading

    found = []
    thread = threading.Thread(target=lambda: found.extend(warnings_of(monkey.patch_all)), name="late")
    thread.start()
    thread.join()
    result, warned = found
    assert result is True
    assert any("in 'late', which is not the main thread" in each for each in warned), warned


def an_exception_that_ends_waiting_for_a_lock_of_multiprocessing():
    import multiprocessing

    monkey.patch_all()
    from greenio import Timeout

    lock = multiprocessing.Lock()
    assert lock.acquire()
    mine = TimeoutError("the program's own")
    for arguments in ((), (True, 10)):
        try:
            with Timeout(0.005, mine):
                lock.acquire(*arguments)
        except TimeoutError as error:
            assert error is mine
        else:
            raise AssertionError("no error")
    assert not lock.acquire(timeout=0.002)


def when_a_module_is_imported():
    called = []
    monkey.when_imported("wave", lambda module: called.append(module.__name__))
    monkey.when_imported("wave", lambda module: called.append(module.open))
    assert called == [] and "wave" not in sys.modules
    import wave

    assert called == ["wave", wave.open]
    assert type(wave.__loader__).__name__ == type(wave.__spec__.loader).__name__ == "SourceFileLoader"
    del sys.modules["wave"]
    import wave

    assert len(called) == 2
    monkey.when_imported("wave", lambda module: called.append(module))
    assert called[2] is wave
    assert not [each for each in sys.meta_path if "greenio.monkey" in str(each)]


def when_a_submodule_is_imported():
    called = []
    monkey.when_imported("json.tool", called.append)
    monkey.when_imported("no_such_module.at_all", called.append)
    import json.tool

    assert called == [json.tool]
    try:
        import no_such_module.at_all
    except ModuleNotFoundError as error:
        assert error.name == "no_such_module"
    else:
        raise AssertionError(f"no error: {no_such_module}")


def when_imported_and_what_is_called_fails():
    def fail(module):
        raise ValueError("from the function")

    monkey.when_imported("wave", fail)
    try:
        import wave
    except ValueError as error:
        assert str(error) == "from the function"
    else:
        raise AssertionError(f"no error: {wave}")
    import wave  # the second import works

    assert wave.open
