"""Ctrl-C in a program that sleeps: the main greenlet gets KeyboardInterrupt, whichever greenlet runs the loop."""

import os
import signal
import sys
import threading

from hub import Wait

import greenio

where = sys.argv[1]
hub = greenio.get_hub()
interrupted = []


def other():
    try:
        greenio.sleep(1000)
    except BaseException as error:
        interrupted.append(error)
        raise


greenlet = greenio.spawn(other)
# Another thread sends the signal, so that no code of this thread runs meanwhile.
sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
sender.start()
try:
    if where == "sleep":
        greenio.sleep(1000)
    elif where == "join":
        greenlet.join()
    elif where == "wait":
        Wait("nothing").park()
    elif where == "hub.join":
        hub.join()
    elif where == "socket":
        from greenio.socket import socketpair

        ours, theirs = socketpair()
        ours.recv(1)
except KeyboardInterrupt:
    print("KeyboardInterrupt in", "the main greenlet" if greenio.getcurrent() is hub.main else "another", interrupted)
sender.join()
greenlet.kill()
