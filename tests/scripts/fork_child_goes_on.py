"""A forked child has a loop of its own; only the greenlet that forked goes on there. The parent is unharmed."""

import os
import sys

import greenio
from greenio.socket import socketpair

how = sys.argv[1]
ticks = []
ours, theirs = socketpair()


def ticker():
    while True:
        greenio.sleep(0.005)
        ticks.append(os.getpid())


def reader():
    return ours.recv(10)


def in_child():
    greenio.sleep(0.03)  # the other greenlets would run in this time, if they could
    mine, other = socketpair()
    greenlet = greenio.spawn(mine.recv, 10)
    greenio.sleep(0)
    other.sendall(b"in child")
    assert greenlet.get(timeout=5) == b"in child"
    with greenio.Timeout(0.01, False):
        mine.recv(1)
    assert os.getpid() not in ticks, "another greenlet ran in the child"
    return 7


def fork():
    pid = greenio.fork() if how != "os" else os.fork()
    if pid == 0:
        status = 1
        try:
            status = in_child()
        finally:
            os._exit(status)
    return pid


background = greenio.spawn(ticker)
waiting = greenio.spawn(reader)
while len(ticks) < 3:
    greenio.sleep(0.005)
pid = greenio.spawn(fork).get() if how == "greenlet" else fork()
status = os.waitpid(pid, 0)[1]
theirs.sendall(b"parent")
print(os.waitstatus_to_exitcode(status), waiting.get(timeout=5), len(ticks) > 2, not background.dead)
background.kill()
