"""Streams: partial reads, ends of each half, files of sockets, several at once, resets, big transfers."""

import io
import socket
import struct
import tempfile
import threading

from _tell import tell


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


one, other = socket.socketpair()
print(one.family.name, one.type.name, one.proto, one.gettimeout(), one.getblocking(), one.get_inheritable())
one.sendall(b"abcdef")
buffer = bytearray(b"------")
print(other.recv(2), other.recv(10, socket.MSG_PEEK), other.recv_into(buffer, 2), buffer, other.recv(0))
view = memoryview(buffer)[3:]
one.shutdown(socket.SHUT_WR)
print(other.recv(5), other.recv(5))
other.sendall(b"still")
print(one.recv(100))
tell("send after the shutdown", one.send, b"x")
other.close()
print(one.recv(1))
one.close()

# A transfer that is larger than the buffers.
one, other = socket.socketpair()
data = bytes(range(256)) * 4096
thread = in_thread(lambda: (one.sendall(data), one.close()))
with other.makefile("rb") as file:
    print(file.read() == data)
thread.join()
other.close()

# Files.
one, other = socket.socketpair()
writer, reader = one.makefile("w", encoding="utf-8", newline="\n"), other.makefile("r", encoding="utf-8")
writer.write("öne\ntwo\nthree")
writer.flush()
print(repr(reader.readline()), repr(reader.readline()), writer.writable(), reader.readable(), reader.seekable())
one.close()
writer.write("!")
writer.close()
print(reader.read())
tell("after the close", writer.write, "x")
tell("socket of a closed file", one.send, b"x")
reader.close()
other.close()
one, other = socket.socketpair()
both = one.makefile("rwb", buffering=0)
print(isinstance(both, io.RawIOBase), both.write(b"raw"), other.recv(10), both.name == one.fileno(), both.mode)
other.settimeout(0.001)
timed = other.makefile("rb")
tell("time in a file", timed.read, 1)
tell("then", timed.read, 1)
both.close()
one.close()
timed.close()
other.close()

# detach, dup, from a descriptor.
one, other = socket.socketpair()
copy = one.dup()
again = socket.socket(fileno=one.detach())
print(one.fileno(), again.family.name, again.send(b"1"), copy.send(b"2"), other.recv(2, socket.MSG_WAITALL))
again.close()
copy.close()
print(other.recv(1))
tell("broken pipe", lambda: [other.send(b"x") for _ in range(3)])
other.close()

# A reset.
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
served, address = server.accept()
print(address == client.getsockname(), served.getpeername() == address, repr(server)[:14] != "")
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
tell("reset", served.recv, 1)
tell("then", served.recv, 1)
served.close()

# shutdown() ends a wait in another thread.
client = socket.create_connection(server.getsockname())
served, address = server.accept()
got = []
thread = in_thread(lambda: got.append(served.recv(1)))
served.shutdown(socket.SHUT_RD)
thread.join()
print(got)


def accepts():
    try:
        server.accept()
    except OSError as error:
        got.append(error.strerror)


thread = in_thread(accepts)
server.shutdown(socket.SHUT_RDWR)
thread.join()
print(got)
for each in (client, served, server):
    each.close()

# sendfile, sendmsg, recvmsg.
one, other = socket.socketpair()
with tempfile.TemporaryFile() as file:
    file.write(b"0123456789" * 10)
    file.flush()
    file.seek(0)
    print(one.sendfile(file, 5, 10), other.recv(100), file.tell())
    tell("text", one.sendfile, io.StringIO("x"))
    tell("negative", one.sendfile, file, 0, -1)
print(one.sendmsg([b"ab", b"cd"]), other.recvmsg(10)[0], one.sendmsg([b"ef"], [], 0), other.recvmsg_into([buffer])[0])
socket.send_fds(one, [b"fd"], [one.fileno()])
data, descriptors, flags, _ = socket.recv_fds(other, 10, 1)
copy = socket.socket(fileno=descriptors[0])
print(data, len(descriptors), copy.send(b"by the copy"), other.recv(20))
for each in (one, other, copy):
    each.close()
with one:
    print("a closed one as context")
