"""Datagrams: boundaries, truncation, peers, refusals, Unix ones, wrong use."""

import os
import socket
import tempfile
import threading

from _tell import tell

one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
other.bind(("127.0.0.1", 0))
print(one.sendto(b"first", other.getsockname()), one.sendto(b"", other.getsockname()))
one.sendto(b"0123456789", other.getsockname())
data, address = other.recvfrom(100)
print(data, address == one.getsockname(), other.recv(10), other.recv(4))
buffer = bytearray(6)
one.sendto(b"into", other.getsockname())
print(other.recvfrom_into(buffer)[0], buffer)
tell("too large", one.sendto, b"x" * 70_000, other.getsockname())
tell("unconnected", one.send, b"x")
tell("flags and address", one.sendto, b"x", 0, other.getsockname())
print(other.recv(10))
other.settimeout(0.001)
tell("nothing comes", other.recv, 1)
tell("nothing comes", other.recvfrom_into, buffer)
one.connect(other.getsockname())
print(one.getpeername() == other.getsockname(), one.send(b"connected"), other.recv(20))
other.close()
one.send(b"to nobody")
tell("refused", one.recv, 10)
tell("listen", one.listen)
tell("accept", one.accept)
one.close()

# Several threads, each its own peer.
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
got = []


def asks(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.settimeout(20)
        mine.sendto(name, server.getsockname())
        got.append(mine.recv(10))


threads = [threading.Thread(target=asks, args=(name,)) for name in (b"a", b"b", b"c")]
for thread in threads:
    thread.start()
for _ in threads:
    data, address = server.recvfrom(10)
    server.sendto(data.upper(), address)
for thread in threads:
    thread.join()
print(sorted(got))
server.close()

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "s")
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(b"unix", path)
    print(receiver.recvfrom(10))
    sender.connect(path)
    sender.setblocking(False)
    try:
        while True:
            sender.send(b"full")
    except BlockingIOError as error:
        print(error)
    sender.settimeout(0.002)
    tell("full", sender.send, b"x")
    print(receiver.recv(10), sender.send(b"room"))
    receiver.close()
    tell("gone", sender.send, b"x")
    os.unlink(path)
    tell("unlinked", sender.sendto, b"x", path)
    sender.close()
