"""Clients for servers.py: plain sockets and epoll, the same for every library.

Each client is a class, whose argument is the port to connect to. `run(seconds)` returns the number of messages that
came back, and `close()` ends the client. Between two runs no message is under way.
"""

import select
import socket
import ssl
import time

BLOCK = 1 << 20
ADDRESS = "127.0.0.1"


class Echo:
    """Sends a message on each of its connections, waits for all of it to come back, sends again."""

    def __init__(self, port, connections, size):
        self.message = b"x" * size
        self.poll = select.epoll()
        self.socks, self.missing = {}, {}
        for _ in range(connections):
            sock = self.connect(port)
            sock.setblocking(False)
            self.socks[sock.fileno()] = sock
            self.missing[sock.fileno()] = 0
            self.poll.register(sock.fileno(), select.EPOLLIN)

    def connect(self, port):
        sock = socket.create_connection((ADDRESS, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self, sock):
        """Send a message; the system's buffers hold it."""
        sent = sock.send(self.message)
        if sent < len(self.message):
            sock.setblocking(True)
            sock.sendall(self.message[sent:])
            sock.setblocking(False)

    def receive(self, sock):
        """Receive the data that is there; return its length."""
        return len(sock.recv(BLOCK))

    def run(self, seconds):
        socks, missing, size, messages, waiting = self.socks, self.missing, len(self.message), 0, len(self.socks)
        for fd, sock in socks.items():
            missing[fd] = size
            self.send(sock)
        end = time.monotonic() + seconds
        while waiting:
            going_on = time.monotonic() < end
            for fd, _ in self.poll.poll(10):
                sock = socks[fd]
                missing[fd] -= self.receive(sock)
                if missing[fd] <= 0:
                    messages += 1
                    if going_on:
                        missing[fd] = size
                        self.send(sock)
                    else:
                        waiting -= 1
        return messages

    def close(self):
        for sock in self.socks.values():
            sock.close()
        self.poll.close()


class TLSEcho(Echo):
    """The same over TLS."""

    def connect(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(super().connect(port))

    def receive(self, sock):
        count = 0
        try:
            while True:
                count += len(sock.recv(BLOCK))
        except ssl.SSLWantReadError:
            return count


class Datagrams:
    """Keeps a number of datagrams under way, on one socket."""

    def __init__(self, port, window, size):
        self.message = b"x" * size
        self.window = window
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((ADDRESS, port))
        self.sock.settimeout(10)

    def run(self, seconds):
        sock, messages, waiting = self.sock, 0, self.window
        for _ in range(self.window):
            sock.send(self.message)
        end = time.monotonic() + seconds
        while waiting:
            sock.recv(BLOCK)
            messages += 1
            if time.monotonic() < end:
                sock.send(self.message)
            else:
                waiting -= 1
        return messages

    def close(self):
        self.sock.close()


class Churn:
    """Opens connections, sends a message on each, receives it and the end of the connection, and begins again."""

    def __init__(self, port, connections, size):
        self.port, self.connections = port, connections
        self.message = b"x" * size

    def run(self, seconds):
        messages = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            socks = [socket.create_connection((ADDRESS, self.port)) for _ in range(self.connections)]
            for sock in socks:
                sock.sendall(self.message)
            for sock in socks:
                while sock.recv(BLOCK):
                    pass
                sock.close()
            messages += len(socks)
        return messages

    def close(self):
        pass
