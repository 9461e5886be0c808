"""TCP sockets: data, timeouts, several waiters, closing, errors. Real sockets on loopback."""

import errno
import gc
import os
import socket as standard
import ssl
import threading

import pytest
from waiting import let_others_run, until, until_waiting

from greenio import Timeout, get_hub, joinall, kill, sleep, spawn
from greenio import socket as cooperative
from greenio.socket import create_connection, create_server, socket, socketpair

MIB = 1 << 20


class TestData:
    def test_data_go_there_and_back(self, tcp):
        client, server = tcp
        echo = spawn(lambda: server.sendall(server.recv(100)))
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        echo.join()

    def test_sendall_sends_more_than_the_buffers_hold(self, tcp):
        client, server = tcp
        data = os.urandom(8 * MIB)
        sending = spawn(client.sendall, data)
        received = bytearray()
        while len(received) < len(data):
            received += server.recv(MIB)
        assert received == data
        sending.join()

    def test_send_returns_how_much_was_sent(self, pair):
        first, second = pair
        total = 0
        first.settimeout(0)
        with pytest.raises(BlockingIOError):
            while True:
                total += first.send(b"x" * 65536)
        assert total > 0

    @pytest.mark.parametrize("size", [1, 100, 65536, 65537, MIB])
    def test_recv_returns_no_more_than_asked_for(self, pair, size):
        first, second = pair
        first.sendall(b"abc")
        assert second.recv(size) == b"abc"[:size]
        second.settimeout(0)
        assert len(drain(second)) == max(0, 3 - size)

    def test_the_end_is_read_after_the_data(self, pair):
        first, second = pair
        first.sendall(b"last")
        first.shutdown(standard.SHUT_WR)
        assert (second.recv(10), second.recv(10), second.recv(10)) == (b"last", b"", b"")

    def test_recv_into_fills_the_buffer(self, pair):
        first, second = pair
        first.sendall(b"abcdef")
        buffer = bytearray(4)
        assert second.recv_into(buffer) == 4 and buffer == b"abcd"
        assert second.recv_into(memoryview(buffer)[2:], 1) == 1 and buffer == b"abed"
        with pytest.raises(ValueError, match="too small"):
            second.recv_into(buffer, 5)
        with pytest.raises((TypeError, BufferError)):
            second.recv_into(b"constant")

    def test_flags_are_passed_on_to_the_system(self, pair):
        first, second = pair
        reading = spawn(second.recv, 10, standard.MSG_PEEK)
        sleep(0)
        first.sendall(b"peek")
        assert reading.get() == b"peek"
        assert second.recv(10) == b"peek"
        with pytest.raises(BlockingIOError):
            second.settimeout(0)
            second.recv(10, standard.MSG_DONTWAIT)

    def test_waitall_returns_data_that_are_there(self, pair):
        first, second = pair
        first.sendall(b"ab")
        assert second.recv(2, standard.MSG_WAITALL) == b"ab"

    @pytest.mark.parametrize("arguments", [(-1,), ("a",), ()])
    def test_recv_refuses_bad_arguments(self, pair, arguments):
        with pytest.raises((ValueError, TypeError)):
            pair[0].recv(*arguments)

    def test_text_is_refused(self, pair):
        for method in (pair[0].send, pair[0].sendall):
            with pytest.raises(TypeError):
                method("text")

    def test_any_buffer_can_be_sent(self, pair):
        first, second = pair
        first.sendall(memoryview(bytearray(b"abcd"))[1:3])
        assert second.recv(10) == b"bc"
        first.sendall(b"")

    def test_thousands_of_messages_are_echoed(self, tcp):
        client, server = tcp

        def echo():
            while data := server.recv(1000):
                server.sendall(data)

        serving = spawn(echo)
        for number in range(2000):
            message = b"%d" % number
            client.sendall(message)
            assert client.recv(1000) == message
        client.close()
        serving.join()

    def test_makefile_waits_for_a_whole_line(self, pair):
        first, second = pair
        with second.makefile("rb") as lines:
            reading = spawn(lines.readline)
            sleep(0)
            first.sendall(b"half ")
            sleep(0.001)
            first.sendall(b"line\n")
            assert reading.get() == b"half line\n"

    def test_datagrams_are_received_with_their_address(self):
        with socket(standard.AF_INET, standard.SOCK_DGRAM) as server, socket(type=standard.SOCK_DGRAM) as client:
            server.bind(("127.0.0.1", 0))
            receiving = spawn(server.recvfrom, 100)
            sleep(0)
            client.sendto(b"datagram", server.getsockname())
            data, address = receiving.get()
            assert data == b"datagram" and address[1] == client.getsockname()[1]
            receiving = spawn(server.recvmsg, 100)
            sleep(0)
            client.sendto(b"", server.getsockname())
            assert receiving.get()[0] == b""


def drain(sock):
    data = b""
    while True:
        try:
            data += sock.recv(100)
        except BlockingIOError:
            return data


class TestTimeouts:
    def test_receiving_times_out_and_can_go_on(self, pair):
        pair[0].settimeout(0.001)
        for _ in range(3):
            with pytest.raises(TimeoutError, match="timed out"):
                pair[0].recv(1)
        pair[1].sendall(b"x")
        assert pair[0].recv(1) == b"x"

    def test_sendall_times_out_as_a_whole(self, pair):
        """The timeout is for the whole call, and does not begin anew with each part that is sent."""
        first, second = pair
        first.settimeout(0.05)

        def trickle():
            while True:
                second.recv(65536)
                sleep(0.01)

        reading = spawn(trickle)
        with pytest.raises(TimeoutError), Timeout(20):
            first.sendall(b"x" * (64 * MIB))
        reading.kill()

    def test_accepting_times_out(self):
        with create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.001)
            with pytest.raises(TimeoutError):
                listener.accept()

    def test_connecting_times_out(self):
        """connect() waits while the listener's queue is full."""
        with socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            socks, timed_out = [], False
            for _ in range(10):
                sock = socket()
                socks.append(sock)
                sock.settimeout(0.02)
                try:
                    sock.connect(listener.getsockname())
                except TimeoutError:
                    timed_out = True
                    break
            assert timed_out
            for sock in socks:
                sock.close()

    def test_a_change_does_not_affect_a_call_under_way(self, pair):
        """A call keeps the timeout with which it began, as in the standard library."""
        reading = spawn(pair[0].recv, 1)
        sleep(0)
        pair[0].settimeout(0.001)
        let_others_run()
        assert not reading.dead
        pair[1].sendall(b"x")
        assert reading.get() == b"x"

    def test_zero_never_waits(self, pair):
        pair[0].setblocking(False)
        assert pair[0].gettimeout() == 0 and not pair[0].getblocking()
        with pytest.raises(BlockingIOError):
            pair[0].recv(1)
        pair[0].setblocking(True)
        assert pair[0].gettimeout() is None and pair[0].getblocking()

    @pytest.mark.parametrize("make", [socket, standard.socket])
    def test_the_descriptor_is_non_blocking_with_a_timeout(self, make):
        """O_NONBLOCK belongs to the open file, which children may share. So it is as in the standard library."""
        with make() as sock:
            blocking = []
            for timeout in (None, 5, 0, 5.5, None, 0, None, 3, 7, None):
                sock.settimeout(timeout)
                blocking.append(os.get_blocking(sock.fileno()))
                assert sock.gettimeout() == timeout
            sock.setblocking(False)
            blocking.append(os.get_blocking(sock.fileno()))
            sock.setblocking(True)
            blocking.append(os.get_blocking(sock.fileno()))
        assert blocking == [True, False, False, False, True, False, True, False, False, True, False, True]

    @pytest.mark.parametrize("value", [-1, float("nan")])
    def test_settimeout_refuses_bad_values(self, pair, value):
        with pytest.raises(ValueError, match="out of range|NaN"):
            pair[0].settimeout(value)

    def test_short_and_long_timeouts_in_turn(self, pair):
        """The timer that a socket keeps between its waits does not fire early or late."""
        first, second = pair
        first.settimeout(30)
        spawn(second.sendall, b"1")
        assert first.recv(1) == b"1"
        first.settimeout(0.002)
        with pytest.raises(TimeoutError):
            first.recv(1)
        first.settimeout(30)
        later = spawn(lambda: (sleep(0.01), second.sendall(b"2")))
        assert first.recv(1) == b"2"
        later.join()

    def test_the_default_timeout_is_used(self):
        standard.setdefaulttimeout(0.001)
        try:
            with socket(type=standard.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", 0))
                assert sock.gettimeout() == 0.001
                with pytest.raises(TimeoutError):
                    sock.recv(1)
        finally:
            standard.setdefaulttimeout(None)

    def test_a_greenlets_timeout_leaves_the_socket_usable(self, pair):
        for _ in range(3):
            with pytest.raises(Timeout), Timeout(0.001):
                pair[0].recv(1)
        pair[1].sendall(b"x")
        assert pair[0].recv(1) == b"x"


class TestSeveralWaiters:
    def test_readers_get_data_in_the_order_of_their_calls(self, pair):
        first, second = pair
        got = []
        readers = [spawn(lambda n=n: got.append((n, second.recv(1)))) for n in range(5)]
        sleep(0)
        for number in range(5):
            first.sendall(b"%d" % number)
            until(lambda number=number: len(got) > number)
        joinall(readers)
        assert got == [(n, b"%d" % n) for n in range(5)]

    def test_a_reader_and_a_writer_wait_at_once(self, pair):
        first, second = pair
        data = b"x" * (4 * MIB)
        writing, reading = spawn(first.sendall, data), spawn(first.recv, 10)
        until_waiting(writing, reading)
        second.sendall(b"back")
        assert reading.get() == b"back" and not writing.dead
        received = 0
        while received < len(data):
            received += len(second.recv(MIB))
        writing.join()

    def test_a_killed_reader_takes_no_data(self, pair):
        first, second = pair
        readers = [spawn(second.recv, 1) for _ in range(3)]
        sleep(0)
        readers[1].kill()
        first.sendall(b"ab")
        joinall(readers)
        assert readers[0].value + readers[2].value == b"ab"

    def test_a_reader_that_is_killed_when_data_arrive_takes_none(self, pair):
        """The data are not lost with the killed greenlet: the next one gets them."""
        first, second = pair
        readers = [spawn(second.recv, 1) for _ in range(2)]
        sleep(0)
        first.sendall(b"x")
        kill(readers[0])
        sleep(0.001)
        assert readers[1].get() == b"x"


class TestClosing:
    @pytest.mark.parametrize("how", ["close", "detach"])
    def test_waiters_get_ebadf(self, how):
        first, second = socketpair()
        get_hub().exception_stream = None
        readers = [spawn(first.recv, 1) for _ in range(2)]
        writer = spawn(first.sendall, b"x" * (16 * MIB))
        until_waiting(*readers, writer)
        fd = getattr(first, how)()
        for greenlet in [*readers, writer]:
            with pytest.raises(OSError) as caught:
                greenlet.get()
            assert caught.value.errno == errno.EBADF
        if fd is not None:
            os.close(fd)
        second.close()
        del get_hub().__dict__["_exception_stream"]

    def test_calls_of_a_closed_socket_get_ebadf(self):
        first, second = socketpair()
        first.close()
        first.close()
        second.close()
        for call in (
            lambda: first.recv(1),
            lambda: first.sendall(b"x"),
            lambda: first.accept(),
            lambda: first.send(b""),
        ):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.EBADF
        assert first.fileno() == -1 and "fd=-1" in repr(first._endpoint)

    def test_a_file_keeps_the_socket_open(self):
        first, second = socketpair()
        with first.makefile("rb") as file:
            first.close()
            second.sendall(b"x\n")
            assert file.readline() == b"x\n"
        second.close()

    def test_a_reset_of_the_peer_is_raised(self, tcp):
        client, server = tcp
        server.setsockopt(standard.SOL_SOCKET, standard.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        reading = spawn(client.recv, 1)
        until_waiting(reading)
        get_hub().exception_stream = None
        server.close()
        with pytest.raises(ConnectionResetError):
            reading.get()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(b"x")
            client.sendall(b"x")
        del get_hub().__dict__["_exception_stream"]

    def test_the_next_socket_with_the_same_number_works(self):
        """A new socket is not confused with an older one that had its number."""
        for _ in range(20):
            first, second = socketpair()
            reading = spawn(first.recv, 1)
            sleep(0)
            second.sendall(b"x")
            assert reading.get(timeout=30) == b"x"
            first.close()
            second.close()


class TestConnecting:
    def test_a_refused_connection_raises_at_once(self):
        with socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = unused.getsockname()
            with pytest.raises(ConnectionRefusedError):
                create_connection(address, timeout=30)
            with socket() as sock:
                assert sock.connect_ex(address) == errno.ECONNREFUSED

    def test_accept_returns_a_cooperative_socket(self):
        with create_server(("127.0.0.1", 0)) as listener:
            client = create_connection(listener.getsockname(), timeout=30)
            server, address = listener.accept()
            assert isinstance(server, socket) and address == client.getsockname()
            assert server.gettimeout() is None and client.gettimeout() == 30
            assert not os.get_inheritable(server.fileno())
            client.close()
            server.close()

    @pytest.mark.skipif(not standard.has_ipv6, reason="this CPython has no IPv6")
    def test_connections_of_ipv6_have_four_part_addresses(self):
        try:
            listener = create_server(("::1", 0), family=standard.AF_INET6)
        except OSError as error:
            pytest.skip(f"this machine has no IPv6 loopback: {error}")
        with listener:
            client = create_connection(listener.getsockname()[:2])
            server, address = listener.accept()
            assert address == client.getsockname() and len(address) == 4
            client.close()
            server.close()

    def test_unix_sockets_connect_by_path(self, tmp_path):
        with socket(standard.AF_UNIX) as listener, socket(standard.AF_UNIX) as client:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            client.connect(str(tmp_path / "s"))
            server, address = listener.accept()
            assert address == ""
            client.sendall(b"x")
            assert server.recv(1) == b"x"
            server.close()

    def test_connections_go_to_the_acceptors_in_order(self):
        with create_server(("127.0.0.1", 0)) as listener:
            acceptors = [spawn(listener.accept) for _ in range(3)]
            sleep(0)
            clients = [create_connection(listener.getsockname()) for _ in range(3)]
            for greenlet, client in zip(acceptors, clients, strict=True):
                server, address = greenlet.get(timeout=30)
                assert address == client.getsockname()
                server.close()
                client.close()

    def test_connect_refuses_what_is_no_address(self):
        with socket() as sock:
            for address in (None, "nonsense", ("127.0.0.1",), ("127.0.0.1", 70000)):
                with pytest.raises((TypeError, OverflowError, ValueError)):
                    sock.connect(address)


def test_plain_clients_in_threads_are_served():
    """The peer may be a socket of the standard library."""
    with create_server(("127.0.0.1", 0)) as listener:
        address, got = listener.getsockname(), []

        def client():
            with standard.create_connection(address, timeout=30) as sock:
                sock.sendall(b"from a thread")
                got.append(sock.recv(100))

        threads = [threading.Thread(target=client) for _ in range(5)]
        for thread in threads:
            thread.start()
        for _ in threads:
            server, _ = listener.accept()
            server.sendall(server.recv(100).upper())
            server.close()
        for thread in threads:
            thread.join()
        assert got == [b"FROM A THREAD"] * 5


def test_the_module_offers_what_the_standard_one_does():
    missing = [name for name in standard.__all__ if not hasattr(cooperative, name)]
    assert not missing and set(standard.__all__) <= set(cooperative.__all__)
    assert cooperative.SocketType is socket and issubclass(socket, standard.socket)
    assert not issubclass(socket, ssl.SSLSocket)


def test_a_thread_may_free_a_socket_whose_timer_runs():
    """A thread closes and frees the socket, while the timer of a wait still runs on this thread's loop."""

    def close(holder):
        holder.pop().close()

    for _ in range(20):
        ours, theirs = socketpair()
        ours.settimeout(0.005)
        reader = spawn(ours.recv, 1)
        sleep(0)
        theirs.send(b"x")
        assert reader.get() == b"x"  # leaves the timer running
        holder = [ours]
        del reader, ours
        thread = threading.Thread(target=close, args=(holder,))
        thread.start()
        thread.join()
        theirs.close()
    sleep(0.02)


def test_large_and_small_receives_return_the_same_data():
    """After a receive that filled its buffer, the next one receives without a copy. Both ways return the same."""
    ours, theirs = socketpair()
    with ours, theirs:
        ours.setsockopt(standard.SOL_SOCKET, standard.SO_RCVBUF, MIB)
        theirs.setsockopt(standard.SOL_SOCKET, standard.SO_SNDBUF, MIB)
        data = os.urandom(150_000)
        theirs.sendall(data)
        received = [ours.recv(65536), ours.recv(65536), ours.recv(65536)]
        assert b"".join(received) == data and [len(each) for each in received] == [65536, 65536, 18928]
        for number in range(3):
            reading = spawn(ours.recv, 65536)
            sleep(0)
            theirs.sendall(b"%d" % number)
            assert reading.get() == b"%d" % number
        theirs.sendall(data[:65536])
        assert ours.recv(65536) == data[:65536]
        ours.settimeout(0.001)
        with pytest.raises(TimeoutError):
            ours.recv(65536)
        assert ours.recv(0) == b""
        theirs.sendall(b"x")
        theirs.close()
        assert ours.recv(65536) == b"x" and ours.recv(65536) == ours.recv(65536) == b""


@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_socket_with_a_timer_is_collected_in_a_cycle():
    left, right = socketpair()
    left.settimeout(10)
    reader = spawn(left.recv, 1)
    sleep(0)
    right.send(b"x")
    assert reader.get() == b"x"
    del reader
    gc.collect()  # so that the sockets are older than the objects that will refer to them

    class Holder:
        pass

    holder = Holder()
    holder.itself, holder.socket, holder.stream = holder, left, left._endpoint
    del holder, left
    gc.collect()  # an error in it is reported as unraisable, which pytest makes a failure
    right.close()
