"""A WebSocket of greenio.wsgi that a test uses, and its peer, which is a raw client."""

from contextlib import contextmanager

from raw_http import serving
from raw_websocket import peer_of
from waiting import let_others_run

from greenio import spawn
from greenio.event import AsyncResult, Event


@contextmanager
def peer_and_websocket(*lines, **arguments):
    """Yield a peer, and the server's WebSocket with it. The handler of the request waits until the block ends."""
    given, over = AsyncResult(), Event()

    def application(environ, start_response):
        websocket = environ["wsgi.websocket"]
        websocket.accept()
        given.set(websocket)
        over.wait()

    with serving(application, **arguments) as server:
        with peer_of(server, *lines) as peer:
            websocket = given.get(timeout=30)
            try:
                yield peer, websocket
            finally:
                peer.sock.close()
                over.set()


def send_until_full(websocket, size=1 << 16):
    """Send messages in greenlets until one of them waits; return that one.

    `size`: the size of the messages, or a function that makes a message.
    """
    for _ in range(1000):
        job = spawn(websocket.send, size() if callable(size) else b"x" * size)
        job.reports_errors = False
        let_others_run()
        if not job.ready() or not job.successful():
            return job
    raise AssertionError("the system takes all messages")
