"""Calls that need not wait, made again and again, let others run."""

import contextlib
import errno
import os
import select

import pytest
from hub import get_hub

import greenio.os
import greenio.select
from greenio import joinall, sleep, socket, spawn
from greenio.fileobject import open_pipe
from greenio.queue import Empty, Full, LifoQueue, PriorityQueue, Queue, SimpleQueue

MANY = 200_000  # calls, which take much longer than the switch interval


@pytest.fixture(autouse=True)
def short_interval(set_switch_interval):
    set_switch_interval(0.0001)


def run_beside(call, many=MANY):
    """Call `call()` again and again; fail if another greenlet does not get to run meanwhile."""
    ran = []
    other = spawn(ran.append, True)
    try:
        for _ in range(many):
            call()
            if ran:
                return
    finally:
        other.kill()
    pytest.fail(f"no other greenlet ran during {many} calls")


@pytest.fixture
def always_writable():
    """A connected UDP socket that can always send: the system drops datagrams when its peer's queue is full."""
    with socket.socket(type=socket.SOCK_DGRAM) as peer, socket.socket(type=socket.SOCK_DGRAM) as sender:
        peer.bind(("127.0.0.1", 0))
        sender.connect(peer.getsockname())
        yield sender


@pytest.mark.parametrize(
    "receive",
    [
        lambda sock: sock.recv(1, socket.MSG_PEEK),
        lambda sock: sock.recv(100_000, socket.MSG_PEEK),
        lambda sock: sock.recv_into(bytearray(1), 0, socket.MSG_PEEK),
        lambda sock: sock.recvfrom(1, socket.MSG_PEEK),
        lambda sock: sock.recvmsg(1, 0, socket.MSG_PEEK),
    ],
)
def test_receiving_lets_others_run(pair, receive):
    left, right = pair
    left.send(b"there for ever")
    run_beside(lambda: receive(right))


def test_receiving_lets_others_run_after_a_receive_that_took_all_data(pair):
    left, right = pair
    left.send(b"first")
    assert right.recv(100) == b"first"  # less than was asked for: the next receive waits before it asks
    left.send(b"there for ever")
    run_beside(lambda: right.recv(1, socket.MSG_PEEK))


@pytest.mark.parametrize("name", ["send", "sendall"])
def test_sending_lets_others_run(always_writable, name):
    run_beside(lambda: getattr(always_writable, name)(b"x"))


def test_sending_datagrams_lets_others_run(always_writable):
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        run_beside(lambda: sender.sendto(b"x", always_writable.getpeername()))


def test_accepting_lets_others_run(set_switch_interval):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(100)]
        accepted = []
        set_switch_interval(0.00001)
        try:
            run_beside(lambda: accepted.append(listener.accept()[0]), len(clients))
        finally:
            for sock in clients + accepted:
                sock.close()


def test_nonblocking_calls_do_not_switch(pair):
    left, right = pair
    left.send(b"there for ever")
    right.setblocking(False)
    ran = []
    other = spawn(ran.append, True)
    for _ in range(10_000):
        right.recv(1, socket.MSG_PEEK)
    assert not ran
    other.kill()


def test_a_kill_before_a_receive_loses_no_data(pair):
    left, right = pair
    left.sendall(b"x" * 10_000)
    received = []

    def receive():
        while True:
            received.append(right.recv(1))

    job = spawn(receive)
    sleep(0)
    assert job.dead or len(received) < 10_000, "the receiver did not let others run"
    job.kill()
    received.append(right.recv(10_000))
    assert sum(map(len, received)) == 10_000


def test_a_kill_before_a_poll_loses_no_edge(pair):
    left, right = pair
    written, found = [], []
    with greenio.select.epoll() as epoll:
        epoll.register(right, select.EPOLLIN | select.EPOLLET)

        def poll():
            while True:
                written.append(os.write(left.fileno(), b"x"))
                found.extend(epoll.poll(0))
                os.read(right.fileno(), 1)

        job = spawn(poll)
        sleep(0)
        job.kill()
        found.extend(epoll.poll(0))
    assert len(found) == len(written) > 1


def drained(client):
    """Read until the other end is closed. From OpenSSL 3.6 on that can be a BrokenPipeError, as natively."""
    with contextlib.suppress(BrokenPipeError):
        while client.recv(65536):
            pass


def test_tls_lets_others_run(pair, server_context, client_context):
    left, right = pair
    job = spawn(server_context.wrap_socket, left, server_side=True)
    with client_context.wrap_socket(right, server_hostname="localhost") as client, job.get() as server:
        reader = spawn(server.recv, 1)  # when it has received, both ends are done with the handshake
        client.sendall(b"x" * 16_000)
        reader.get()
        run_beside(lambda: server.recv(1), 15_000)
        drain = spawn(drained, client)
        run_beside(lambda: server.send(b"x"))
        server.close()
        drain.get()


def test_tls_that_is_closed_in_the_middle_writes_into_no_other_file(
    pair, tmp_path, set_switch_interval, server_context, client_context
):
    left, right = pair
    job = spawn(server_context.wrap_socket, left, server_side=True)
    with client_context.wrap_socket(right, server_hostname="localhost") as client, job.get():
        set_switch_interval(0.000001)
        sending = spawn(lambda: [client.sendall(b"x" * 100) for _ in range(60)])
        sending.reports_errors = False
        sleep(0)
        assert not sending.dead
        number = client.fileno()
        client.close()
        with (tmp_path / "other").open("wb") as other:
            assert other.fileno() == number
            sending.join()
        assert (tmp_path / "other").read_bytes() == b""
        assert sending.exception.errno == errno.EBADF


@pytest.mark.parametrize("own", [False, True])
def test_files_on_devices_let_others_run(own):
    with open_pipe(os.open("/dev/zero", os.O_RDONLY), "rb", 0, own=own) as source:
        run_beside(lambda: source.read(1))
    with open_pipe(os.open("/dev/null", os.O_WRONLY), "wb", 0, own=own) as sink:
        run_beside(lambda: sink.write(b"x"))


@pytest.mark.parametrize("own", [False, True])
def test_greenlets_that_print_into_one_file_do_not_meet_in_its_buffer(own, set_switch_interval):
    set_switch_interval(0.000001)
    with open_pipe(os.open("/dev/null", os.O_WRONLY), "w", 1, own=own) as sink:

        def write():
            for _ in range(100):
                print("line", file=sink)

        joinall([spawn(write) for _ in range(2)], raise_error=True)


def test_greenlets_that_write_into_one_file_of_a_socket_do_not_meet_in_its_buffer(always_writable, set_switch_interval):
    set_switch_interval(0.000001)
    with always_writable.makefile("wb", 1) as sink:

        def write():
            for _ in range(100):
                sink.write(b"line")

        joinall([spawn(write) for _ in range(2)], raise_error=True)


@pytest.mark.parametrize("own", [False, True])
def test_a_file_that_is_closed_meanwhile_writes_into_no_other_file(own, tmp_path, set_switch_interval):
    set_switch_interval(0.000001)
    sink = open_pipe(os.open("/dev/null", os.O_WRONLY), "wb", 0, own=own)

    def write():
        with pytest.raises(ValueError, match="closed"):
            while True:
                sink.write(b"x")

    job = spawn(write)
    sleep(0)
    number = sink.fileno()
    sink.close()
    with (tmp_path / "other").open("wb") as other:
        assert other.fileno() == number
        job.get()
    assert (tmp_path / "other").read_bytes() == b""


def test_reading_and_writing_descriptors_lets_others_run():
    counter = os.eventfd(1_000_000, os.EFD_SEMAPHORE)
    sink = os.open("/dev/null", os.O_WRONLY)
    try:
        run_beside(lambda: greenio.os.read(counter, 8))
        run_beside(lambda: greenio.os.write(sink, b"x"))
    finally:
        os.close(counter)
        os.close(sink)


def test_select_lets_others_run(pair):
    left, right = pair
    left.send(b"there for ever")
    run_beside(lambda: greenio.select.select([right], [], [], 0))
    polled = greenio.select.poll()
    polled.register(right, select.POLLIN)
    run_beside(polled.poll)


@pytest.mark.parametrize("what", ["asyncio", "executor", "killed executor"])
def test_patched_loops_and_executors_let_others_run(run_script, what):
    assert run_script("patching/never_waits.py", what) == "all done\n"


@pytest.mark.parametrize("hub, there", [("hub", True), ("none", False)])
def test_calls_at_the_end_of_the_interpreter_make_no_hub(run_script, hub, there):
    """At the end of the interpreter no other greenlet runs, and no hub is made."""
    assert run_script("fair_at_the_end.py", hub) == f"{there}\nfinalized\n"


@pytest.fixture(params=[Queue, LifoQueue, PriorityQueue, SimpleQueue])
def queue(request):
    return request.param(1)


def test_getting_from_a_queue_lets_others_run(queue):
    def get():
        queue.put_nowait(1)
        queue.get()

    run_beside(get)


def test_failing_gets_from_a_queue_let_others_run(queue):
    def look():
        with pytest.raises(Empty):
            queue.get_nowait()

    run_beside(look)

    def look():
        with pytest.raises(Empty):
            queue.get(block=False)

    run_beside(look)


def test_failing_puts_into_a_queue_let_others_run(queue):
    queue.put(1)

    def look():
        with pytest.raises(Full):
            queue.put_nowait(2)

    run_beside(look)

    def look():
        with pytest.raises(Full):
            queue.put(2, block=False)

    run_beside(look)


@pytest.mark.parametrize("name", ["empty", "full", "qsize"])
def test_asking_a_queue_for_its_size_lets_others_run(queue, name):
    run_beside(getattr(queue, name))
    queue.put(1)
    run_beside(getattr(queue, name))


def test_a_failing_get_looks_again_after_others_have_run(queue):
    """A greenlet puts an item while get_nowait() lets others run: get_nowait() returns the item."""
    other = spawn(queue.put, "come in the meantime")
    for _ in range(MANY):
        try:
            assert queue.get_nowait() == "come in the meantime"
            break
        except Empty:
            assert not other.dead
    else:
        pytest.fail("nobody put anything")


def test_puts_and_gets_that_succeed_do_not_switch(queue):
    ran = []
    other = spawn(ran.append, True)
    for _ in range(10_000):
        queue.put_nowait(1)
        queue.get_nowait()
    assert not ran
    other.kill()


def test_a_queue_does_not_switch_within_a_comparison_of_its_items():
    """Others would find the queue in use, and take it for empty."""

    class Item:
        def __lt__(self, other):
            for _ in range(10_000):
                queue.empty()
            return False

    queue = PriorityQueue(items=[Item()])
    found = []

    def look():
        try:
            found.append(queue.get_nowait())
        except Empty as error:
            found.append(error)

    other = spawn(look)
    queue.put(Item())
    other.join()
    assert isinstance(found[0], Item)


def test_every_ready_greenlet_has_a_turn_before_the_loop_looks_again(set_switch_interval):
    """Otherwise the loop would find the same descriptors ready again, and stop watching those whose greenlet waits."""
    set_switch_interval(0.000001)
    pairs = [socket.socketpair() for _ in range(100)]
    watched = []

    def receive(sock):
        sock.recv(1)
        with open(f"/proc/self/fdinfo/{get_hub().loop.fileno()}") as told:
            watched.append(f"tfd: {sock.fileno():8} " in told.read())

    handlers = [spawn(receive, left) for left, _ in pairs]
    sleep(0)
    for _, right in pairs:
        right.send(b"x")
    for handler in handlers:
        handler.join()
    for left, right in pairs:
        left.close()
        right.close()
    assert watched == [True] * len(pairs)
