"""TLS over loopback: certificates, versions, ends of each kind, times, non-blocking, memory BIOs."""

import os
import socket
import ssl
import threading

from _tell import tell, tell_kind

HERE = os.path.dirname(os.path.abspath(__file__))
CERTIFICATES = os.path.join(HERE, "..", "..", "certificates")


def path(name):
    return os.path.join(CERTIFICATES, name)


server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(path("cert.pem"), path("key.pem"))
context = ssl.create_default_context(cafile=path("cert.pem"))


def serve(sock, act, context=server_context):
    def run():
        try:
            with context.wrap_socket(sock, server_side=True) as secure:
                act(secure)
        except (OSError, ValueError):
            pass  # the other end has ended the connection
        sock.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def echo(secure):
    while data := secure.recv(1000):
        secure.sendall(data.upper())


def with_server(name, ask, act=echo, context=context, hostname="localhost", server=server_context):
    one, other = socket.socketpair()
    one.settimeout(20)
    thread = serve(other, act, server)

    def go():
        with context.wrap_socket(one, server_hostname=hostname) as secure:
            return ask(secure)

    tell(name, go)
    one.close()
    thread.join()


def asks(secure):
    secure.sendall(b"hello")
    return secure.recv(10), secure.version(), secure.cipher()[1], secure.pending(), secure.server_hostname


def times_out(secure):
    secure.settimeout(0.001)
    try:
        secure.recv(1)
    except TimeoutError as error:
        return str(error)


def at_once(secure):
    secure.setblocking(False)
    try:
        secure.recv(1)
    except ssl.SSLWantReadError as error:
        return error.errno == ssl.SSL_ERROR_WANT_READ


def unwraps(secure):
    plain = secure.unwrap()
    plain.sendall(b"plain")
    return plain.recv(10)


def unwrapped(secure):
    plain = secure.unwrap()
    plain.sendall(plain.recv(10).upper())


def misuses(secure):
    tell_kind("  peek", secure.recv, 1, socket.MSG_PEEK)
    tell_kind("  recvmsg", secure.recvmsg, 1)
    tell_kind("  sendto", secure.sendto, b"x", ("127.0.0.1", 1))
    tell("  dup", secure.dup)
    tell_kind("  read negative", secure.read, -1)
    tell("  sends text", secure.send, "text")
    tell("  alpn", secure.selected_alpn_protocol)
    tell("  certificate", lambda: secure.getpeercert()["subject"])
    tell("  channel binding", lambda: len(secure.get_channel_binding() or b"") > 8)
    tell("  no such binding", secure.get_channel_binding, "x")
    return secure.session_reused


with_server("asks", asks)
with_server("large", lambda secure: (secure.sendall(b"x" * 999), sum(len(secure.recv(333)) for _ in range(3)))[1])
with_server("files", lambda secure: (secure.sendall(b"line\n"), secure.makefile("rb").readline())[1])
with_server("times out", times_out)
with_server("at once", at_once)
with_server("unwraps", unwraps, unwrapped)
with_server("misuses", misuses)
with_server("another name", asks, hostname="other.invalid")
with_server("no name", asks, hostname=None)
with_server("not trusted", asks, context=ssl.create_default_context())
old = ssl.create_default_context(cafile=path("cert.pem"))
old.maximum_version = ssl.TLSVersion.TLSv1_2
new = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
new.load_cert_chain(path("cert.pem"), path("key.pem"))
new.minimum_version = ssl.TLSVersion.TLSv1_3
with_server("1.2", asks, context=old)
with_server("versions", asks, context=old, server=new)
with_server("the server dies", lambda secure: secure.recv(1), lambda secure: os.close(secure.detach()))
with_server("the server closes", lambda secure: secure.recv(1), lambda secure: secure.shutdown(socket.SHUT_RDWR))

# No TLS at the other end.
one, other = socket.socketpair()
other.sendall(b"HTTP/1.0 400 no\r\n\r\n" * 10)
tell_kind("no TLS", lambda: context.wrap_socket(one, server_hostname="localhost"))
other.close()
one, other = socket.socketpair()
other.close()
tell_kind("nobody", lambda: context.wrap_socket(one, server_hostname="localhost"))
one, other = socket.socketpair()
one.settimeout(0.002)
tell_kind("no answer", lambda: context.wrap_socket(one, server_hostname="localhost"))
tell("closed", lambda: context.wrap_socket(one, server_hostname="localhost") if one.close() else None)
other.close()
tell("not connected", lambda: context.wrap_socket(socket.socket(), server_hostname="localhost").do_handshake())
tell("no stream", lambda: context.wrap_socket(socket.socket(type=socket.SOCK_DGRAM), server_hostname="x"))
tell("no key", server_context.load_cert_chain, path("nonesuch.pem"))
tell_kind("no certificate", context.load_verify_locations, cadata="x")
tell("no constructor", ssl.SSLSocket)

# Memory BIOs.
to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
client = context.wrap_bio(to_client, to_server, server_hostname="localhost")
server = server_context.wrap_bio(to_server, to_client, server_side=True)
for _ in range(4):
    for each in (client, server):
        try:
            each.do_handshake()
        except ssl.SSLWantReadError:
            continue
client.write(b"in memory")
print(server.read(), client.version(), to_server.pending)
tell("nothing more", server.read)
