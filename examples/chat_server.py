"""A chat server: rooms, clients that read too slowly, and a clean stop.

A client sends lines. The first is its name; "/join ROOM" takes it to another room; every other line goes to all others
in its room. Try it with: nc 127.0.0.1 PORT

python examples/chat_server.py [--port 7000]
"""

import argparse
import contextlib
import signal
import sys

import greenio
from greenio import socket
from greenio.queue import Full, Queue, ShutDown
from greenio.server import StreamServer

CLIENTS = 1000
LINE_LIMIT = 4096  # bytes of a line
OUTBOX_LIMIT = 100  # lines that wait for a client
SEND_TIMEOUT = 10  # seconds that a line may take to be sent


class Client:
    """A connection. What it is told waits in its outbox, which one greenlet empties."""

    def __init__(self, sock):
        self.sock = sock
        self.name = self.room = None
        self.outbox = Queue(OUTBOX_LIMIT)

    def tell(self, text):
        """Have a line sent. Does not wait: a client that does not read is thrown out, and holds up nobody."""
        try:
            self.outbox.put_nowait(text)
        except Full:
            print(f"{self.name} reads too slowly", flush=True)
            self.outbox.shutdown(immediate=True)
        except ShutDown:
            pass  # it is on its way out

    def send_outbox(self):
        """Send what the outbox has until it is shut down, and end the connection then."""
        try:
            while True:
                line = f"{self.outbox.get()}\n".encode()
                # Not a timeout of the socket: the client may be silent for as long as it likes.
                with greenio.fail_after(SEND_TIMEOUT):
                    self.sock.sendall(line)
        except (ShutDown, OSError):
            pass
        finally:
            self.outbox.shutdown(immediate=True)
            with contextlib.suppress(OSError):  # it may have gone already
                self.sock.shutdown(socket.SHUT_RDWR)  # wakes the greenlet that reads from it

    def lines(self):
        """The lines that it sends, until it goes."""
        with self.sock.makefile("rb") as file:
            while line := file.readline(LINE_LIMIT):
                yield line.decode("utf-8", "replace").strip()


class Chat:
    """The rooms, and who is in them."""

    def __init__(self):
        self.rooms = {}
        self.clients = set()

    def handle(self, sock, address):
        """Serve a client: this greenlet reads, another one sends."""
        client = Client(sock)
        self.clients.add(client)
        sender = greenio.spawn(client.send_outbox)
        try:
            self.talk(client)
        except OSError:
            pass  # its connection broke
        finally:
            self.clients.discard(client)
            self.leave(client)
            try:
                client.outbox.shutdown()  # what is in it is still sent
                sender.join()
            finally:
                sender.kill()

    def talk(self, client):
        client.tell("your name?")
        for line in client.lines():
            if client.name is None:
                client.name = line
                self.join(client, "hall")
            elif line.startswith("/join "):
                self.leave(client)
                self.join(client, line.removeprefix("/join "))
            else:
                self.say(client.room, f"{client.name}: {line}", client)

    def join(self, client, room):
        client.room = room
        self.rooms.setdefault(room, set()).add(client)
        self.say(room, f"* {client.name} is in {room}")

    def leave(self, client):
        room, client.room = client.room, None
        if room is not None:
            self.rooms[room].discard(client)
            self.say(room, f"* {client.name} has left {room}")
            if not self.rooms[room]:
                del self.rooms[room]

    def say(self, room, text, speaker=None):
        """Tell all in a room but the speaker."""
        for client in self.rooms[room] - {speaker}:
            client.tell(text)

    def stop(self, server):
        """Accept nobody any more, say goodbye, and give the handlers five seconds to send it."""
        server.stop_accepting()
        for client in list(self.clients):
            client.tell("* the server stops")
            client.outbox.shutdown()
        server.stop(timeout=5)


def main():
    parser = argparse.ArgumentParser(description="A chat server.")
    parser.add_argument("--port", type=int, default=7000, help="0 for any; default: %(default)s")
    options = parser.parse_args()
    chat = Chat()
    server = StreamServer(("127.0.0.1", options.port), chat.handle, spawn=CLIENTS)
    for signum in (signal.SIGINT, signal.SIGTERM):
        greenio.signal_handler(signum, chat.stop, server)
    try:
        server.start()
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
    print(f"chat on 127.0.0.1:{server.server_port}; try: nc 127.0.0.1 {server.server_port}", flush=True)
    server.serve_forever()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
