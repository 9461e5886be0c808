"""greenio.wsgi and random changes of the corpus of attacks: no more is answered than a strict reader finds."""

import re

import corpus
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import connect, receive_all, serving
from reference_http import count_requests

SMALL = [entry.data for entry in corpus.ENTRIES if len(entry.data) < 1000]
BITS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b":", b";", b",", b'"', b"0",
    b"1", b"_", b"-", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Host: b\r\n", b"Upgrade: x\r\nConnection: upgrade\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n",
    b"3\r\nabc\r\n", b"HTTP/1.0", corpus.AFTER,
]  # fmt: skip


@st.composite
def mutated(draw):
    """Draw one to three entries in a row, with bits put in, taken out, doubled or exchanged, and the places to cut."""
    data = b"".join(draw(st.lists(st.sampled_from(SMALL), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 2, 4, 20])))
        new = draw(
            st.sampled_from(BITS) | st.binary(min_size=1, max_size=2) | st.just(b"") | st.just(data[start:end] * 2)
        )
        data = data[:start] + new + data[end:]
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=3).map(sorted))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("entry", corpus.ENTRIES, ids=str)
def test_the_reference_agrees_with_the_corpus(entry):
    count = count_requests(entry.data if entry.ends else entry.data + corpus.AFTER)
    if entry.outcome == corpus.TAKEN:
        assert count == len(entry.calls) + 1
    elif entry.outcome == corpus.LAST:
        assert count >= len(entry.calls)
    elif entry.outcome == corpus.FAILS:
        # A limit of ours, no fault.
        assert count == (2 if entry.number == 42 else 0)


@pytest.mark.parametrize("reads", [True, False])
def test_no_more_is_answered_than_the_reference_counts(reads):
    answered = []

    def application(environ, start_response):
        if reads:
            environ["wsgi.input"].read()
        answered.append(environ["RAW_URI"])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(application) as server:

        @settings(
            derandomize=True, database=None, deadline=None, max_examples=400, suppress_health_check=list(HealthCheck)
        )
        @given(mutated())
        def changed(pieces):
            answered.clear()
            most = count_requests(b"".join(pieces))
            with connect(server) as sock:
                try:
                    for piece in pieces:
                        sock.sendall(piece)
                    sock.shutdown(1)
                    received = receive_all(sock)
                except (BrokenPipeError, ConnectionResetError):
                    received = None  # it was refused early, and the rest was too much to be waited for
            if reads:
                assert len(answered) <= most
            if received is not None:
                codes = re.findall(rb"^HTTP/1\.1 (\d\d\d) ", received, re.MULTILINE)
                finals = [int(code) for code in codes if code >= b"200"]
                assert finals.count(200) <= most if reads else finals.count(200) <= most + 1
                assert len(finals) <= most + 1 and all(code < 500 or code in (501, 505) for code in finals)
                assert all(code == 200 for code in finals[:-1])

        changed()
