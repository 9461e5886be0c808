"""Sockets and time: timeouts of every call, non-blocking ones, the default, changes between."""

import errno
import socket
import struct
import threading

from _tell import tell, until

one, other = socket.socketpair()
one.settimeout(0.001)
print(one.gettimeout(), one.getblocking())
tell("recv", one.recv, 1)
tell("recv_into", one.recv_into, bytearray(1))
tell("recvfrom", one.recvfrom, 1)
tell("recvmsg", one.recvmsg, 1)
tell("sendall", one.sendall, b"x" * 10_000_000)
one.settimeout(0)
print(one.gettimeout(), one.getblocking())
tell("recv at once", one.recv, 1)
tell("send at once", lambda: [one.send(b"x" * 100_000) for _ in range(100)])
other.setblocking(False)
while True:
    try:
        other.recv(1_000_000)
    except BlockingIOError as error:
        print(error.errno == errno.EAGAIN)
        break
one.setblocking(True)
print(one.gettimeout(), one.getblocking())
threading.Timer(0.001, one.sendall, [b"late"]).start()
other.settimeout(20)
print(other.recv(10))
one.settimeout(None)
other.settimeout(20.0)
print(other.gettimeout(), one.gettimeout())

server = socket.create_server(("127.0.0.1", 0))
server.settimeout(0.001)
tell("accept", server.accept)
client = socket.create_connection(server.getsockname(), timeout=20)
server.settimeout(20)
served, _ = server.accept()
print(client.gettimeout(), served.gettimeout())
server.setblocking(False)
tell("accept at once", server.accept)
connecting = socket.socket()
connecting.setblocking(False)
print(connecting.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS))
until(lambda: connecting.connect_ex(server.getsockname()) in (0, errno.EISCONN))
print(connecting.getpeername() == server.getsockname(), connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

# The system's own times.
one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 2000))
tell("SO_RCVTIMEO", one.recv, 1)
print(struct.unpack("ll", one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))[0])

socket.setdefaulttimeout(0.001)
pair = socket.socketpair()
print(pair[0].gettimeout(), socket.socket().gettimeout(), socket.getdefaulttimeout())
tell("default", pair[0].recv, 1)
socket.setdefaulttimeout(None)
print(socket.timeout is TimeoutError, isinstance(BlockingIOError(), OSError))

# Two that wait at once: for a time each.
results = []


def receives(time):
    copy = pair[1].dup()
    copy.settimeout(time)
    try:
        results.append(copy.recv(1))
    except TimeoutError:
        results.append("late")
    copy.close()


threads = [threading.Thread(target=receives, args=(time,)) for time in (0.001, 0.002, 20)]
for thread in threads:
    thread.start()
threads[1].join()
pair[0].send(b"x")
for thread in threads:
    thread.join()
print(sorted(map(str, results)))
tell("sent whole", lambda: pair[0].sendall(b""))
for each in (one, other, server, client, served, connecting, *pair):
    each.close()
