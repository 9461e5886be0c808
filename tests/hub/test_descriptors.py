"""Descriptors that are closed or replaced behind the hub's back: no abort, no hang, and the next file is served."""

import errno
import os
import queue
import resource
import signal
import socket as standard
import subprocess
import sys
import tempfile
import threading

import pytest
from waiting import in_thread, let_others_run, until, until_waiting

from greenio import Timeout, get_hub, joinall, kill, sleep, spawn
from greenio.fileobject import FileObject
from greenio.os import close as os_close
from greenio.socket import close as socket_close
from greenio.socket import socket, socketpair, wait_read, wait_readwrite, wait_write


def plain_pair():
    return standard.socketpair()


def test_the_number_is_used_again_by_another_file():
    """os.close() closes a registered descriptor, and another file gets the number: the loop watches the new file."""
    ours, theirs = socketpair()
    theirs.send(b"x")
    assert ours.recv(10) == b"x"
    with pytest.raises(TimeoutError):
        ours.settimeout(0.001)
        ours.recv(1)  # registered now, and stays so
    number = ours.fileno()
    plain, other = plain_pair()
    os.close(number)
    os.dup2(plain.fileno(), number)
    again = socket(fileno=number)
    again.settimeout(5)
    reader = spawn(again.recv, 10)
    until_waiting(reader)
    other.send(b"new")
    assert reader.get(timeout=5) == b"new"
    ours.detach()
    again.close()
    for sock in (theirs, plain, other):
        sock.close()


def test_closed_behind_a_waiting_reader():
    """The kernel drops the registration without telling anybody. The waiter can be killed, and the loop goes on."""
    ours, theirs = plain_pair()
    reader = spawn(wait_read, ours)
    until_waiting(reader)
    os.close(ours.detach())
    let_others_run()
    reader.kill(timeout=5)
    assert reader.dead
    theirs.close()


def test_closed_between_two_directions():
    """Changing the registration of a closed descriptor must not reach libuv's abort()."""
    ours, theirs = plain_pair()
    number = ours.fileno()
    reader = spawn(wait_read, number)
    until_waiting(reader)
    os.close(number)
    writer = spawn(wait_write, number, 5)
    get_hub().exception_stream = None
    try:
        writer.join(5)
    finally:
        del get_hub()._exception_stream
    assert isinstance(writer.exception, OSError) and writer.exception.errno == errno.EBADF
    reader.kill(timeout=5)
    ours.detach()
    theirs.close()


def test_a_closed_descriptor_is_an_error_at_once():
    number = os.dup(0)
    os.close(number)
    for function in (wait_read, wait_write, wait_readwrite):
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            function(number, 1)
        assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("bad", [-1, -100])
def test_negative_descriptors_are_refused(bad):
    with pytest.raises(ValueError, match="negative"):
        wait_read(bad)


def test_regular_files_are_always_ready():
    with tempfile.TemporaryFile() as file:
        wait_read(file, 5)
        wait_write(file, 5)
        wait_readwrite(file, 5)
        with pytest.raises(OSError, match="always ready"), get_hub().loop.io(file.fileno(), 1) as watcher:
            watcher.start(print)


def test_waiting_leaves_the_nonblocking_flag_alone():
    """O_NONBLOCK belongs to the open file, which other processes may share."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    assert os.get_blocking(read_end)
    wait_read(read_end, 5)
    assert os.get_blocking(read_end)
    assert os.read(read_end, 1) == b"x"
    with pytest.raises(TimeoutError):
        wait_read(read_end, 0.001)
    assert os.get_blocking(read_end)
    os.close(read_end)
    os.close(write_end)


def test_a_duplicate_keeps_the_file_open():
    """A descriptor is closed while its duplicate is open: events of the old file must not reach the next one."""
    ours, theirs = socketpair()
    with pytest.raises(TimeoutError):
        ours.settimeout(0.001)
        ours.recv(1)
    duplicate = os.dup(ours.fileno())
    ours.close()
    theirs.send(b"stale")
    hub = get_hub()
    before = hub.switches
    sleep(0.02)
    assert hub.switches - before < 50, "the loop spins on a registration that nobody wants"
    os.close(duplicate)
    theirs.close()


def test_descriptors_with_high_numbers_are_waited_for():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the hard limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    ours, theirs = plain_pair()
    try:
        high = socket(fileno=os.dup2(ours.fileno(), 2500))
        reader = spawn(high.recv, 5)
        sleep(0)
        theirs.send(b"high")
        assert reader.get(timeout=5) == b"high"
        high.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ours.close()
        theirs.close()


def test_two_socket_objects_on_one_descriptor():
    ours, theirs = socketpair()
    second = socket(fileno=ours.fileno())
    readers = [spawn(ours.recv, 1), spawn(second.recv, 1)]
    sleep(0)
    theirs.send(b"a")
    until(lambda: any(reader.ready() for reader in readers))
    theirs.send(b"b")
    assert sorted(g.get(timeout=5) for g in readers) == [b"a", b"b"]
    second.detach()
    ours.close()
    theirs.close()


def test_waiters_are_served_in_order():
    ours, theirs = socketpair()
    served = []

    def read(number):
        served.append((number, ours.recv(1)))

    readers = [spawn(read, number) for number in range(10)]
    sleep(0)
    for _ in range(10):
        theirs.send(b"x")
        sleep(0.001)
    joinall(readers, timeout=5)
    assert [number for number, _ in served] == list(range(10))
    ours.close()
    theirs.close()


def test_a_waiter_that_leaves_passes_its_turn_on():
    ours, theirs = socketpair()
    first, second, third = (spawn(ours.recv, 1) for _ in range(3))
    sleep(0)
    theirs.send(b"12")
    kill(first)
    second_timeout = spawn(second.kill)
    assert third.get(timeout=5) in (b"1", b"2")
    joinall([first, second, second_timeout], timeout=5)
    assert first.dead and second.dead
    ours.close()
    theirs.close()


def test_both_directions_at_once():
    ours, theirs = socketpair()
    block = b"x" * 65536
    sent = spawn(ours.sendall, block * 50)
    received = spawn(ours.recv, 10)
    until_waiting(sent, received)
    theirs.sendall(b"back")
    assert received.get(timeout=5) == b"back"
    total = 0
    while total < len(block) * 50:
        total += len(theirs.recv(1 << 20))
    sent.get(timeout=5)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("direction", ["read", "write"])
def test_closing_wakes_the_waiters(direction):
    ours, theirs = socketpair()
    get_hub().exception_stream = None
    try:
        if direction == "read":
            waiters = [spawn(ours.recv, 1) for _ in range(3)]
        else:
            waiters = [spawn(ours.sendall, b"x" * 10_000_000) for _ in range(3)]
        until_waiting(*waiters)
        ours.close()
        joinall(waiters, timeout=5)
    finally:
        del get_hub()._exception_stream
    assert [waiter.exception.errno for waiter in waiters] == [errno.EBADF] * 3
    with pytest.raises(OSError) as caught:
        ours.recv(1)
    assert caught.value.errno == errno.EBADF
    theirs.close()


def test_detach_wakes_the_waiters_and_keeps_the_descriptor():
    ours, theirs = socketpair()
    get_hub().exception_stream = None
    try:
        waiter = spawn(ours.recv, 1)
        sleep(0)
        number = ours.detach()
        waiter.join(5)
    finally:
        del get_hub()._exception_stream
    assert waiter.exception.errno == errno.EBADF
    plain = standard.socket(fileno=number)
    theirs.send(b"x")
    plain.setblocking(True)
    assert plain.recv(1) == b"x"
    plain.close()
    theirs.close()


def test_a_reset_ends_waits_in_both_directions():
    server = standard.create_server(("127.0.0.1", 0))
    client = socket()
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    reader = spawn(client.recv, 1)
    sleep(0)
    accepted.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    get_hub().exception_stream = None
    try:
        accepted.close()
        reader.join(5)
    finally:
        del get_hub()._exception_stream
    assert isinstance(reader.exception, ConnectionResetError)
    client.close()
    server.close()


def test_a_pyuv_handle_on_the_same_descriptor_is_a_clear_error():
    from hub import pyuv

    ours, theirs = socketpair()
    hub = get_hub()
    theirs_handle = pyuv.Poll(hub.loop.uv, ours.fileno())
    theirs_handle.start(pyuv.UV_READABLE, lambda *args: None)
    sleep(0.001)
    with pytest.raises(OSError, match="cannot be waited for") as caught, Timeout(5):
        ours.recv(1)
    assert caught.value.errno == errno.EEXIST
    theirs_handle.stop()
    theirs_handle.close()
    sleep(0)
    ours.settimeout(0.001)
    with pytest.raises(TimeoutError):
        ours.recv(1)
    ours.close()
    theirs.close()


def test_timeouts_share_a_timer():
    """A long timeout leaves a timer running; a shorter one that begins later still ends in time."""
    ours, theirs = socketpair()
    ours.settimeout(60)
    theirs.send(b"x")
    sleep(0)
    spawn(theirs.send, b"y")
    assert ours.recv(1) + ours.recv(1) == b"xy"
    ours.settimeout(0.005)
    with pytest.raises(TimeoutError, match="timed out"):
        ours.recv(1)
    ours.settimeout(60)
    spawn(theirs.send, b"z")
    assert ours.recv(1) == b"z"
    ours.close()
    theirs.close()


def test_a_stale_registration_does_not_hide_the_next_file():
    """A socket that a system call closes leaves its registration: the next wait for the number registers anew."""
    for wait in (wait_read, wait_readwrite):
        ours, theirs = socketpair()
        ours.settimeout(0.001)
        with pytest.raises(TimeoutError):
            ours.recv(1)
        number = ours.fileno()
        plain, other = plain_pair()
        os.dup2(plain.fileno(), number)  # closes the old file, without saying so
        reader = spawn(wait, number)
        let_others_run()
        other.send(b"x")
        reader.get(timeout=5)
        assert os.read(number, 1) == b"x"
        for sock in (ours, theirs, plain, other):
            sock.close()


@pytest.mark.parametrize("how", ["close", "os"])
def test_wait_readwrite_of_a_descriptor_that_is_closed(how):
    ours, theirs = socketpair()
    ours.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)  # full: not writable either
    waiter = spawn(wait_readwrite, ours)
    waiter.reports_errors = False
    sleep(0)
    number = ours.fileno()
    if how == "os":
        get_hub().loop.closing_fd(number)  # what greenio's own os.close() does
    else:
        ours.close()
    with pytest.raises(OSError) as caught:
        waiter.get(timeout=5)
    assert caught.value.errno == errno.EBADF
    ours.close()
    theirs.close()


def test_wait_readwrite_of_a_socket_that_is_detached():
    """The descriptor stays open, so the wait for it goes on."""
    ours, theirs = socketpair()
    waiter = spawn(wait_readwrite, ours)
    sleep(0)
    number = ours.detach()
    theirs.send(b"x")
    waiter.get(timeout=5)
    os.close(number)
    theirs.close()


def test_a_watcher_is_told_that_its_descriptor_is_closed():
    ours, theirs = socketpair()
    seen = []
    with get_hub().loop.io(ours.fileno(), 1) as watcher:
        watcher.start(lambda events: seen.append(events), pass_events=True)
        let_others_run()
        number = ours.fileno()
        ours.close()
        until(lambda: seen)
        assert seen == [1 | 4]
        again, other = socketpair()
        assert number in (again.fileno(), other.fileno())
        reader = spawn(again.recv, 1)
        sleep(0)
        other.send(b"x")
        again.send(b"y")
        assert reader.get(timeout=5) == b"x" and other.recv(1) == b"y"
        let_others_run()
        assert seen == [5], "the watcher fired for the next file with its number"
    for sock in (theirs, again, other):
        sock.close()


@pytest.mark.parametrize("waiting", ["socket", "wait_read", "other object"])
def test_closed_in_another_thread_and_the_number_used_again(waiting):
    """Waiters for the old file get EBADF. A waiter for the new file does not, though it came before the loop knew."""
    ours, theirs = socketpair()
    number = ours.fileno()
    twin = socket(fileno=number)
    waits = {"socket": lambda: ours.recv(1), "wait_read": lambda: wait_read(ours), "other object": lambda: twin.recv(1)}
    with pytest.raises(Timeout), Timeout(0.001):
        ours.recv(1)  # this thread's loop knows it
    old = spawn(waits[waiting])
    old.reports_errors = False
    sleep(0)
    in_thread(ours.close)  # this thread's hub will hear of it
    new, other = socketpair()
    assert number in (new.fileno(), other.fileno())
    if number != new.fileno():
        new, other = other, new
    newer = [spawn(new.recv, 1), spawn(wait_read, new)]
    other.send(b"x")
    with pytest.raises(OSError) as caught:
        old.get(timeout=5)
    assert caught.value.errno == errno.EBADF
    other.send(b"y")
    assert newer[0].get(timeout=5) == b"x" and newer[1].get(timeout=5) is None
    twin.detach()
    for sock in (new, other, theirs):
        sock.close()


def test_closed_here_while_another_thread_waits():
    """Each thread's loop has a watch of its own; closing the descriptor wakes the waiters of all."""
    ours, theirs = socketpair()
    waits, outcomes = threading.Barrier(3), []

    def wait():
        from greenio import get_hub

        def read():
            try:
                ours.recv(1)
            except OSError as error:
                return error.errno

        reader = spawn(read)
        sleep(0)
        waits.wait()
        outcomes.append(reader.get(timeout=5))
        again, other = socketpair()  # the number may be used again at once
        other.send(b"x")
        assert again.recv(1) == b"x"
        again.close()
        other.close()
        get_hub().destroy()

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    waits.wait()
    ours.close()
    for thread in threads:
        thread.join()
    theirs.close()
    assert outcomes == [errno.EBADF] * 2


def test_sockets_handed_from_thread_to_thread():
    """Each socket is made in one thread, waited for in another and closed in a third: no reader is disturbed."""
    jobs, done = queue.SimpleQueue(), queue.SimpleQueue()

    def serve():
        while (sock := jobs.get()) is not None:
            done.put(sock.recv(1))
            sock.close()

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        ours, theirs = socketpair()
        ours.settimeout(5)
        reader = spawn(ours.recv, 1)
        sleep(0)
        theirs.send(b"a")
        assert reader.get(timeout=5) == b"a"
        jobs.put(ours)
        theirs.send(b"b")
        assert done.get() == b"b"
        theirs.close()
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("close", [os_close, socket_close, lambda number: FileObject(number, "rb", 0).close()])
def test_a_waiter_gets_ebadf_when_another_thread_closes_its_number(close):
    reader, writer = os.pipe()
    waiting = spawn(wait_read, reader)
    waiting.reports_errors = False
    sleep(0)
    in_thread(lambda: close(reader))
    with pytest.raises(OSError) as caught:
        waiting.get(timeout=5)
    assert caught.value.errno == errno.EBADF
    os.close(writer)


@pytest.mark.parametrize(
    "how, told", [("many", "True\n"), ("few", "False\n"), ("used", "works\n"), ("none", "Too many open files")]
)
def test_the_lowest_descriptors_are_the_programs(run_script, how, told):
    assert run_script("low_descriptors.py", how).startswith(told)


def test_a_program_that_closes_the_loops_descriptors_is_told(tmp_path):
    """The system's own call closes the epoll of the loop. Then libuv ends the process."""
    program = "import greenio, os; greenio.sleep(1e-9); os.close(greenio.get_hub().loop.fileno()); greenio.sleep(0.001)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == -signal.SIGABRT and "closed a descriptor of the event loop" in done.stderr
