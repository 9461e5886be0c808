"""http.server and its clients over loopback: statuses, bodies, errors, times, connections that are kept."""

import http.client
import io
import socket
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xmlrpc.client import Fault, ServerProxy
from xmlrpc.server import SimpleXMLRPCServer

from _tell import tell


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "S"
    sys_version = ""

    def do_GET(self):
        if self.path == "/fail":
            self.send_error(404, "nothing here")
        elif self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"short")
            self.close_connection = True
        elif self.path == "/die":
            self.close_connection = True
        elif self.path == "/slow":
            go_on.wait(20)
            self.answer(b"slow")
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in (b"one", b"two", b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        else:
            self.answer(self.path.encode())

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).upper())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        logged.append(arguments[0] % arguments[1:])


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing of clients that have closed their connections."""


logged, go_on = [], threading.Event()
server = Server(("127.0.0.1", 0), Handler)
serving = threading.Thread(target=server.serve_forever, args=(0.01,))
serving.start()
base = f"http://127.0.0.1:{server.server_port}"


def fetch(path, data=None, timeout=20):
    with urllib.request.urlopen(base + path, data, timeout) as response:
        return response.status, response.read()


tell("get", fetch, "/path?query")
tell("post", fetch, "/", b"body" * 3)
tell("large", lambda: len(fetch("/", b"x" * 3_000_000)[1]))
tell("error", fetch, "/fail")
tell("redirect", fetch, "/redirect")
tell("chunks", fetch, "/chunks")
tell("short", fetch, "/short")
tell("dies", fetch, "/die")
tell("slow", fetch, "/slow", timeout=0.01)
go_on.set()
tell("no such scheme", urllib.request.urlopen, "nonesuch://x")
tell("refused", urllib.request.urlopen, "http://127.0.0.1:1/")
tell("no such method", urllib.request.urlopen, urllib.request.Request(base + "/", method="NONE"))

kept = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
for path in ("/a", "/b"):
    kept.request("GET", path)
    response = kept.getresponse()
    print(response.status, response.reason, response.read(), response.isclosed())
kept.request("GET", "/c")
tell("too early", kept.request, "GET", "/d")
kept.close()
tell("no response", kept.getresponse)
kept.request("POST", "/", body=io.BytesIO(b"from a file"), headers={"Content-Length": "11"})
print(kept.getresponse().read())
kept.close()

with socket.create_connection(server.server_address) as raw:
    raw.sendall(b"NONSENSE\r\n\r\n")
    print(raw.makefile("rb").readline())
results = []
threads = [threading.Thread(target=lambda n=n: results.append(fetch(f"/{n}"))) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))
server.shutdown()
serving.join()
server.server_close()
print(len(logged) > 15, sorted(set(logged))[:3])

rpc = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
rpc.register_function(pow)
rpc.register_function(lambda: [][0], "fails")
serving = threading.Thread(target=rpc.serve_forever, args=(0.01,))
serving.start()
with ServerProxy(f"http://127.0.0.1:{rpc.server_address[1]}") as proxy:
    print(proxy.pow(2, 10))
    for name in ("fails", "nonesuch"):
        try:
            getattr(proxy, name)()
        except Fault as fault:
            print(fault.faultCode, fault.faultString)
rpc.shutdown()
serving.join()
rpc.server_close()
