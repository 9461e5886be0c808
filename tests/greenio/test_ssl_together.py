"""TLS connections that several greenlets use at once: reads, writes, handshakes and ends, in all pairs."""

import errno
import fcntl
import os
import random
import shutil
import socket as standard_socket
import ssl as standard
import termios
import threading
from itertools import permutations

import pytest
from places import CERTIFICATE, KEY
from waiting import until, until_waiting, waiting_in

from greenio import Timeout, joinall, sleep, socket, spawn, ssl, subprocess
from greenio.event import Event


def contexts(version=None, client_certificate=False):
    server = standard.SSLContext(standard.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE, KEY)
    client = standard.create_default_context(cafile=CERTIFICATE)
    if version is not None:
        server.maximum_version = client.maximum_version = version
    if client_certificate:
        client.load_cert_chain(CERTIFICATE, KEY)
        client.post_handshake_auth = server.post_handshake_auth = True
        server.verify_mode = standard.CERT_REQUIRED
        server.load_verify_locations(CERTIFICATE)
    return client, server


def connected(version=None, handshake=True, **options):
    """Two ends of one connection, the client's first."""
    client, server = contexts(version, **options)
    ours, theirs = socket.socketpair()
    ours = client.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
    theirs = server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
    if handshake:
        joinall([spawn(ours.do_handshake), spawn(theirs.do_handshake)], raise_error=True)
    return ours, theirs


@pytest.fixture(params=[standard.TLSVersion.TLSv1_2, standard.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def pair(request):
    ours, theirs = connected(request.param)
    yield ours, theirs
    ours.close()
    theirs.close()


# --- reading ----------------------------------------------------------------------------------------------------


def test_several_readers_share_one_record(pair):
    ours, theirs = pair
    jobs = [waiting_in(ours.recv, 10) for _ in range(3)]
    theirs.sendall(b"a" * 10 + b"b" * 10 + b"c")
    joinall(jobs, timeout=5)
    assert [job.value for job in jobs] == [b"a" * 10, b"b" * 10, b"c"]


def test_many_readers_get_all_records(pair):
    ours, theirs = pair
    received = []

    def read(size):
        while data := ours.recv(size):
            received.append(data)

    jobs = [spawn(read, size) for size in (1, 7, 100, 16384, 65536)]
    for size in (1, 10, 1000, 16384, 50_000, 3):
        theirs.sendall(b"x" * size)
        sleep(0.001)
    ending = spawn(theirs.unwrap)
    joinall(jobs, timeout=10, raise_error=True)
    assert all(job.ready() for job in jobs) and sum(map(len, received)) == 67398
    ours.unwrap()
    ending.get(timeout=5)


@pytest.mark.parametrize("how", ["killed", "out of time"])
@pytest.mark.parametrize("which", [0, 1])
def test_when_one_reader_is_ended_the_others_read(pair, how, which):
    ours, theirs = pair

    def read(number):
        with Timeout(0.01 if how == "out of time" and number == which else None, False):
            return ours.recv(2)

    jobs = [waiting_in(read, number) for number in range(3)]
    if how == "killed":
        jobs[which].kill(block=False)
    else:
        jobs[which].join()
    theirs.sendall(b"abcd")
    jobs.pop(which)
    # In any order: woken readers look again, and one that does so may come before one that waits.
    assert {job.get(timeout=5) for job in jobs} == {b"ab", b"cd"}


def test_several_readers_get_lines_of_one_file(pair):
    ours, theirs = pair
    with ours.makefile("rb") as file:
        jobs = [waiting_in(file.readline) for _ in range(2)]
        theirs.sendall(b"one\ntwo\n")
        assert [job.get(timeout=5) for job in jobs] == [b"one\n", b"two\n"]


def test_a_timeout_holds_while_others_read(pair):
    ours, theirs = pair
    ours.settimeout(0.01)
    jobs = [spawn(ours.recv, 1) for _ in range(2)]
    for job in jobs:
        job.reports_errors = False
    joinall(jobs, timeout=5)
    for job in jobs:
        with pytest.raises(TimeoutError, match="read operation timed out"):
            job.get()
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"


@pytest.mark.parametrize("seed", range(10))
def test_readers_that_are_ended_at_random_lose_nothing(pair, seed):
    """Readers end by kills and by timeouts of their own. All data arrive, once."""
    chance = random.Random(seed)
    ours, theirs = pair
    received = []

    def read(size, seconds):
        with Timeout(seconds, False):
            while data := ours.recv(size):
                received.append(data)

    def start():
        return spawn(read, chance.choice((1, 5, 100, 20_000)), chance.choice((None, 0.001, 0.003)))

    readers = [start() for _ in range(4)]
    sent = b""
    for number in range(60):
        piece = bytes([number]) * chance.choice((1, 10, 1000, 17_000))
        theirs.sendall(piece)
        sent += piece
        if chance.random() < 0.3:
            sleep(chance.choice((0, 0.001)))
        readers[chance.randrange(4)].kill(block=chance.random() < 0.5)
        readers = [start() if reader.ready() else reader for reader in readers]
    ending = spawn(theirs.unwrap)
    readers.append(spawn(read, 1000, None))
    joinall(readers, timeout=10, raise_error=True)
    assert all(reader.ready() for reader in readers)
    assert sorted(b"".join(received)) == sorted(sent)
    ours.unwrap()
    ending.get(timeout=5)


# --- as threads -------------------------------------------------------------------------------------------------


class InThreads:
    """Runs a scenario with the standard library and threads."""

    def pair(self):
        client, server = contexts()
        ours, theirs = standard_socket.socketpair()
        made = []
        thread = threading.Thread(target=lambda: made.append(server.wrap_socket(theirs, server_side=True)))
        thread.start()
        ours = client.wrap_socket(ours, server_hostname="localhost")
        thread.join()
        return ours, made[0]

    def start(self, function, *args):
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(outcome(function, *args)))
        thread.start()
        thread.join(0.02)  # by now the thread waits
        return lambda: (thread.join(5), outcomes[0])[1]


class InGreenlets:
    """Runs a scenario with this library and greenlets."""

    def pair(self):
        return connected()

    def start(self, function, *args):
        job = spawn(outcome, function, *args)
        until_waiting(job)
        return lambda: job.get(timeout=5)


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error)


def shut_both_ways(kit, ours, theirs):
    reading = kit.start(ours.recv, 10)
    ours.shutdown(standard_socket.SHUT_RDWR)
    return reading(), outcome(ours.recv, 10), outcome(ours.read), outcome(ours.unwrap), ours.version()


def shut_reading(kit, ours, theirs):
    reading = kit.start(ours.recv, 10)
    ours.shutdown(standard_socket.SHUT_RD)
    return reading(), outcome(ours.recv, 10)


def shut_writing(kit, ours, theirs):
    reading = kit.start(ours.recv, 10)
    ours.shutdown(standard_socket.SHUT_WR)
    theirs.sendall(b"late")
    return reading(), outcome(ours.send, b"x"), outcome(ours.write, b"x"), theirs.recv(10)


def peer_shuts(kit, ours, theirs):
    reading = kit.start(ours.recv, 10)
    theirs.shutdown(standard_socket.SHUT_RDWR)
    return reading()


def read_and_write(kit, ours, theirs):
    reading = kit.start(ours.recv, 10)
    writing = kit.start(ours.sendall, b"x" * 3_000_000)
    count = 0
    while count < 3_000_000:
        count += len(theirs.recv(65536))
    theirs.sendall(b"answer")
    return reading(), writing()


def unwrap_both(kit, ours, theirs):
    ending = kit.start(ours.unwrap)
    return theirs.recv(10), theirs.unwrap() is theirs, ending() is ours, ours.send(b"plain"), theirs.recv(10)


def unwrap_with_data_in_between(kit, ours, theirs):
    ending = kit.start(ours.unwrap)
    theirs.sendall(b"x")
    return ending()


SCENARIOS = [
    shut_both_ways, shut_reading, shut_writing, peer_shuts, read_and_write, unwrap_both,
    unwrap_with_data_in_between,
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_greenlets_get_what_threads_get(scenario):
    outcomes = []
    for kit in (InThreads(), InGreenlets()):
        ours, theirs = kit.pair()
        with ours, theirs:
            outcomes.append(scenario(kit, ours, theirs))
    assert outcomes[1] == outcomes[0]


def test_writers_take_turns(pair):
    """In the standard library, threads would send a mixture that the peer cannot read."""
    ours, theirs = pair
    jobs = [waiting_in(ours.sendall, letter * 300_000) for letter in (b"a", b"b", b"c")]
    jobs.pop(1).kill()
    received = b""
    while len(received) < 600_000:
        received += theirs.recv(65536)
    joinall(jobs, raise_error=True, timeout=5)
    assert received == b"a" * 300_000 + b"c" * 300_000


def test_data_after_a_shutdown_are_read_through_tls(pair):
    """From the second call on, the standard library returns encrypted data."""
    ours, theirs = pair
    reading = waiting_in(ours.recv, 4)
    ours.shutdown(standard_socket.SHUT_WR)
    theirs.sendall(b"latelaterlatest")
    buffer = bytearray(5)
    assert reading.get(timeout=5) == b"late" and ours.recv_into(buffer) == 5 and buffer == b"later"
    theirs.close()
    assert ours.recv(100) == b"latest" and ours.recv(100) == b""


def test_data_are_encrypted_after_a_shutdown_of_reading(pair):
    ours, theirs = pair
    ours.shutdown(standard_socket.SHUT_RD)
    ours.send(b"a")
    ours.sendall(b"b")
    ours.sendall(bytearray(b"c"))
    assert [theirs.recv(1) for _ in range(3)] == [b"a", b"b", b"c"]


# --- the end ----------------------------------------------------------------------------------------------------


def test_unwrapping_while_others_read(pair):
    """All calls learn of the peer's close_notify, whichever of them reads it."""
    ours, theirs = pair
    readers = [waiting_in(ours.recv, 10) for _ in range(2)]
    ending = waiting_in(ours.unwrap)
    assert theirs.recv(10) == b""
    assert theirs.unwrap() is theirs
    assert ending.get(timeout=5) is ours
    assert [reader.get(timeout=5) for reader in readers] == [b"", b""]
    theirs.sendall(b"plain")
    assert ours.recv(10) == b"plain"


def test_the_close_notify_is_taken_by_unwrap(pair):
    """The readers get the end, and not the plain data that the peer sends afterwards."""
    ours, theirs = pair
    readers = [waiting_in(ours.recv, 10) for _ in range(2)]
    ending = spawn(theirs.unwrap)  # has sent close_notify when the next greenlet runs; no reader is woken yet
    unwrapping = spawn(ours.unwrap)
    joinall([ending, unwrapping, *readers], timeout=5, raise_error=True)
    assert unwrapping.value is ours and ending.value is theirs
    assert [reader.value for reader in readers] == [b"", b""]
    theirs.sendall(b"plain")
    assert ours.recv(10) == b"plain"


@pytest.mark.parametrize("early", [False, True])
def test_data_that_comes_in_the_middle_of_unwrapping_goes_to_the_reader(pair, early):
    ours, theirs = pair

    def read():
        while data := ours.recv(3):
            received.append(data)

    received = []
    reading = waiting_in(read)
    if early:
        theirs.sendall(b"on the way")
    ending = waiting_in(ours.unwrap)
    for _ in range(2 if early else 3):
        theirs.sendall(b"on the way")
        sleep(0.001)
    theirs.unwrap()
    assert ending.get(timeout=5) is ours and reading.get(timeout=5) is None
    assert b"".join(received) == b"on the way" * 3


def test_several_may_unwrap_at_once(pair):
    ours, theirs = pair
    jobs = [waiting_in(ours.unwrap) for _ in range(3)]
    theirs.unwrap()
    assert [job.get(timeout=5) for job in jobs] == [ours] * 3
    with pytest.raises(ValueError, match="No SSL wrapper"):
        ours.unwrap()


def test_unwrapping_does_not_keep_writers_waiting(pair):
    """Writers get an error at once, as nothing may be sent after close_notify."""
    ours, theirs = pair
    ending = waiting_in(ours.unwrap)
    with pytest.raises(ssl.SSLError):
        ours.send(b"too late")
    ending.kill()
    with pytest.raises(ssl.SSLError):
        ours.sendall(b"too late")
    assert theirs.recv(10) == b""
    theirs.unwrap()
    assert ours.unwrap() is ours


@pytest.mark.parametrize("how", ["killed", "out of time"])
def test_a_connection_is_usable_after_an_interrupted_unwrap(pair, how):
    ours, theirs = pair
    if how == "killed":
        ending = waiting_in(ours.unwrap)
        ending.kill()
    else:
        ours.settimeout(0.01)
        with pytest.raises(TimeoutError):
            ours.unwrap()
        ours.settimeout(None)
    theirs.sendall(b"x")
    assert ours.recv(10) == b"x"
    theirs.unwrap()
    with pytest.raises(ssl.SSLZeroReturnError):
        ours.recv(10)
    assert ours.unwrap() is ours


def test_closing_ends_all_calls(pair):
    ours, _ = pair
    jobs = [waiting_in(ours.recv, 10), waiting_in(ours.recv, 10), waiting_in(ours.unwrap)]
    ours.close()
    joinall(jobs, timeout=5)
    assert [job.exception.errno for job in jobs] == [errno.EBADF] * 3


# --- the handshake ----------------------------------------------------------------------------------------------


HANDSHAKES = {
    "handshake": lambda sock: sock.do_handshake(),
    "read": lambda sock: sock.recv(1),
    "write": lambda sock: sock.sendall(b"w"),
}


@pytest.mark.parametrize("version", [standard.TLSVersion.TLSv1_2, standard.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("names", list(permutations(HANDSHAKES, 2)), ids="-".join)
def test_two_calls_make_one_handshake(version, names):
    """Reads and writes make the handshake, too. Whichever call takes its last message, the other goes on."""
    ours, theirs = connected(version, handshake=False)
    with ours, theirs:
        jobs = {name: waiting_in(HANDSHAKES[name], ours) for name in names}
        peer = spawn(theirs.do_handshake)
        for name, job in jobs.items():
            if name != "read":
                job.get(timeout=5)
        peer.get(timeout=5)
        if "write" in jobs:
            assert theirs.recv(10) == b"w"
        if "read" in jobs:
            assert not jobs["read"].ready()
            theirs.sendall(b"r")
            assert jobs["read"].get(timeout=5) == b"r"


def test_a_handshake_goes_on_when_the_reader_that_made_it_is_killed():
    ours, theirs = connected(handshake=False)
    with ours, theirs:
        reading, handshake = waiting_in(ours.recv, 1), waiting_in(ours.do_handshake)
        reading.kill()
        theirs.do_handshake()
        handshake.get(timeout=5)


def test_others_wait_while_a_callback_in_the_handshake_lets_them_run():
    client, server = contexts()
    inside, go_on = Event(), Event()

    def switch(sock, name, context):
        inside.set()
        go_on.wait()

    server.sni_callback = switch
    ours, theirs = socket.socketpair()
    with server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False) as theirs:
        connecting = spawn(client.wrap_socket, ours, server_hostname="localhost")
        handshake = spawn(theirs.do_handshake)
        inside.wait(5)
        reading, writing = waiting_in(theirs.recv, 10), waiting_in(theirs.sendall, b"there")
        go_on.set()
        joinall([connecting, handshake, writing], timeout=5, raise_error=True)
        with connecting.value as ours:
            ours.sendall(b"back")
            assert ours.recv(10) == b"there" and reading.get(timeout=5) == b"back"


@pytest.mark.parametrize("half_sent", ["by one who was ended", "by one who writes"])
def test_authentication_is_asked_for_between_records(half_sent):
    ours, theirs = connected(standard.TLSVersion.TLSv1_3, client_certificate=True)
    size = 10_000_000
    with ours, theirs:
        writing = waiting_in(theirs.sendall, bytes(size))
        if half_sent == "by one who was ended":
            writing.kill()
        asking = waiting_in(theirs.verify_client_post_handshake)
        answered = waiting_in(theirs.recv, 10)

        def read():
            data = b""
            while not data.endswith(b"who"):
                data = ours.recv(1 << 16)
            ours.sendall(b"me")

        reading = spawn(read)
        asking.get(timeout=10)
        theirs.sendall(b"who")
        reading.get(timeout=5)
        assert answered.get(timeout=5) == b"me" and theirs.getpeercert()["subject"]
        writing.join()


def test_authentication_after_the_handshake():
    """The reader answers while others write."""
    ours, theirs = connected(standard.TLSVersion.TLSv1_3, client_certificate=True)
    with ours, theirs:
        reading = [waiting_in(ours.recv, 4) for _ in range(2)]
        theirs.verify_client_post_handshake()
        asked = waiting_in(theirs.recv, 10)
        theirs.sendall(b"who are")
        joinall(reading, timeout=5)
        assert {job.value for job in reading} == {b"who ", b"are"}
        ours.sendall(b"me")
        assert asked.get(timeout=5) == b"me" and theirs.getpeercert()["subject"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["sent", "sent and asked for"])
def test_key_updates_while_one_reads_and_one_writes(command):
    """Neither is disturbed. `K` asks for new keys; the answer is sent in the middle of the writer's data."""
    _, server = contexts()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-tls1_3", "-no_ign_eof"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip

            def tell(data):
                process.stdin.write(data)
                process.stdin.flush()
                while fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, bytes(4)) != bytes(4):
                    sleep(0.001)  # s_client takes all data of one read for one command, or one line

            def count():
                counted = 0
                while counted < 1_000_000:
                    counted += process.stdout.read1(65536).count(b"x")

            accepted, _ = listener.accept()
            with server.wrap_socket(accepted, server_side=True) as sock:
                with sock.makefile("rb") as lines:
                    for number in range(5):
                        reading = waiting_in(lines.readline)
                        writing, counting = spawn(sock.sendall, b"x" * 1_000_000), spawn(count)
                        tell(command)
                        tell(b"line %d\n" % number)
                        joinall([writing, counting], raise_error=True)
                        assert reading.get() == b"line %d\n" % number
            process.kill()


# --- threads ----------------------------------------------------------------------------------------------------


def test_greenlets_of_several_threads_share_a_connection(pair):
    """A thread that takes another thread's data from the descriptor wakes it. Only one at a time calls OpenSSL."""
    ours, theirs = pair
    received, total = [], 300_000

    def work():
        def read(size):
            while data := ours.recv(size):
                received.append(data)

        joinall([spawn(read, size) for size in (1, 100, 16384)], raise_error=True)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()

    def echo():
        count = 0
        while count < total:
            count += len(theirs.recv(65536))
        return count

    counting = spawn(echo)
    sending = [spawn(sock.sendall, os.urandom(1) * total) for sock in pair]
    joinall([*sending, counting], timeout=30, raise_error=True)
    ending = spawn(theirs.unwrap)
    for thread in threads:
        until(lambda thread=thread: not thread.is_alive())
    assert sum(map(len, received)) == total
    ours.unwrap()
    ending.get(timeout=5)
