"""Clients and servers of the standard library: they wait as their sockets do."""

import contextlib
import ftplib
import http.client
import imaplib
import logging
import logging.handlers
import poplib
import smtplib
import socket
import socketserver
import urllib.request
import xmlrpc.client

from calls_of_sockets import LARGE, LOOPBACK, read_large
from measuring import call, later, measured

XML = b"<?xml version='1.0'?><methodResponse><params><param><value>1</value></param></params></methodResponse>"


@contextlib.contextmanager
def serving(answer):
    """A server that accepts one connection, and answers it later."""

    def serve():
        connection = stack.enter_context(server.accept()[0])
        connection.sendall(answer)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        later(serve)
        yield server.getsockname()


def answer_of_http(body, kind="text/plain"):
    return f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@call("urllib.request.urlopen")
def urlopen():
    with serving(answer_of_http(b"x")) as (host, port):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with measured(opener.open, f"http://{host}:{port}/") as response:
            assert response.read() == b"x"


@call("http.client.HTTPConnection.getresponse")
def getresponse():
    with serving(answer_of_http(b"x")) as (host, port):
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/")
        with measured(connection.getresponse) as response:
            assert response.read() == b"x"
        connection.close()


@call("xmlrpc.client.ServerProxy")
def server_proxy():
    with serving(answer_of_http(XML, "text/xml")) as (host, port):
        with xmlrpc.client.ServerProxy(f"http://{host}:{port}/") as proxy:
            measured(proxy.ask)


@call("smtplib.SMTP")
def smtp():
    with serving(b"220 hello\r\n") as address:
        measured(smtplib.SMTP, *address, local_hostname="localhost").close()


@call("ftplib.FTP")
def ftp():
    with serving(b"220 hello\r\n") as (host, port):
        client = ftplib.FTP()
        measured(client.connect, host, port)
        client.close()


@call("imaplib.IMAP4")
def imap():
    with serving(b"* OK hello\r\n* CAPABILITY IMAP4REV1\r\nAAAA0 OK done\r\n") as (host, port):
        with contextlib.suppress(imaplib.IMAP4.error):  # the server sends no further answers
            measured(imaplib.IMAP4, host, port).shutdown()


@call("poplib.POP3")
def pop():
    with serving(b"+OK hello\r\n") as (host, port):
        measured(poplib.POP3, host, port).close()


@call("logging.handlers.SocketHandler")
def socket_handler():
    def serve():
        connection, _ = server.accept()
        connections.append(connection)
        read_large(connection)

    connections = []

    class Handler(logging.handlers.SocketHandler):
        def makeSocket(
            self, timeout=60
        ):  # the handler's own timeout of a second is too short on a busy machine: it would drop the record
            return super().makeSocket(timeout)

    with socket.create_server((LOOPBACK, 0)) as server:
        handler = Handler(*server.getsockname())
        record = logging.makeLogRecord({"msg": LARGE.decode()})
        later(serve)
        measured(handler.emit, record)
        handler.close()
        connections[0].close()


@call("socketserver.BaseServer.serve_forever")
def serve_forever():
    with socketserver.TCPServer((LOOPBACK, 0), socketserver.BaseRequestHandler) as server:
        later(server.shutdown)
        measured(server.serve_forever, 0.005)


@call("socketserver.BaseServer.handle_request")
def handle_request():
    with socketserver.TCPServer((LOOPBACK, 0), socketserver.BaseRequestHandler) as server, socket.socket() as client:
        later(client.connect, server.server_address)
        measured(server.handle_request)
