"""A chat in the browser: what one person writes, all others read at once.

    pip install 'greenio[websocket,wsgi]'
    python examples/websocket_chat.py --port 8000

Open http://127.0.0.1:8000/ in two windows. The page is websocket_chat.html. Ctrl-C tells everybody that the server goes
away, and ends.
"""

import argparse
import json
from pathlib import Path

import greenio
from greenio.queue import Full, Queue
from greenio.websocket import WebSocketError
from greenio.wsgi import WSGIServer

PAGE = Path(__file__).with_suffix(".html").read_bytes()
OUTBOX_LIMIT = 100  # messages that wait for somebody who reads slowly
MESSAGE_LIMIT = 4096  # bytes


class Person:
    """Somebody in the chat. What is said waits in an outbox, which one greenlet empties."""

    def __init__(self, websocket):
        self.websocket = websocket
        self.outbox = Queue(OUTBOX_LIMIT)

    def tell(self, message):
        """Have a message sent. Does not wait: one who does not read is thrown out, and holds up nobody."""
        try:
            self.outbox.put_nowait(message)
        except Full:
            greenio.spawn(self.websocket.close, 1008, "you read too slowly", timeout=1)

    def send_outbox(self):
        try:
            while True:
                self.websocket.send(self.outbox.get())
        except WebSocketError:
            pass  # they have left


class Chat:
    def __init__(self):
        self.people = set()

    def say(self, name, text):
        message = json.dumps({"name": name, "text": text})
        for person in list(self.people):
            person.tell(message)

    def join(self, websocket):
        """Have somebody take part until they leave. The first message is their name."""
        try:
            name = websocket.receive(timeout=30)
        except TimeoutError:
            name = None
        if not isinstance(name, str):
            websocket.close(1008, "your first message must be your name")
            return
        person = Person(websocket)
        sending = greenio.spawn(person.send_outbox)
        self.people.add(person)
        try:
            self.say(name, "has come")
            for text in websocket:
                self.say(name, text)
        finally:
            self.people.discard(person)
            sending.kill()
            self.say(name, "has left")

    def __call__(self, environ, start_response):
        """The WSGI application."""
        path = environ["PATH_INFO"]
        if path == "/chat" and "wsgi.websocket" in environ:
            self.join(environ["wsgi.websocket"])
            return []
        if path != "/":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"there is only a chat\n"]
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [PAGE]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    server = WSGIServer(("127.0.0.1", port), Chat(), log=None, websocket_max_size=MESSAGE_LIMIT)
    server.start()
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.stop(drain=5)


if __name__ == "__main__":
    main()
