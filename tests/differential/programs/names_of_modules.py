"""What the patched modules offer: every public name, and what kind of thing it is."""

import _thread
import asyncio
import fcntl
import inspect
import multiprocessing
import os
import queue
import select
import selectors
import signal
import socket
import ssl
import subprocess
import threading
import time

MODULES = [_thread, asyncio, fcntl, multiprocessing, os, queue, select, selectors, signal, socket, ssl, subprocess]
MODULES += [threading, time]


def kind(value):
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    if callable(value):
        return "function"
    return type(value).__name__ if isinstance(value, int | str | bytes | tuple | dict) else "other"


for module in MODULES:
    names = getattr(module, "__all__", None) or [name for name in dir(module) if name[0] != "_"]
    print(module.__name__, [(name, kind(getattr(module, name))) for name in sorted(set(names))])
QUEUE = "empty full get get_nowait join put put_nowait qsize task_done __class_getitem__"
PUBLIC = {
    threading.Thread: "daemon getName ident isDaemon is_alive join name native_id run setDaemon setName start",
    threading.Event: "clear isSet is_set set wait",
    threading.Condition: "acquire notify notifyAll notify_all release wait wait_for",
    threading.Semaphore: "acquire release __enter__ __exit__",
    threading.Barrier: "abort broken n_waiting parties reset wait",
    queue.Queue: QUEUE,
    queue.LifoQueue: QUEUE,
    queue.PriorityQueue: QUEUE,
    selectors.DefaultSelector: "close fileno get_key get_map modify register select unregister",
}
for made, names in PUBLIC.items():
    print([(name, hasattr(made, name), callable(getattr(made, name, None))) for name in names.split()])
for made in (socket.socket, ssl.SSLSocket, ssl.SSLContext, ssl.SSLObject):
    print(made.__name__, [name for name in dir(made) if name[0] != "_"])
print([name for name in dir(threading.Lock()) if name[0] != "_"])
