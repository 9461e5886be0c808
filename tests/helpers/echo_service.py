"""A service of several processes that answers commands: for the tests of greenio.workers."""

from collections import Counter
from contextlib import closing, contextmanager

from services import serving

ECHO = """
import os, signal, sys, time
import greenio
from greenio import workers
from greenio.server import StreamServer

def handle(sock, address):
    while data := sock.recv(65536):
        command, _, argument = data.decode().partition(" ")
        if command == "pid":
            sock.sendall(b"%d\\n" % os.getpid())
        elif command == "loop":
            while True:
                pass
        elif command == "block":
            import ctypes
            lock = ctypes.create_string_buffer(100)
            for _ in range(2):
                ctypes.PyDLL(None).pthread_mutex_lock(lock)  # with the GIL; no signal ends it
        elif command == "wait":
            print("waits", flush=True)
            try:
                greenio.sleep(float(argument))
                sock.sendall(b"done")
            finally:
                print("cleaned up", flush=True)
            return
        elif command == "grow":
            globals()["kept"] = bytearray(b"x") * (int(argument) << 20)
            sock.sendall(b"grown")
        else:
            sock.sendall(eval(data).encode())
"""

PROGRAM = (
    ECHO
    + """
server = StreamServer({listener}, handle)
server.serve_forever(workers={workers}{options})
print("returned", flush=True)
"""
)

# The server is in a module that only workers import.
LOADING = """
from greenio import workers

def load():
    import served
    return served.make

workers.serve(load, {listener}, workers={workers}{options})
print("returned", flush=True)
"""
SERVED = (
    ECHO
    + """
print("loaded by", os.getpid(), flush=True)
VERSION = "one"
def make(sock):
    return StreamServer(sock, handle)
"""
)


def echo_service(
    folder, workers=2, listener=("127.0.0.1", 0), program=PROGRAM, served=SERVED, environment=None, **options
):
    """Start a service in a folder. `served`: the text of its module served.py; `options`: those of the workers."""
    (folder / "served.py").write_text(served)
    written = "".join(f", {name}={value!r}" for name, value in options.items())
    (folder / "program.py").write_text(program.format(workers=workers, listener=repr(listener), options=written))
    return serving(folder, ["program.py"], **(environment or {}))


def answering_workers(service, times=40):
    """How often each worker answers when so many clients ask (Counter of process numbers)."""
    return Counter(int(service.ask()) for _ in range(times))


def open_connection(service):
    """A connection that a worker has accepted, and the number of that worker's process."""
    sock = service.connect()
    sock.sendall(b"pid")
    return sock, int(sock.recv(100))


@contextmanager
def request_that_waits(service):
    """A connection (a socket) whose handler waits in a worker. It is closed at the end of the block."""
    with closing(service.connect()) as sock:
        sock.sendall(b"wait 1000")
        service.until("waits")
        yield sock


def state_of(pid):
    """A process's state, a letter as in ps: "R" computes, "T" was stopped."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
