"""Several processes that serve one address: which of them get connections, and what their supervisor does."""

import os
import re
import signal
import ssl
from contextlib import closing, contextmanager, suppress

import pytest
from echo_service import ECHO, LOADING, PROGRAM, SERVED, answering_workers, echo_service
from places import CERTIFICATE, KEY
from services import is_alive
from waiting import until

from greenio.server import DatagramServer, StreamServer
from greenio.workers import serve


class TestServing:
    def test_every_worker_serves_the_address(self, tmp_path):
        with echo_service(tmp_path, workers=3) as running:
            running.until_listening()
            answering = answering_workers(running, 100)
            assert set(answering) == set(running.workers()) and len(answering) == 3
            assert min(answering.values()) >= 5  # the system spreads them by a hash
            assert running.end() == 0
            assert running.output.endswith("greenio: ending\nreturned\n") and running.output.count("returned") == 1

    @pytest.mark.parametrize("name", ["unix:{}/socket", "unix:@{}"])
    def test_a_unix_socket_is_shared_with_one_accept_a_turn(self, tmp_path, name):
        with echo_service(tmp_path, listener=name.format(tmp_path)) as running:
            running.until_listening()
            assert answering_workers(running).keys() <= set(running.workers())
            assert running.ask(b"str(server.max_accept)") == b"1"
            path = tmp_path / "socket"
            assert path.exists() == ("@" not in name)
            os.kill(running.workers()[0], signal.SIGTERM)  # a worker's end does not remove it
            running.until("has ended with status 0")
            assert running.ask(b"str(server.max_accept)") == b"1"
            assert running.end() == 0
            assert not path.exists()

    def test_an_inherited_socket_is_shared_with_one_accept_a_turn(self, tmp_path):
        program = (
            ECHO
            + """
import socket
listener = socket.create_server(("127.0.0.1", 0))
server = StreamServer({listener}.format(listener.fileno()), handle)
server.serve_forever(workers={workers}{options})
"""
        )
        with echo_service(tmp_path, listener="fd://{}", program=program) as running:
            running.until_listening()
            assert answering_workers(running).keys() <= set(running.workers())
            assert running.ask(b"str(server.max_accept)") == b"1"

    def test_each_worker_has_a_socket_of_its_own_for_a_port(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            own = {running.ask(b"str((os.getpid(), os.fstat(server.socket.fileno()).st_ino, server.max_accept))")
                   for _ in range(40)}  # fmt: skip
            assert len(own) == len({each.split()[1] for each in own}) == 2
            assert all(each.endswith(b"100)") for each in own)
            # The supervisor holds both.
            links = {os.readlink(f"/proc/{running.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{running.pid}/fd")}
            assert {f"socket:[{each.split()[1].decode().rstrip(',')}]" for each in own} <= links

    def test_a_port_in_use_is_refused(self, tmp_path):
        with StreamServer(("127.0.0.1", 0), print, reuse_port=True) as server:
            with pytest.raises(OSError, match="Address already in use") as raised:
                StreamServer(server.address, print).serve_forever(workers=2)
            assert raised.value.errno == 98
            with pytest.raises(OSError, match="Address already in use"):
                serve(print, server.address, workers=2)

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"workers": 0}, ValueError), ({"workers": 2, "max_rss": 0}, ValueError), ({"workers": "2"}, TypeError),
            ({"workers": 2, "worker_timeout": 0}, ValueError), ({"workers": 2, "drain": -1}, ValueError),
            ({"workers": 2, "max_requests": 1, "max_requests_jitter": -1}, ValueError), ({"drain": 1}, TypeError),
            ({"workers": 2, "nothing": 1}, TypeError), ({"workers": 2, "status": "nonsense"}, ValueError),
        ],
    )  # fmt: skip
    def test_wrong_arguments_are_refused(self, options, error):
        with pytest.raises(error):
            StreamServer(("127.0.0.1", 0), print).serve_forever(**options)

    def test_an_argument_that_does_not_exist_is_named(self):
        with pytest.raises(TypeError, match="workers have no argument 'max_request'"):
            StreamServer(("127.0.0.1", 0), print).serve_forever(workers=2, max_request=100)

    def test_load_must_be_a_function(self):
        with pytest.raises(TypeError, match="load must be a function that workers call, not 'shop:make'"):
            serve("shop:make", ("127.0.0.1", 0), workers=2)

    def test_a_preload_that_fails_leaves_no_socket(self, tmp_path):
        def load():
            raise LookupError("broken")

        with pytest.raises(LookupError, match="broken"):
            serve(load, f"unix:{tmp_path}/socket", workers=2, preload=True)
        assert not (tmp_path / "socket").exists()

    def test_no_address_is_refused(self):
        with pytest.raises(ValueError, match="no address"):
            serve(print, [], workers=2)

    def test_a_server_that_accepts_already_is_refused(self):
        with StreamServer(("127.0.0.1", 0), print) as server, pytest.raises(RuntimeError, match="was started already"):
            server.serve_forever(workers=2)
        with pytest.raises(TypeError):
            DatagramServer(("127.0.0.1", 0), print).serve_forever(workers=2)

    def test_stopping_the_server_in_the_program_ends_all(self, tmp_path):
        program = PROGRAM.replace("server.serve", "greenio.spawn_later(0.3, server.stop)\nserver.serve")
        with echo_service(tmp_path, program=program) as running:
            assert running.wait() == 0
            assert running.output.count("ending") == 1 and running.output.endswith("returned\n")

    def test_an_exception_in_the_program_ends_its_workers(self, tmp_path):
        program = PROGRAM.replace("server.serve", "with greenio.Timeout(1): server.serve")
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            workers = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                assert running.wait() == 1
            assert not any(map(is_alive, workers))
            assert "Timeout: 1" in running.output and "cleaned up" in running.output

    def test_a_patched_program_outlives_a_killed_worker(self, tmp_path):
        program = "from greenio import monkey; monkey.patch_all()\n" + PROGRAM.replace("greenio.sleep", "time.sleep")
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            assert answering_workers(running).keys() == set(running.workers())
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 0.5")
                running.until("waits")
                os.kill(running.workers()[0], signal.SIGKILL)
                running.until("SIGKILL")
                assert running.end() == 0

    def test_a_socket_of_the_program_stays_open(self, tmp_path):
        program = (
            ECHO
            + """
import socket
with socket.create_server({listener}) as listener:
    server = StreamServer(listener, handle)
    server.serve_forever(workers={workers}{options})
    print("left", listener.getsockname(), flush=True)
"""
        )
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            assert running.ask(b"str(server.max_accept)") == b"1"
            assert running.end() == 0
            assert f"left {running.address}" in running.output

    def test_tls_is_spoken_by_every_worker(self, tmp_path):
        program = PROGRAM.replace("handle)", f"handle, certfile={str(CERTIFICATE)!r}, keyfile={str(KEY)!r})")
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            context = ssl.create_default_context(cafile=CERTIFICATE)
            with context.wrap_socket(running.connect(), server_hostname="localhost") as sock:
                sock.sendall(b"pid")
                assert int(sock.recv(100)) in running.workers()

    def test_only_the_program_itself_runs_its_functions_of_atexit(self, tmp_path):
        program = PROGRAM.replace("server.serve", "import atexit; atexit.register(print, 'at exit')\nserver.serve")
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            running.ask(b"str(__import__('atexit').register(print, 'at exit of a worker'))")
            assert running.end() == 0
            assert running.output.count("at exit\n") == 1 and running.output.count("at exit of a worker\n") == 1


class TestTheSupervisor:
    def test_it_has_no_threads_and_does_not_load_what_is_served(self, tmp_path):
        with echo_service(tmp_path, program=LOADING, status="127.0.0.1:0") as running:
            running.until_listening()
            answering_workers(running, 5)
            assert os.listdir(f"/proc/{running.pid}/task") == [str(running.pid)]
            loaders = [int(each) for each in re.findall(r"loaded by (\d+)", running.output)]
            assert sorted(loaders) == sorted(running.workers())

    def test_with_preload_it_loads_once_and_freezes_the_objects(self, tmp_path):
        with echo_service(tmp_path, program=LOADING, preload=True) as running:
            running.until_listening()
            assert re.findall(r"loaded by (\d+)", running.output) == [str(running.pid)]
            assert int(running.ask(b"str(__import__('gc').get_freeze_count())")) > 1000
            running.send(signal.SIGHUP)
            running.until("reloaded\n")
            assert "they reload no code" in running.output and running.output.count("loaded by") == 1

    @pytest.mark.parametrize("kind", ["raises", "exits", "dies", "in the first"])
    def test_a_first_worker_that_cannot_start_ends_everything(self, tmp_path, kind):
        broken = {
            "raises": "raise LookupError('broken')",
            "exits": "sys.exit('broken')",
            "dies": "os.kill(os.getpid(), 9)",
            "in the first": "if not os.path.exists('seen'): open('seen', 'w'); raise LookupError('broken')",
        }
        with echo_service(tmp_path, program=LOADING, served=SERVED + broken[kind]) as running:
            assert running.wait() == 3
        told = running.output
        if kind == "dies":
            assert "was killed by SIGKILL before it was ready" in told and "Traceback" not in told
        else:
            assert told.count("Traceback") == 1 and "a worker cannot start: Traceback" in told
            assert ("SystemExit: broken" if kind == "exits" else "LookupError: broken") in told

    def test_a_failure_in_a_child_of_a_worker_is_not_the_workers(self, tmp_path):
        forks = "pid = os.fork()\nif not pid: raise LookupError('in the child')\nos.waitpid(pid, 0)\n"
        with echo_service(tmp_path, workers=1, program=LOADING, served=SERVED + forks) as running:
            running.until_listening()
            assert "LookupError: in the child" in running.output and "cannot start" not in running.output
            assert int(running.ask()) in running.workers()
            assert running.end() == 0

    @pytest.mark.parametrize("text", ["", "ready\n", "ready\nand more", "failed\n"])
    def test_no_text_of_a_failure_is_taken_for_readiness(self, tmp_path, text):
        broken = f"from greenio.workers import CannotStart\nraise CannotStart({text!r})"
        with echo_service(tmp_path, program=LOADING, served=broken) as running:
            assert running.wait() == 3
        assert "listening" not in running.output and "Traceback" not in running.output
        assert ("a worker cannot start: " + text.strip() if text else "status 3 before it was ready") in running.output

    @pytest.mark.parametrize(
        ("served", "told"),
        [
            ("make = None", "load() must return a function that makes a server for a socket, not None"),
            ("make = lambda sock: 5", "the function that load() returns must return a StreamServer, not 5"),
        ],
    )
    def test_a_wrong_result_of_load_is_told_in_one_line(self, tmp_path, served, told):
        with echo_service(tmp_path, program=LOADING, served=served) as running:
            assert running.wait() == 3
            assert f"greenio: a worker cannot start: {told}\n" in running.output and "Traceback" not in running.output

    def test_workers_end_when_it_is_killed_and_finish_what_they_do(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            workers = running.workers()
            sock = running.connect()
            with closing(sock):
                sock.sendall(b"wait 0.3")
                running.until("waits")
                os.kill(running.pid, signal.SIGKILL)
                assert sock.recv(100) == b"done"
            until(lambda: not any(map(is_alive, workers)))
            assert running.output.count("the supervisor is gone") == 2

    def test_workers_have_no_descriptors_of_others(self, tmp_path):
        with echo_service(tmp_path, workers=3, status="127.0.0.1:0") as running:
            running.until_listening()

            def count():
                return {int(running.ask(b"str(len(os.listdir('/proc/self/fd')))")) for _ in range(30)}

            os.kill(running.workers()[1], signal.SIGKILL)
            running.until("SIGKILL")
            before = count()
            for _ in range(2):
                told = running.output.count("reloaded\n")
                running.send(signal.SIGHUP)
                until(lambda told=told: running.output.count("reloaded\n") > told)
            # A worker of a later generation inherits no more descriptors than one of the first.
            assert max(count()) <= max(before)

    def test_it_ends_while_workers_load(self, tmp_path):
        served = SERVED + "print('loading', flush=True)\ntime.sleep(1000)\n"
        with echo_service(tmp_path, program=LOADING, served=served) as running:
            running.until("loading[\\s\\S]*loading")
            assert running.end() == 0
            assert "Traceback" not in running.output and "cannot start" not in running.output

    def test_it_goes_on_when_its_output_has_no_reader(self, tmp_path):
        program = (
            ECHO
            + """
server = StreamServer({listener}, handle)
def tell(text):
    print(text, flush=True)
    raise BrokenPipeError
server.serve_forever(workers={workers}{options}, tell=tell)
"""
        )
        with echo_service(tmp_path, workers=1, program=program) as running:
            running.until_listening()
            os.kill(running.workers()[0], signal.SIGKILL)
            running.until("SIGKILL")
            running.ask()
            assert running.end() == 0


# Standard error is a full pipe whose reader does not read, like a terminal that is held.
FULL = """
import os
_reader, writer = os.pipe()
os.set_blocking(writer, False)
for size in (4096, 1):
    try:
        while True:
            os.write(writer, b"x" * size)
    except BlockingIOError:
        pass
os.set_blocking(writer, True)
os.dup2(writer, 2)
"""

CLOSED = """
import os, sys
for descriptor in range(3):
    os.close(descriptor)
sys.stdin = sys.stdout = sys.stderr = None
"""


class TestStandardError:
    """The output of these services cannot be read. So they listen at an address that the test has chosen."""

    @contextmanager
    def serving(self, folder, before):
        with echo_service(folder, listener=f"unix:{folder}/socket", program=before + PROGRAM) as running:
            running.address = f"{folder}/socket"
            answered = set()
            until(lambda: self.all_answer(running, answered))
            yield running

    def all_answer(self, running, answered):
        """Ask once more; return whether both workers have answered. A worker that dies before that ends the service."""
        with suppress(OSError):
            answered.add(int(running.ask()))
            workers = running.workers()
            return len(workers) == 2 and answered.issuperset(workers)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_a_full_pipe_that_nobody_reads_holds_nothing_up(self, tmp_path, number):
        with self.serving(tmp_path, FULL) as running:
            first, second = running.workers()
            os.kill(first, signal.SIGKILL)
            until(lambda: first not in running.workers() and len(running.workers()) == 2)
            assert int(running.ask()) in running.workers()
            running.send(signal.SIGUSR1)
            workers = running.workers()
            running.send(number)
            assert running.wait() == (0 if number == signal.SIGTERM else -number)
            until(lambda: not any(map(is_alive, [*workers, second])))

    def test_no_socket_takes_the_place_of_closed_standard_streams(self, tmp_path):
        with self.serving(tmp_path, CLOSED) as running:
            running.send(signal.SIGUSR1)
            files = running.ask(b"str([os.readlink(f'/proc/self/fd/{n}') for n in range(3)])")
            assert eval(files) == ["/dev/null"] * 3
            assert running.end() == 0
