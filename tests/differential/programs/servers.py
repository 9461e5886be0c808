"""socketserver: plain, threads, forks, datagrams, Unix; errors of handlers, shutdown, times."""

import os
import socket
import socketserver
import tempfile
import threading
import time

from _tell import tell, until


class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b"fail\n":
                raise LookupError("in a handler")
            self.wfile.write(line.upper())


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data.upper(), self.client_address)


class Told:
    def handle_error(self, request, client_address):
        import sys

        errors.append(repr(sys.exc_info()[1]))

    def handle_timeout(self):
        errors.append("timeout")


class Plain(Told, socketserver.TCPServer):
    allow_reuse_address = True


class Threads(Told, socketserver.ThreadingTCPServer):
    daemon_threads = False


class Forks(Told, socketserver.ForkingTCPServer):
    pass


class Pid(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"child\n" if os.getpid() != parent else b"parent\n")


def ask(address, *lines):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(20)
        client.connect(address)
        with client.makefile("rwb") as file:
            answers = []
            for line in lines:
                file.write(line)
                file.flush()
                answers.append(file.readline())
            return answers


parent, errors = os.getpid(), []
for kind in (Plain, Threads):
    del errors[:]
    with kind(("127.0.0.1", 0), Upper) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        results = []
        asking = [
            threading.Thread(target=lambda n=n, to=server.server_address: results.extend(ask(to, b"%d a\n" % n)))  # noqa: B023
            for n in range(5)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        print(kind.__name__, sorted(results), ask(server.server_address, b"fail\n"))
        until(lambda: errors)
        server.shutdown()
        serving.join()
        print(errors)
        server.timeout = 0.001
        tell("handle_request in time", server.handle_request)
        print(errors[1:])
    tell("closed", ask, server.server_address, b"x\n")
    tell("bound twice", lambda: [kind(server.server_address, Upper) for kind in (Plain,)][0].server_close())

with Forks(("127.0.0.1", 0), Pid) as server:
    threads = [threading.Thread(target=server.handle_request) for _ in range(2)]
    for thread in threads:
        thread.start()
    print(ask(server.server_address, b"?\n"), ask(server.server_address, b"?\n"))
    for thread in threads:
        thread.join()
print(server.active_children)

with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Datagram) as server:
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.sendto(b"datagram", server.server_address)
        print(client.recv(100))
    server.shutdown()
    serving.join()

with tempfile.TemporaryDirectory() as folder:
    with socketserver.ThreadingUnixStreamServer(os.path.join(folder, "s"), Upper) as server:
        threading.Thread(target=server.handle_request).start()
        print(ask(server.server_address, b"unix\n"))


class Slow(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1)
        time.sleep(0.002)
        errors.append("handled to its end")


del errors[:]
with Threads(("127.0.0.1", 0), Slow) as server:
    client = socket.create_connection(server.server_address)
    server.handle_request()
    client.close()
print(errors)
