"""Helpers of the programs: many greenlets at once, and a server that answers only when all their requests are there."""

import contextlib
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import greenio


def together(count, function, *args):
    """Call ``function(number, *args)`` in `count` greenlets; return their results."""
    jobs = [greenio.spawn(function, number, *args) for number in range(count)]
    for job in jobs:
        job.reports_errors = False
    greenio.joinall(jobs, timeout=60, raise_error=True)
    assert all(job.ready() for job in jobs), "the greenlets do not end"
    return [job.value for job in jobs]


def until(condition):
    """Wait until ``condition()`` is true, and return its value."""
    with greenio.fail_after(30):
        while not (value := condition()):
            greenio.sleep(0.005)
        return value


class Requests(BaseHTTPRequestHandler):
    """Answers /together when all expected requests are there, /never not at all, /gone with half an answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        if self.path.startswith("/together"):
            server.meeting.wait()
        elif self.path.startswith("/never"):
            server.arrived.set()
            server.ends.wait()
            self.close_connection = True
            return
        elif self.path.startswith("/gone"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
            self.close_connection = True
            return
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Clients hang up on purpose.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def http_server(expected, context=None):
    """An HTTP server whose /together answers when `expected` requests wait for it; the port is in server_port."""
    server = Server(("127.0.0.1", 0), Requests)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.meeting = threading.Barrier(expected, timeout=30)
    server.arrived, server.ends = threading.Event(), threading.Event()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield server
    finally:
        server.ends.set()
        server.shutdown()
        serving.join()
        server.server_close()
