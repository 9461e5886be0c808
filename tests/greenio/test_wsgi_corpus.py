"""greenio.wsgi and requests that are malformed or misleading: helpers/corpus.py."""

import corpus
import pytest
from raw_http import answers_in, connect, serving

import greenio


def whole(data):
    return [data]


def byte_by_byte(data):
    if len(data) > 10_000:
        return [data[:200], *(data[at : at + 1000] for at in range(200, len(data), 1000))]
    return [data[at : at + 1] for at in range(len(data))]


def line_by_line(data):
    return data.splitlines(keepends=True) if len(data) > 10_000 else cut_after(data, b"\r\n")


def cut_after(data, mark):
    pieces = [piece + mark for piece in data.split(mark)]
    pieces[-1] = pieces[-1].removesuffix(mark)
    return [piece for piece in pieces if piece]


class Seen:
    """An application that keeps its calls."""

    def __init__(self, entry, catches):
        self.reads, self.catches = entry.reads, catches
        self.calls, self.environs, self.errors = [], [], []

    def __call__(self, environ, start_response):
        body = None
        self.environs.append(environ.copy())
        if self.reads or environ["RAW_URI"] == "/smuggled":
            try:
                body = environ["wsgi.input"].read()
            except OSError as error:
                self.errors.append(error)
                if not self.catches:
                    raise
        self.calls.append((environ["REQUEST_METHOD"], environ["RAW_URI"], body))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answer"]


def exchange(server, pieces, ends, until):
    """Send pieces; return the data that come back, up to the end or to that many answers."""
    received = b""
    with connect(server) as sock:

        def send():
            try:
                for piece in pieces:
                    sock.sendall(piece)
                    greenio.sleep(0)
                if ends:
                    sock.shutdown(1)
            except OSError:
                pass  # the server has closed the connection already

        sending = greenio.spawn(send)
        try:
            while until is None or received.count(b"answer") < until:
                data = sock.recv(65536)
                if not data:
                    break
                received += data
        finally:
            sending.kill()
    return received


@pytest.mark.parametrize("cut", [whole, byte_by_byte, line_by_line], ids=lambda cut: cut.__name__)
@pytest.mark.parametrize("entry", corpus.ENTRIES, ids=str)
def test_each_entry_has_its_outcome(entry, cut):
    for catches in (False, True) if entry.outcome == corpus.FAILS else (False,):
        has_its_outcome(entry, cut, catches)


def has_its_outcome(entry, cut, catches):
    seen = Seen(entry, catches)
    data = entry.data if entry.ends else entry.data + corpus.AFTER
    until = len(entry.calls) + 1 if entry.outcome == corpus.TAKEN else None
    with serving(seen) as server:
        answers = answers_in(exchange(server, cut(data), entry.ends, until))
    codes = [answer.code for answer in answers]
    if entry.outcome == corpus.REFUSED:
        assert codes == [entry.code] and seen.calls == [] and answers[0].fields["connection"] == b"close"
    elif entry.outcome == corpus.FAILS:
        assert codes == [entry.code] and answers[0].fields["connection"] == b"close"
        assert len(seen.errors) == 1 and not seen.calls[catches:]
    else:
        calls = list(entry.calls)
        if entry.outcome == corpus.TAKEN:
            calls.append(("GET", "/smuggled", b""))
        else:
            assert answers[-1].fields["connection"] == b"close"
        assert codes == [200] * len(calls) and seen.calls == calls
    for environ in seen.environs:
        assert not {"HTTP_X_C", "HTTP_TRANSFER__ENCODING"} & environ.keys()
        assert "HTTP_X_A" not in environ or entry.number == 60 and environ["HTTP_X_A"] == "\xe9"
        assert "HTTP_TRANSFER_ENCODING" not in environ or entry.number != 26
        assert environ["HTTP_HOST"] == ("b" if environ["RAW_URI"] == "http://b/" else "a")


def test_every_number_is_there_once():
    assert [entry.number for entry in corpus.ENTRIES] == list(range(1, 105))
