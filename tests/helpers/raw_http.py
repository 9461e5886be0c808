"""A WSGI server in this process, and a client that sends it bytes and reads its answers: for tests of greenio.wsgi."""

from contextlib import contextmanager

from waiting import until

from greenio import sleep
from greenio.socket import AF_UNIX, create_connection, socket
from greenio.wsgi import WSGIServer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#: A request behind which the server closes.
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Answer:
    """An answer: `status` (bytes), `code`, `fields` (names in lower case), `body`; `rest` is the data that follows."""

    def __init__(self, data, to_head=False):
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        version, _, self.status = first.partition(b" ")
        assert version == b"HTTP/1.1"
        self.code = int(self.status[:3])
        self.pairs = [tuple(line.split(b": ", 1)) for line in lines]
        self.fields = {name.decode().lower(): value for name, value in self.pairs}
        self.chunks = None
        if to_head or self.code in (204, 304) or self.code < 200:
            self.body = b""
        elif self.fields.get("transfer-encoding") == b"chunked":
            self.chunks = []
            while True:
                size, _, rest = rest.partition(b"\r\n")
                size = int(size, 16)
                if not size:
                    assert rest[:2] == b"\r\n"
                    rest = rest[2:]
                    break
                self.chunks.append(rest[:size])
                assert rest[size : size + 2] == b"\r\n"
                rest = rest[size + 2 :]
            self.body = b"".join(self.chunks)
        elif "content-length" in self.fields:
            length = int(self.fields["content-length"])
            assert len(rest) >= length, "the answer is cut short"
            self.body, rest = rest[:length], rest[length:]
        else:
            self.body, rest = rest, b""
        self.rest = rest


def answers_in(data, to_head=False):
    """Return the answers in the data that a server has sent (list of Answer)."""
    answers = []
    while data:
        answers.append(Answer(data, to_head))
        data = answers[-1].rest
    return answers


@contextmanager
def serving(application, listener=("127.0.0.1", 0), **arguments):
    """Run a server for the time of a block. When the block has ended, so have its connections."""
    arguments = {"log": None, "error_log": None, **arguments}
    with WSGIServer(listener, application, **arguments) as server:
        yield server
    until(lambda: not server._connections)
    sleep(0)  # lets the greenlet end that accepted


def connect(server):
    """Connect to a server. The socket has a timeout."""
    if isinstance(server.address, tuple):
        return create_connection(server.address[:2], timeout=30)
    sock = socket(AF_UNIX)
    sock.settimeout(30)
    sock.connect(server.address)
    return sock


def receive_all(sock):
    """Return everything that is received up to the end of the connection (bytes)."""
    pieces = []
    while data := sock.recv(65536):
        pieces.append(data)
    return b"".join(pieces)


def receive_until(sock, mark):
    """Return everything that is received up to a mark. Fails if the connection ends before the mark (bytes)."""
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, f"the connection ended behind {data!r}"
        data += more
    return data


def ask(server, data, to_head=False):
    """Send data, shut the sending half down, and return the answers (list of Answer)."""
    with connect(server) as sock:
        sock.sendall(data)
        sock.shutdown(1)
        return answers_in(receive_all(sock), to_head)


def ask_one(server, data, to_head=False):
    """Send data; return the answer, which must be the only one."""
    (answer,) = ask(server, data, to_head)
    return answer


def post(body, *lines, target=b"/"):
    """Return a POST request with a body."""
    head = [b"POST " + target + b" HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
