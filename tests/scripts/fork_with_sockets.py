"""Forks with open sockets on which greenlets wait: the child uses its copies, the parent goes on with its own."""

import os
import sys

from greenio import select, sleep, spawn
from greenio.socket import create_connection, create_server, socketpair

how = sys.argv[1]
listener = create_server(("127.0.0.1", 0))
ours, theirs = socketpair()
ours.settimeout(10)
polled, other = socketpair()
epoll = select.epoll()
epoll.register(polled, select.EPOLLIN)

reader = spawn(ours.recv, 100)
acceptor = spawn(listener.accept)
poller = spawn(epoll.poll, 10)
sleep(0.001)


def child():
    # The child makes a connection over the listener that it has inherited, then uses and closes the inherited pair.
    client = create_connection(listener.getsockname())
    server, _ = listener.accept()
    waiting = spawn(server.recv, 100)
    sleep(0)
    client.send(b"in the child")
    assert waiting.get(timeout=5) == b"in the child"
    ours.settimeout(0.01)
    try:
        ours.recv(1)
        raise AssertionError("what the parent has not sent yet came")
    except TimeoutError:
        pass
    for sock in (client, server, ours, listener):
        sock.close()
    epoll.close()
    ours2, theirs2 = socketpair()  # the descriptors' numbers are used again
    waiting = spawn(ours2.recv, 10)
    sleep(0)
    theirs2.send(b"again")
    assert waiting.get(timeout=5) == b"again"
    return 7


def fork():
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = child()
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return pid


pid = fork() if how == "main" else spawn(fork).get()
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

assert not reader.ready() and not acceptor.ready() and not poller.ready()
theirs.send(b"to the parent")
other.send(b"x")
event = poller.get(timeout=5)
client = create_connection(listener.getsockname())
server, _ = acceptor.get(timeout=5)
print(status, reader.get(timeout=5).decode(), len(event))
for sock in (ours, theirs, polled, other, listener, client, server):
    sock.close()
epoll.close()
