"""Reports of errors that nobody caught: their text, their stream, how often they are printed, and failures to write."""

import contextlib
import gc
import io
import os
import re
import subprocess
import sys
import threading
import traceback

import pytest
from hub import repeats
from waiting import until

from greenio import get_hub, sleep, spawn, spawn_raw
from greenio.event import Event
from greenio.lock import Semaphore


def fail(what="failed"):
    raise LookupError(what)


# --- streams that cannot be written -----------------------------------------------------------------------------


def no_reader():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", 1)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [no_reader, closed])
@pytest.mark.parametrize("start", [spawn, spawn_raw, lambda function: get_hub().run_callback(function)])
def test_a_report_that_cannot_be_written_ends_nobody(monkeypatch, stream, start):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(args.exc_value))
    stream = get_hub().exception_stream = stream()
    try:
        start(fail)
        until(lambda: told)
    finally:
        del get_hub()._exception_stream
        with contextlib.suppress(BrokenPipeError):
            stream.close()
    assert [type(error) for error in told] in ([BrokenPipeError], [ValueError])
    assert isinstance(told[0].__context__, LookupError)


@pytest.mark.parametrize("stream", ["sys.stderr.close()", "sys.stderr = None", "os.close(2)"])
def test_a_server_without_standard_error_goes_on(stream):
    script = f"import greenio, os, sys; {stream}; greenio.spawn(lambda: 1 / 0); greenio.sleep(0.001); print('goes on')"
    result = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60, check=True, cwd="/")
    assert result.stdout == b"goes on\n"


def test_ctrl_c_in_a_report_is_not_lost(monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(get_hub(), "print_exception", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spawn(fail)
        sleep(10)


def test_a_failing_report_does_not_hide_an_error_that_ends_the_program(monkeypatch):
    monkeypatch.setattr("sys.unraisablehook", lambda args: None)
    monkeypatch.setattr(get_hub(), "print_exception", fail)

    def stop():
        raise SystemError("stop")

    with pytest.raises(SystemError, match="stop"):
        spawn(stop)
        sleep(10)


def test_a_traceback_that_cannot_be_formatted_is_left_out(monkeypatch, errors):
    def no_descriptors(*args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(traceback, "format_exception", no_descriptors)
    spawn(fail).join()
    assert "LookupError: failed (without its traceback: OSError(24" in errors.getvalue()
    assert "failed with LookupError, spawned at" in errors.getvalue()


# --- the text ---------------------------------------------------------------------------------------------------


def test_a_callback_that_failed_is_named(errors):
    get_hub().run_callback(fail, "once")
    until(errors.getvalue)
    assert repr(fail) in errors.getvalue()


def test_a_callback_that_blocks_is_named(errors):
    def blocks():
        sleep(1)

    get_hub().run_callback(blocks)
    until(errors.getvalue)
    assert "hub greenlet, at " in errors.getvalue() and repr(blocks) in errors.getvalue().splitlines()[-3]


def test_a_finalizer_on_the_hub_greenlet_that_blocks_is_named(monkeypatch):
    lock = Semaphore(0)

    class Held:
        def __del__(self):
            lock.acquire()

    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(str(args.exc_value)))
    greenlet = spawn(Held)
    greenlet.rawlink(lambda source: None)
    del greenlet  # when the hub no longer refers to the greenlet, its value is finalized on the hub
    until(lambda: told)
    gc.collect()
    assert len(told) == 1 and "ran in passing: " in told[0] and "__del__" in told[0] and __file__ in told[0]


# --- how often --------------------------------------------------------------------------------------------------


def test_errors_that_are_alike_are_counted(errors, monkeypatch):
    monkeypatch.setattr(repeats, "SECONDS", 1.0)
    handled = []
    handle_error = get_hub().handle_error
    monkeypatch.setattr(get_hub(), "handle_error", lambda *args: (handled.append(args), handle_error(*args)))
    for number in range(51):
        spawn(fail, number)
    until(lambda: len(handled) == 51)
    assert len(handled) == 51 and errors.getvalue().count("Traceback") == 1
    until(lambda: "more like it" in errors.getvalue())
    last = errors.getvalue().splitlines()[-2]
    assert re.fullmatch(r"… and 50 more like it in [\d.]+ s: LookupError at .* in fail", last)
    spawn(fail).join()  # after the count was printed, the next error has a traceback again
    assert errors.getvalue().count("Traceback") == 2
    assert get_hub().statistics()["handles"] == 0


def test_errors_at_other_places_are_printed(errors):
    def other():
        fail()

    def caused():
        try:
            fail()
        except LookupError as error:
            raise ValueError from error

    spawn(fail)
    spawn(other)
    spawn(caused)
    until(lambda: errors.getvalue().count("failed with") == 3)
    assert errors.getvalue().count("failed with") == 3
    get_hub()._repeats.tell_rest()
    assert "more like it" not in errors.getvalue()


def test_the_count_is_told_at_the_end():
    script = "import greenio\nfor _ in range(3): greenio.spawn(lambda: 1 / 0)\ngreenio.sleep(0.001)"
    result = subprocess.run(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, timeout=60, check=True, cwd="/"
    )
    assert result.stderr.count("Traceback") == 1
    told = r"^… and 2 more like it in \d+\.\d s: ZeroDivisionError at <string>:2 in <lambda>$"
    assert re.search(told, result.stderr, re.MULTILINE)


def test_the_count_is_told_at_the_end_of_a_thread(errors):
    event = Event()

    def run():
        get_hub().exception_stream = errors
        spawn(fail).join()
        spawn(fail).join()
        event.set()

    thread = threading.Thread(target=run)
    thread.start()
    event.wait()
    thread.join()
    assert "and 1 more like it" in errors.getvalue()


def test_a_forked_child_tells_nothing_of_its_parent():
    script = """
import greenio, os
for _ in range(3): greenio.spawn(lambda: 1 / 0)
greenio.sleep(0.001)
pid = greenio.fork()
if pid:
    os.waitpid(pid, 0)
    greenio.get_hub().exception_stream.write("parent\\n")
"""
    result = subprocess.run(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, timeout=60, check=True, cwd="/"
    )
    assert result.stderr.count("more like it") == 1
    assert result.stderr.index("parent") < result.stderr.index("more like it")
