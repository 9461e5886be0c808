"""Sockets used wrongly: closed ones, ones that are not connected, wrong arguments, options, families."""

import errno
import socket

from _tell import tell, tell_kind

closed = socket.socket()
closed.close()
tell("close again", closed.close)
for name, arguments in (
    ("recv", (1,)),
    ("send", (b"x",)),
    ("sendall", (b"x",)),
    ("accept", ()),
    ("connect", (("127.0.0.1", 1),)),
    ("bind", (("127.0.0.1", 0),)),
    ("listen", ()),
    ("getsockname", ()),
    ("getpeername", ()),
    ("shutdown", (socket.SHUT_RDWR,)),
    ("setblocking", (True,)),
    ("fileno", ()),
    ("detach", ()),
    ("recv_into", (bytearray(1),)),
    ("recvmsg", (1,)),
    ("sendmsg", ([b"x"],)),
    ("getsockopt", (socket.SOL_SOCKET, socket.SO_TYPE)),
):
    tell(f"closed: {name}", getattr(closed, name), *arguments)
tell("closed: dup", closed.dup)
tell("closed: makefile", lambda: closed.makefile("rb").read(1))

fresh = socket.socket()
for name, arguments in (
    ("recv", (1,)),
    ("send", (b"x",)),
    ("accept", ()),
    ("getpeername", ()),
    ("shutdown", (socket.SHUT_WR,)),
    ("recv", (-1,)),
    ("recv", ("1",)),
    ("recv_into", (b"x",)),
    ("recv_into", (bytearray(2), 5)),
    ("recv_into", (bytearray(2), -1)),
    ("send", ("text",)),
    ("send", (None,)),
    ("sendall", (5,)),
    ("sendto", (b"x",)),
    ("sendto", (b"x", 5)),
    ("connect", ("127.0.0.1",)),
    ("connect", (("127.0.0.1", 99999),)),
    ("connect", (("127.0.0.1", "http"),)),
    ("connect", ((1, 2),)),
    ("bind", (("127.0.0.1", -1),)),
    ("bind", (("300.1.1.1.1", 0),)),
    ("settimeout", (-1,)),
    ("settimeout", ("1",)),
    ("settimeout", (float("nan"),)),
    ("listen", ("many",)),
    ("shutdown", (99,)),
    ("setsockopt", (socket.SOL_SOCKET, 9999, 1)),
    ("getsockopt", (9999, 9999)),
    ("makefile", ("x",)),
    ("makefile", ("r+b",)),
    ("sendmsg", ([],)),
    ("sendmsg", (b"bytes",)),
    ("recvmsg", (-1,)),
    ("recvmsg_into", ([b"x"],)),
):
    how = tell_kind if name in ("settimeout", "makefile", "recv_into", "recvmsg") else tell
    how(f"fresh: {name}{arguments}", getattr(fresh, name), *arguments)
print(fresh.connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED)
tell("refused", fresh.connect, ("127.0.0.1", 1))
fresh.close()
tell("no such family", socket.socket, 9999)
tell("no such type", socket.socket, socket.AF_INET, 9999)
tell("no such descriptor", socket.socket, fileno=9999)
tell("negative descriptor", socket.socket, fileno=-5)
tell("text", socket.socket, "AF_INET")
tell("unknown", socket.socket, familly=1)
with open("/dev/null") as file:
    tell("no socket", socket.socket, fileno=file.fileno())
tell("a listener for nowhere", socket.create_server, ("192.0.2.1", 0))
tell("connection to nowhere", socket.create_connection, ("127.0.0.1", 1))
tell("connection of nothing", socket.create_connection, "127.0.0.1:1")
tell("name", socket.gethostbyname, "no such name.invalid")
tell("port", socket.getaddrinfo, "127.0.0.1", "no such service")
tell("numbers only", socket.getaddrinfo, "localhost", 1, flags=socket.AI_NUMERICHOST)
tell("nothing", socket.getaddrinfo, None, None)
tell("number", lambda: socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4])
tell("nameinfo", socket.getnameinfo, ("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
tell("nameinfo of a name", socket.getnameinfo, ("nobody", "x"), 0)
first, second = socket.create_server(("127.0.0.1", 0)), socket.socket()
tell("bound already", second.bind, first.getsockname())
tell("bound twice", first.bind, ("127.0.0.1", 0))
tell("connected to itself", first.connect, first.getsockname())
first.close()
second.close()
tell("default timeout", socket.setdefaulttimeout, -1)
tell("default timeout", socket.getdefaulttimeout)
