"""Sockets, pipes and select: closed at random, from any place. Data that was sent arrives, once, at its reader."""

import gc
import os
from contextlib import contextmanager, suppress

from locks import BOUNDS, Bounded
from parts import Part
from plan import verb
from world import LIMIT, PAUSES, fault, has_ended, pause, seconds, started, was_killed

from greenio import get_hub, select, sleep, spawn
from greenio import os as greenio_os
from greenio.socket import SHUT_WR, create_connection, socket, socketpair, wait_read, wait_readwrite, wait_write

#: Places from which a descriptor is closed.
CLOSERS = ("here", "here", "greenlet", "thread", "pool", "hub thread")
#: The places that close it even if the greenlet that asks for it is killed meanwhile.
SURE_CLOSERS = ("here", "thread", "hub thread")
#: How a greenlet waits for a socket.
WAITS = ("recv", "recv", "recv_into", "wait_read", "wait_readwrite", "select", "poll")


#: The ways that wait for the descriptor's number -> the innermost Python function while they wait.
BY_NUMBER = {
    "wait_read": "wait_for",
    "wait_readwrite": "wait_for",
    "select": "_wait_readable",
    "poll": "_wait_readable",
}


@contextmanager
def pair():
    first, second = socketpair()
    try:
        yield first, second
    finally:
        first.close()
        second.close()


def close(closing, by):
    """Call `closing`, a function that closes something, in some thread; return when that is done."""

    def in_peace():
        # The greenlet that asked for it may have been killed meanwhile, and closed everything.
        with suppress(OSError):
            closing()

    if by == "here":
        closing()
    elif by == "greenlet":
        spawn(in_peace).join()
    elif by == "pool":
        get_hub().threadpool.apply(in_peace)
    else:
        work = in_peace if by == "thread" else lambda: spawn(in_peace).join()
        has_ended(started(work))


def wait_for(sock, how):
    """Wait until something can be read, without a limit. Raises OSError when the socket is closed."""
    if how in ("recv", "recv_into"):
        number, data = sock.fileno(), bytearray(10)
        if how == "recv":
            data = sock.recv(10)
        else:
            del data[sock.recv_into(data) :]
        if data and data != b"unread":
            fault("a reader got what was sent to another", f"{how} of {number}, now {sock.fileno()}: {data!r}")
    elif how == "wait_read":
        wait_read(sock.fileno())
    elif how == "wait_readwrite":
        wait_readwrite(sock.fileno())
    elif how == "select":
        select.select([sock], [], [])
    elif how == "poll":
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.poll()
    else:
        with sock.makefile("rb") as file:
            file.readline()


def waits_by_object(reader, how):
    """Whether a reader waits for the socket itself, and not for a number that may soon be another file's.

    A signal handler may let others run when the reader has asked for the number, and does not wait yet.
    """
    if how not in BY_NUMBER:
        return True
    frame = reader.gr_frame
    return frame is not None and frame.f_code.co_name == BY_NUMBER[how]


def waiting(sock, how, bound="none"):
    """Wait in one of the WAITS. An error that says the descriptor is closed is expected."""
    # The files that select() and makefile() get may be closed before they look.
    with suppress(OSError, ValueError), Bounded(bound):
        wait_for(sock, how)


class Sockets(Part):
    """Pairs of sockets, each of which only a few greenlets use."""

    weight = 4

    @verb(3, plain=False, pieces=(1, 3, 20), size=(1, 100, 70000), inside=PAUSES, bound=BOUNDS)
    def send(self, pieces, size, inside, bound):
        """Data that was sent arrives, in order and all of it."""
        received = []

        def receive(sock):
            with suppress(OSError):
                while data := sock.recv(65536):
                    received.append(data)

        sent = [bytes([number]) * size for number in range(pieces)]
        with pair() as (a, b):
            reader = spawn(receive, b)
            with Bounded(bound):
                for piece in sent:
                    a.sendall(piece)
                    pause(inside)
                a.shutdown(SHUT_WR)
                reader.join()
                if not was_killed(reader) and b"".join(received) != b"".join(sent):
                    fault("not what was sent", f"{sum(map(len, received))} bytes of {pieces * size}")

    @verb(3, plain=False, how=WAITS, by=CLOSERS, before=PAUSES, kept=(False, False, True))
    def close_under_a_reader(self, how, by, before, kept):
        """A greenlet that waits for a socket that is closed gets an error, even if a duplicate keeps the file open."""
        with pair() as (a, b):
            reader = spawn(waiting, b, how)
            pause("switch")
            pause(before)
            other = os.dup(b.fileno()) if kept else None
            try:
                waits = waits_by_object(reader, how)
                close(b.close, by)
                if kept:
                    with suppress(OSError):
                        a.send(b"unread")
                self.must_end(reader, f"{how}, closed by {by}, kept: {kept}", waits)
            finally:
                if other is not None:
                    os.close(other)

    def must_end(self, reader, text, waits=True):
        if not waits:
            reader.kill(block=False)
        reader.join(timeout=LIMIT / 2)
        if not reader.dead:
            fault("a reader of a closed socket is not told", text)
            reader.kill(block=False)

    @verb(2, plain=False, how=WAITS, readers=(2, 5), by=CLOSERS)
    def close_under_many(self, how, readers, by):
        with pair() as (_, b):
            each = [spawn(waiting, b, how, "none") for _ in range(readers)]
            pause("switch")
            waits = [waits_by_object(reader, how) for reader in each]
            close(b.close, by)
            for reader, does_wait in zip(each, waits, strict=True):
                self.must_end(reader, f"{how}, one of {readers}, closed by {by}", does_wait)

    @verb(2, plain=False, by=CLOSERS, before=PAUSES)
    def close_under_a_writer(self, by, before):
        def write(sock):
            with suppress(OSError):
                sock.sendall(bytes(1_000_000))

        with pair() as (a, _):
            writer = spawn(write, a)
            pause("switch")
            pause(before)
            close(a.close, by)
            self.must_end(writer, f"sendall, closed by {by}")

    # close_under_a_reader() leaves out makefile(): such a socket is closed only when its file is.
    @verb(2, plain=False, how=(*WAITS, "makefile"), by=CLOSERS)
    def close_the_peer(self, how, by):
        with pair() as (a, b):
            reader = spawn(waiting, b, how)
            pause("switch")
            close(a.close, by)
            reader.join(timeout=LIMIT / 2)
            if not reader.dead:
                fault("the end of the peer is not told", how)
                reader.kill(block=False)

    @verb(2, plain=False, how=("recv", "recv_into", "wait_read", "wait_readwrite"), inside=PAUSES)
    def close_the_number(self, how, inside):
        """Close the number without the library's knowledge: the next file may get the same number."""

        def receive(sock, got):
            with suppress(OSError):
                got.append(sock.recv(1))

        a, b = socketpair()
        reader = spawn(waiting, b, how, "tick")
        try:
            pause("switch")
            os.close(b.fileno())
            b.detach()
            with pair() as (c, d):
                got = []
                own = spawn(receive, d, got)
                pause(inside)
                c.send(b"n")
                own.join(timeout=LIMIT / 2)
                if not was_killed(own) and got != [b"n"]:
                    fault("the next file's reader got something else", f"{got}, {how}")
            reader.join()
        finally:
            a.close()
            if b.fileno() >= 0:
                b.close()

    @verb(
        2,
        plain=False,
        how=("recv", "recv_into", "wait_read", "wait_readwrite"),
        inside=PAUSES,
        by=("here", "thread", "hub thread"),
    )
    def put_over(self, how, inside, by):
        """Put another file in the place of the socket's with dup2()."""
        with pair() as (_, b):
            reader = spawn(waiting, b, how, "tick")
            pause("switch")
            nothing = os.open(os.devnull, os.O_RDONLY)
            try:
                close(lambda: os.dup2(nothing, b.fileno(), inheritable=False), by)
            finally:
                os.close(nothing)
            pause(inside)
            reader.join()

    @verb(plain=False, how=("wait_read", "wait_readwrite"))
    def collect(self, how):
        """Wait for the number of a socket that the collector closes meanwhile."""
        a, b = socketpair()
        number = b.fileno()

        def wait_in_time():
            with suppress(OSError), Bounded("tick"):
                (wait_read if how == "wait_read" else wait_readwrite)(number)

        try:
            reader = spawn(wait_in_time)
            pause("switch")
            del b
            gc.collect(0)
            reader.join()
        finally:
            a.close()

    @verb(plain=False, times=(1, 3), inside=PAUSES)
    def dup(self, times, inside):
        """Two sockets on one file: each byte is received once, by one of the two."""
        received, errors = [], []

        def receive(sock):
            try:
                while data := sock.recv(1):
                    received.append(data)
            except OSError as error:
                errors.append(error)

        with pair() as (a, b):
            other = b.dup()
            readers = [spawn(receive, b), spawn(receive, other)]
            try:
                for _ in range(times):
                    a.send(b"x")
                    pause(inside)
                a.shutdown(SHUT_WR)
                for reader in readers:
                    self.must_end(reader, "one of two on one file")
            finally:
                other.close()
            if not any(map(was_killed, readers)) and len(received) != times:
                fault("not what was sent", f"{len(received)} of {times} on two sockets of one file; {errors}")

    @verb(plain=False, timeout=(0, 0.0005, "tick"), inside=PAUSES)
    def time_out(self, timeout, inside):
        def write(sock):
            pause(inside)
            with suppress(OSError):
                sock.send(b"x")

        with pair() as (a, b):
            b.settimeout(seconds(timeout))
            writer = spawn(write, a)
            with suppress(TimeoutError, BlockingIOError):
                b.recv(1)
            writer.kill(block=False)

    @verb(2, plain=False, clients=(1, 3), by=CLOSERS, before=PAUSES)
    def listen(self, clients, by, before):
        listener = socket()
        accepted = []

        def accept():
            with suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        def connect(address):
            with suppress(OSError), create_connection(address, timeout=LIMIT) as sock:
                # When nobody listens at the port any more, the socket may connect to itself.
                if sock.getsockname() != sock.getpeername():
                    sock.recv(1)

        try:
            listener.bind(("127.0.0.1", 0))
            listener.listen(10)
            server = spawn(accept)
            others = [spawn(connect, listener.getsockname()) for _ in range(clients)]
            pause(before)
            close(listener.close, by)
            self.must_end(server, f"accept, closed by {by}")
            for other in others:
                other.kill()
        finally:
            listener.close()
            for sock in accepted:
                sock.close()

    @verb(plain=False, by=("os.close", "greenio.os.close"), inside=PAUSES)
    def pipe(self, by, inside):
        reading, writing = os.pipe()
        got = []

        def read():
            with suppress(OSError), Bounded("tick"):
                got.append(greenio_os.read(reading, 10))

        def close_both(_=None):
            for number in (reading, writing):
                (os.close if by == "os.close" else greenio_os.close)(number)

        reader = None
        try:
            reader = spawn(read)
            pause(inside)
            greenio_os.write(writing, b"x")
            reader.join()
            if got not in ([], [b"x"]):
                fault("not what was written", repr(got))
        finally:
            # Not while the reader waits for the number: it would read from the file that gets the number next.
            if reader is None or reader.dead:
                close_both()
            else:
                # A finalizer in the reader may have caught the reader's Timeout.
                os.write(writing, b"x")
                reader.rawlink(close_both)

    @verb(plain=False, kind=("select", "poll", "epoll"), timeout=(0, 0.0005, "tick"), ready=(False, True))
    def select(self, kind, timeout, ready):
        with pair() as (a, b), pair() as (c, d):
            if ready:
                c.send(b"x")
            timeout = seconds(timeout)
            if kind == "select":
                found = [sock.fileno() for sock in select.select([b, d], [], [], timeout)[0]]
            elif kind == "poll":
                poll = select.poll()
                poll.register(b, select.POLLIN)
                poll.register(d, select.POLLIN)
                found = [number for number, _ in poll.poll(timeout * 1000)]
            else:
                with select.epoll() as epoll:
                    epoll.register(b, select.EPOLLIN)
                    epoll.register(d, select.EPOLLIN)
                    found = [number for number, _ in epoll.poll(timeout)]
            if found != ([d.fileno()] if ready else []):
                fault(f"{kind}() has not what is ready", f"{found}, ready: {ready}")
            a.close()

    @verb(plain=False)
    def wait_write(self):
        with pair() as (a, _):
            wait_write(a.fileno(), timeout=LIMIT)
            sleep(0)


KINDS = [Sockets]
