"""An application for gunicorn. Its answers show the state of the worker."""

import json
import os
import signal
import threading
import time
from time import sleep as sleep_by_name
from urllib.parse import parse_qs

loaded_in = os.getpid()
barriers = {}
making = threading.Lock()
worker = None  # gunicorn's worker; gunicorn_settings.py sets it


def application(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return late()
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    answer = globals()[f"answer_{environ['PATH_INFO'].strip('/') or 'pid'}"](environ, **query)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def answer_pid(environ):
    return str(os.getpid()).encode()


def answer_meet(environ, number):
    with making:
        barrier = barriers.setdefault(number, threading.Barrier(int(number)))
    barrier.wait()
    return b"met"


def answer_gated(environ, begun, gate):
    """Write to a file when the request has begun, and wait for another file."""
    with open(begun, "w") as file:
        file.write(str(os.getpid()))
    while not os.path.exists(gate):
        time.sleep(0.02)
    return b"done"


def answer_about(environ):
    from greenio.monkey import get_original

    about = {
        "sleeps as patched": sleep_by_name is not get_original("time", "sleep"),
        "loaded in": loaded_in,
        "wakes gunicorn's pipe": wakeup_descriptor() in worker.PIPE,
    }
    return json.dumps(about).encode()


def wakeup_descriptor():
    found = []
    ask = threading.Event()

    def handler(number, frame):
        found.append(signal.set_wakeup_fd(-1))
        signal.set_wakeup_fd(found[0])
        ask.set()

    # The descriptor is read in a signal handler, which runs on the main greenlet and wakes a process that sleeps.
    signal.signal(signal.SIGUSR2, handler)
    os.kill(os.getpid(), signal.SIGUSR2)
    ask.wait()
    return found[0]


def answer_environ(environ):
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool))}
    return json.dumps(shown).encode()


def answer_length(environ):
    return str(len(environ["wsgi.input"].read())).encode()


def answer_compute(environ):
    while True:
        pass


def answer_hinted(environ):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return b"hinted"


def answer_file(environ, path):
    return b"".join(environ["wsgi.file_wrapper"](open(path, "rb")))


def late():
    """Raise a Timeout in the middle of an answer."""
    from greenio import Timeout

    yield b"begun"
    raise Timeout(1)


def answer_crash(environ):
    raise ValueError("crashed")
