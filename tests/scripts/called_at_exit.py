"""Functions of atexit that were registered before greenio was imported, and so are called last."""

import atexit
import importlib
import sys

atexit.register(lambda: at_exit())

import greenio  # noqa: E402


def at_exit():
    greenio.sleep(0.001)
    print("slept")
    greenio.spawn(print, "spawned").join()
    from greenio import socket

    ours, theirs = socket.socketpair()
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"
    ours.close()
    theirs.close()
    assert importlib.import_module("greenio.server").StreamServer is not None
    assert sys.modules["greenio"].sleep is greenio.sleep
    print("imported")


greenio.sleep(0)
