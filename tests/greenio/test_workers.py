"""Several processes that serve one address: who gets what, deaths, replacements. Real processes, killed for real."""

import os
import re
import resource
import signal
import socket
import ssl
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress

import pytest
from places import CERTIFICATE, KEY
from services import clients, is_alive, serving
from waiting import some_turns, until

from greenio import killall, spawn_later
from greenio._servers.counts import ENDING, REQUESTS
from greenio.event import AsyncResult
from greenio.server import DatagramServer, StreamServer
from greenio.workers import serve

ECHO = """
import os, signal, sys, time
import greenio
from greenio import workers
from greenio.server import StreamServer

def handle(sock, address):
    while data := sock.recv(65536):
        command, _, argument = data.decode().partition(" ")
        if command == "pid":
            sock.sendall(b"%d\\n" % os.getpid())
        elif command == "loop":
            while True:
                pass
        elif command == "block":
            import ctypes
            lock = ctypes.create_string_buffer(100)
            for _ in range(2):
                ctypes.PyDLL(None).pthread_mutex_lock(lock)  # with the GIL; no signal ends it
        elif command == "wait":
            print("waits", flush=True)
            try:
                greenio.sleep(float(argument))
                sock.sendall(b"done")
            finally:
                print("cleaned up", flush=True)
            return
        elif command == "grow":
            globals()["kept"] = bytearray(b"x") * (int(argument) << 20)
            sock.sendall(b"grown")
        else:
            sock.sendall(eval(data).encode())
"""

PROGRAM = (
    ECHO
    + """
server = StreamServer({listener}, handle)
server.serve_forever(workers={workers}{options})
print("returned", flush=True)
"""
)

# What is served is in a module that only workers import.
LOADING = """
from greenio import workers

def load():
    import served
    return served.make

workers.serve(load, {listener}, workers={workers}{options})
print("returned", flush=True)
"""
SERVED = (
    ECHO
    + """
print("loaded by", os.getpid(), flush=True)
VERSION = "one"
def make(sock):
    return StreamServer(sock, handle)
"""
)


def service(folder, workers=2, listener=("127.0.0.1", 0), program=PROGRAM, served=SERVED, environment=None, **options):
    (folder / "served.py").write_text(served)
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    (folder / "program.py").write_text(program.format(workers=workers, listener=repr(listener), options=said))
    return serving(folder, ["program.py"], **(environment or {}))


def pids(service, times=40):
    """The workers that answer."""
    return Counter(int(service.ask()) for _ in range(times))


def open_connection(service):
    """A connection that was accepted, and the worker that has it."""
    sock = service.connect()
    sock.sendall(b"pid")
    return sock, int(sock.recv(100))


class TestServing:
    def test_every_worker_serves_the_address(self, tmp_path):
        with service(tmp_path, workers=3) as running:
            running.until_listening()
            answering = pids(running, 100)
            assert set(answering) == set(running.workers()) and len(answering) == 3
            assert min(answering.values()) >= 5  # the system spreads them by a hash
            assert running.end() == 0
            assert running.told.endswith("greenio: ending\nreturned\n") and running.told.count("returned") == 1

    @pytest.mark.parametrize("name", ["unix:{}/socket", "unix:@{}"])
    def test_a_unix_socket_is_shared_with_one_accept_a_turn(self, tmp_path, name):
        with service(tmp_path, listener=name.format(tmp_path)) as running:
            running.until_listening()
            assert pids(running).keys() <= set(running.workers())
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
        with service(tmp_path, listener="fd://{}", program=program) as running:
            running.until_listening()
            assert pids(running).keys() <= set(running.workers())
            assert running.ask(b"str(server.max_accept)") == b"1"

    def test_each_worker_has_a_socket_of_its_own_for_a_port(self, tmp_path):
        with service(tmp_path) as running:
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
    def test_arguments_that_cannot_be(self, options, error):
        with pytest.raises(error):
            StreamServer(("127.0.0.1", 0), print).serve_forever(**options)

    def test_an_argument_that_does_not_exist_is_named(self):
        with pytest.raises(TypeError, match="workers have no argument 'max_request'"):
            StreamServer(("127.0.0.1", 0), print).serve_forever(workers=2, max_request=100)

    def test_load_must_be_a_function(self):
        with pytest.raises(TypeError, match="load must be a function that workers call, not 'shop:make'"):
            serve("shop:make", ("127.0.0.1", 0), workers=2)

    def test_what_is_preloaded_in_vain_leaves_nothing(self, tmp_path):
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

    def test_stop_in_the_program_ends_it(self, tmp_path):
        program = PROGRAM.replace("server.serve", "greenio.spawn_later(0.3, server.stop)\nserver.serve")
        with service(tmp_path, program=program) as running:
            assert running.wait() == 0
            assert running.told.count("ending") == 1 and running.told.endswith("returned\n")

    def test_an_exception_in_the_program_ends_its_workers(self, tmp_path):
        program = PROGRAM.replace("server.serve", "with greenio.Timeout(1): server.serve")
        with service(tmp_path, program=program) as running:
            running.until_listening()
            workers = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                assert running.wait() == 1
            assert not any(map(is_alive, workers))
            assert "Timeout: 1" in running.told and "cleaned up" in running.told

    def test_a_patched_program(self, tmp_path):
        program = "from greenio import monkey; monkey.patch_all()\n" + PROGRAM.replace("greenio.sleep", "time.sleep")
        with service(tmp_path, program=program) as running:
            running.until_listening()
            assert pids(running).keys() == set(running.workers())
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
        with service(tmp_path, program=program) as running:
            running.until_listening()
            assert running.ask(b"str(server.max_accept)") == b"1"
            assert running.end() == 0
            assert f"left {running.address}" in running.told

    def test_tls_is_spoken_by_every_worker(self, tmp_path):
        program = PROGRAM.replace("handle)", f"handle, certfile={str(CERTIFICATE)!r}, keyfile={str(KEY)!r})")
        with service(tmp_path, program=program) as running:
            running.until_listening()
            context = ssl.create_default_context(cafile=CERTIFICATE)
            with context.wrap_socket(running.connect(), server_hostname="localhost") as sock:
                sock.sendall(b"pid")
                assert int(sock.recv(100)) in running.workers()

    def test_only_the_program_itself_runs_its_functions_of_atexit(self, tmp_path):
        program = PROGRAM.replace("server.serve", "import atexit; atexit.register(print, 'at exit')\nserver.serve")
        with service(tmp_path, program=program) as running:
            running.until_listening()
            running.ask(b"str(__import__('atexit').register(print, 'at exit of a worker'))")
            assert running.end() == 0
            assert running.told.count("at exit\n") == 1 and running.told.count("at exit of a worker\n") == 1


class TestTheSupervisor:
    def test_it_has_no_threads_and_does_not_load_what_is_served(self, tmp_path):
        with service(tmp_path, program=LOADING, status="127.0.0.1:0") as running:
            running.until_listening()
            pids(running, 5)
            assert os.listdir(f"/proc/{running.pid}/task") == [str(running.pid)]
            loaders = [int(each) for each in re.findall(r"loaded by (\d+)", running.told)]
            assert sorted(loaders) == sorted(running.workers())

    def test_with_preload_it_loads_once_and_freezes_what_is_there(self, tmp_path):
        with service(tmp_path, program=LOADING, preload=True) as running:
            running.until_listening()
            assert re.findall(r"loaded by (\d+)", running.told) == [str(running.pid)]
            assert int(running.ask(b"str(__import__('gc').get_freeze_count())")) > 1000
            running.send(signal.SIGHUP)
            running.until("reloaded\n")
            assert "they reload no code" in running.told and running.told.count("loaded by") == 1

    @pytest.mark.parametrize("kind", ["raises", "exits", "dies", "in the first"])
    def test_a_first_worker_that_cannot_start_ends_everything(self, tmp_path, kind):
        broken = {
            "raises": "raise LookupError('broken')",
            "exits": "sys.exit('broken')",
            "dies": "os.kill(os.getpid(), 9)",
            "in the first": "if not os.path.exists('seen'): open('seen', 'w'); raise LookupError('broken')",
        }
        with service(tmp_path, program=LOADING, served=SERVED + broken[kind]) as running:
            assert running.wait() == 3
        told = running.told
        if kind == "dies":
            assert "was killed by SIGKILL before it was ready" in told and "Traceback" not in told
        else:
            assert told.count("Traceback") == 1 and "a worker cannot start: Traceback" in told
            assert ("SystemExit: broken" if kind == "exits" else "LookupError: broken") in told

    def test_a_child_of_what_is_loaded_says_nothing_for_its_worker(self, tmp_path):
        forks = "pid = os.fork()\nif not pid: raise LookupError('in the child')\nos.waitpid(pid, 0)\n"
        with service(tmp_path, workers=1, program=LOADING, served=SERVED + forks) as running:
            running.until_listening()
            assert "LookupError: in the child" in running.told and "cannot start" not in running.told
            assert int(running.ask()) in running.workers()
            assert running.end() == 0

    @pytest.mark.parametrize("text", ["", "ready\n", "ready\nand more", "failed\n"])
    def test_whatever_a_worker_says_of_its_failure(self, tmp_path, text):
        broken = f"from greenio.workers import CannotStart\nraise CannotStart({text!r})"
        with service(tmp_path, program=LOADING, served=broken) as running:
            assert running.wait() == 3
        assert "listening" not in running.told and "Traceback" not in running.told
        assert ("a worker cannot start: " + text.strip() if text else "status 3 before it was ready") in running.told

    @pytest.mark.parametrize(
        ("served", "told"),
        [
            ("make = None", "load() must return a function that makes a server for a socket, not None"),
            ("make = lambda sock: 5", "the function that load() returns must return a StreamServer, not 5"),
        ],
    )
    def test_what_load_returns_in_place_of_a_server_is_told_in_a_line(self, tmp_path, served, told):
        with service(tmp_path, program=LOADING, served=served) as running:
            assert running.wait() == 3
            assert f"greenio: a worker cannot start: {told}\n" in running.told and "Traceback" not in running.told

    def test_workers_end_when_it_is_killed_and_finish_what_they_do(self, tmp_path):
        with service(tmp_path) as running:
            running.until_listening()
            workers = running.workers()
            sock = running.connect()
            with closing(sock):
                sock.sendall(b"wait 0.3")
                running.until("waits")
                os.kill(running.pid, signal.SIGKILL)
                assert sock.recv(100) == b"done"
            until(lambda: not any(map(is_alive, workers)))
            assert running.told.count("the supervisor is gone") == 2

    def test_workers_have_no_descriptors_of_others(self, tmp_path):
        with service(tmp_path, workers=3, status="127.0.0.1:0") as running:
            running.until_listening()

            def count():
                return {int(running.ask(b"str(len(os.listdir('/proc/self/fd')))")) for _ in range(30)}

            os.kill(running.workers()[1], signal.SIGKILL)
            running.until("SIGKILL")
            before = count()
            for _ in range(2):
                told = running.told.count("reloaded\n")
                running.send(signal.SIGHUP)
                until(lambda told=told: running.told.count("reloaded\n") > told)
            # What a worker inherits does not grow from one generation to the next.
            assert max(count()) <= max(before)

    def test_it_ends_while_workers_load(self, tmp_path):
        served = SERVED + "print('loading', flush=True)\ntime.sleep(1000)\n"
        with service(tmp_path, program=LOADING, served=served) as running:
            running.until("loading[\\s\\S]*loading")
            assert running.end() == 0
            assert "Traceback" not in running.told and "cannot start" not in running.told

    def test_nobody_reads_what_it_tells(self, tmp_path):
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
        with service(tmp_path, workers=1, program=program) as running:
            running.until_listening()
            os.kill(running.workers()[0], signal.SIGKILL)
            running.until("SIGKILL")
            running.ask()
            assert running.end() == 0


# Standard error that takes nothing, though it has a reader: as of a terminal that is held.
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
    """What is told cannot be read there: these services listen where the test has said."""

    @contextmanager
    def serving(self, folder, before):
        with service(folder, listener=f"unix:{folder}/socket", program=before + PROGRAM) as running:
            running.address = f"{folder}/socket"
            answered = set()
            until(lambda: self.all_answer(running, answered))
            yield running

    def all_answer(self, running, answered):
        """Whether both workers have answered: one that dies before it is ready ends the service."""
        with suppress(OSError):
            answered.add(int(running.ask()))
            workers = running.workers()
            return len(workers) == 2 and answered.issuperset(workers)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_nobody_reads_and_it_is_full(self, tmp_path, number):
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

    def test_it_is_closed_and_no_socket_takes_its_place(self, tmp_path):
        with self.serving(tmp_path, CLOSED) as running:
            running.send(signal.SIGUSR1)
            files = running.ask(b"str([os.readlink(f'/proc/self/fd/{n}') for n in range(3)])")
            assert eval(files) == ["/dev/null"] * 3
            assert running.end() == 0


class TestDeaths:
    def test_only_connections_that_a_killed_worker_had_accepted_fail(self, tmp_path):
        with service(tmp_path) as running:
            running.until_listening()
            connections = [open_connection(running) for _ in range(40)]
            victim = connections[0][1]
            os.kill(victim, signal.SIGSTOP)  # it accepts nothing more from now on
            until(lambda: state(victim) == "T")
            later = []
            for _ in range(40):  # many of them wait in its socket
                sock = running.connect()
                sock.sendall(b"pid")
                later.append(sock)
            os.kill(victim, signal.SIGKILL)
            for sock in later:
                assert int(sock.recv(100)) != victim
                sock.close()
            for sock, owner in connections:
                with closing(sock):
                    if owner == victim:
                        with suppress(ConnectionResetError):
                            assert sock.recv(1) == b""
                    else:
                        sock.sendall(b"pid")
                        assert int(sock.recv(100)) == owner

    def test_a_killed_worker_of_a_shared_socket_loses_nobody_who_waits(self, tmp_path):
        with service(tmp_path, workers=1, listener=f"unix:{tmp_path}/socket") as running:
            running.until_listening()
            (victim,) = running.workers()
            os.kill(victim, signal.SIGSTOP)
            until(lambda: state(victim) == "T")
            later = [running.connect() for _ in range(20)]
            os.kill(victim, signal.SIGKILL)
            for sock in later:
                with closing(sock):
                    sock.sendall(b"pid")
                    assert int(sock.recv(100)) != victim

    def test_a_replacement_serves_within_a_second(self, tmp_path):
        """A busy machine may need longer, but not each time."""
        with service(tmp_path, workers=1) as running:
            running.until_listening()
            taken = []
            for _ in range(5):
                time.sleep(1.1)  # one that dies sooner is replaced after a pause
                (victim,) = running.workers()
                began = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                assert int(running.ask()) != victim
                taken.append(time.monotonic() - began)
                if taken[-1] < 1:
                    break
            assert min(taken) < 1, taken

    def test_workers_that_die_soon_are_replaced_after_growing_pauses(self, tmp_path):
        served = SERVED + "print('began', time.monotonic(), flush=True)\ngreenio.spawn(lambda: os._exit(7))\n"
        with service(tmp_path, workers=1, program=LOADING, served=served) as running:
            times = []

            def enough():
                times[:] = [float(each) for each in re.findall(r"began ([\d.]+)\n", running.told)]
                return len(times) > 4

            until(enough)
            pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
            assert all(pause >= least for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.8], strict=False)), pauses
            assert "has ended with status 7" in running.told
            assert running.end() == 0

    def test_the_pauses_end_at_five_seconds(self):
        paused = []

        class Supervisor:
            is_ending = False

            def tell(self, text):
                pass

            class ending:
                @staticmethod
                def wait(seconds):
                    paused.append(seconds)
                    return len(paused) == 9

            def fork(self, slot):
                worker = WorkerProcess(1, Options(1))
                worker.fork_failed("no memory")
                return worker

        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess
        from greenio._workers.slot import Slot

        slot = Slot(1, Supervisor())
        slot._restart(slot.supervisor.fork(slot))
        assert paused == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])

    def test_a_later_worker_that_cannot_start_is_tried_again(self, tmp_path):
        with service(tmp_path, workers=1, program=LOADING) as running:
            running.until_listening()
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            os.kill(running.workers()[0], signal.SIGKILL)
            running.until(r"has ended with status 3; it cannot start: Traceback[\s\S]*LookupError: broken")
            (tmp_path / "served.py").write_text(SERVED)
            assert int(running.ask()) in running.workers()

    def test_a_fork_that_fails_is_tried_again(self, tmp_path):
        with service(tmp_path, workers=1) as running:
            running.until_listening()
            (victim,) = running.workers()
            limit = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
            os.kill(victim, signal.SIGKILL)
            running.until("cannot fork: Too many open files")
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, limit)
            assert int(running.ask()) != victim
            assert running.end() == 0

    def test_a_worker_that_somebody_else_ends_is_replaced_while_it_drains(self, tmp_path):
        with service(tmp_path, workers=1) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                os.kill(old, signal.SIGTERM)
                running.until("was told to end: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


class TestStuckWorkers:
    @pytest.mark.parametrize("how", ["loop", "block"])
    def test_a_worker_whose_hub_does_not_turn_prints_all_stacks_and_is_replaced(self, tmp_path, how):
        with service(tmp_path, workers=1, worker_timeout=3) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as other, closing(running.connect()) as sock:
                other.sendall(b"wait 1000")
                running.until("waits")
                sock.sendall(how.encode())
                running.until(rf"worker 1 \(process {old}\) is stuck: its hub has not turned for [1-9]")
                running.until("was killed by SIG" + ("KILL" if how == "loop" else "ABRT"))
            told = running.told
            if how == "loop":
                assert f"what worker 1 (process {old}) does:" in told
                assert "greenio.sleep(float(argument))" in told  # the others' stacks, too
            else:
                assert "Fatal Python error: Aborted" in told
            assert "in handle" in told and int(running.ask()) != old

    def test_a_worker_that_has_not_loaded_in_time_is_stuck(self, tmp_path):
        served = SERVED + "time.sleep(1000)\n"
        with service(tmp_path, workers=1, program=LOADING, served=served, worker_timeout=0.5) as running:
            assert running.wait() == 3
            assert "is stuck" in running.told and "time.sleep(1000)" in running.told

    def test_time_in_which_the_supervisor_was_stopped_does_not_count(self, tmp_path):
        with service(tmp_path, workers=1, worker_timeout=3) as running:
            running.until_listening()
            (worker,) = running.workers()
            for pid in (running.pid, worker):
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3.5)
            os.kill(running.pid, signal.SIGCONT)
            time.sleep(0.2)
            os.kill(worker, signal.SIGCONT)
            assert int(running.ask()) == worker and "stuck" not in running.told


class TestRecycling:
    def test_max_requests_counts_connections_where_there_are_no_requests(self, tmp_path):
        with service(tmp_path, workers=1, max_requests=10, max_requests_jitter=0) as running:
            running.until_listening()
            (old,) = running.workers()
            for _ in range(9):
                assert int(running.ask()) == old
            with closing(running.connect()) as sock:  # keeps the old one from ending
                sock.sendall(b"wait 1000")
                running.until("waits")
                assert int(running.ask()) == old
                running.until(rf"worker 1 \(process {old}\) has served enough: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)

    def test_jitter_is_spread(self):
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess

        options = Options(2, max_requests=1000)
        assert options.max_requests_jitter == 100
        most = {WorkerProcess(1, options)._max_requests for _ in range(100)}
        assert len(most) > 10 and min(most) >= 1000 and max(most) <= 1100

    def test_a_worker_that_grows_too_large_is_recycled(self, tmp_path):
        with service(tmp_path, workers=1, max_rss=200 << 20) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                assert running.ask(b"grow 300") == b"grown"
                running.until(r"has \d+ MiB of memory: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)

    def test_workers_that_are_never_small_enough_are_not_replaced_without_end(self):
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess
        from greenio._workers.supervisor import Supervisor

        class Place:
            """A slot with a worker: this process, which is as large as it is."""

            def __init__(self):
                self.reasons = []
                self.replace()

            def replace(self):
                self.worker = WorkerProcess(1, options)
                self.worker.pid, self.worker.ready_at = os.getpid(), time.monotonic()

            def recycle(self, reason, worker):
                assert worker is self.worker
                self.reasons.append(reason)
                self.replace()
                done = AsyncResult()
                done.set(True)
                return done

        options = Options(1, max_rss=1)
        supervisor, slot = Supervisor(None, [], options), Place()
        now = time.monotonic()
        for seconds in (0, 1, 5, 9, 12):
            supervisor._recycle_if_needed(slot, now + seconds)
            some_turns()
        assert len(slot.reasons) == 2 and slot.reasons[0].endswith("MiB of memory")
        # What else there is to replace it for is not put off.
        slot.worker.counts.numbers[ENDING] = 1
        supervisor._recycle_if_needed(slot, now + 14)
        some_turns()
        assert slot.reasons[2:] == ["was told to end"]


def keep_asking(service):
    while True:
        yield int(service.ask())


class TestReloading:
    def test_no_request_fails_and_new_code_is_loaded(self, tmp_path):
        with service(tmp_path, program=LOADING) as running:
            running.until_listening()
            old = set(running.workers())
            assert running.ask(b"VERSION") == b"one"
            with clients(lambda: keep_asking(running)) as (answers, errors):
                until(lambda: len(answers) > 20)
                (tmp_path / "served.py").write_text(SERVED.replace('"one"', '"two!"'))
                running.send(signal.SIGHUP)
                running.until("reloaded\n")
                until(lambda: not old & set(running.workers()))
                seen = len(answers)
                until(lambda: len(answers) > seen + 20)
            assert errors == [] and set(answers[-4:]) <= set(running.workers())
            assert running.ask(b"VERSION") == b"two!"

    def test_the_new_one_is_ready_before_the_old_one_drains(self, tmp_path):
        with service(tmp_path, workers=1, program=LOADING) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 3")
                running.until("waits")
                # It loads for ever: until then, the old one serves.
                (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "os.mkfifo('f'); open('f'); VERSION ="))
                running.send(signal.SIGHUP)
                until(lambda: (tmp_path / "f").exists())
                assert int(running.ask()) == old
                with open(tmp_path / "f", "w"):
                    running.until("reloaded\n")
                until(lambda: int(running.ask()) != old)
                assert sock.recv(100) == b"done"

    def test_if_the_new_one_fails_the_old_one_goes_on(self, tmp_path):
        with service(tmp_path, program=LOADING) as running:
            running.until_listening()
            old = set(running.workers())
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            running.send(signal.SIGHUP)
            running.until("not reloaded\n")
            assert running.told.count("LookupError: broken") == running.told.count("goes on") == 1
            assert set(running.workers()) == old == set(pids(running))

    @pytest.mark.parametrize("dies", [False, True])
    def test_another_hang_up_ends_a_worker_that_waits_for_ever_while_it_loads(self, tmp_path, dies):
        program = "from greenio._workers import supervisor\nsupervisor._LONG_START = 0\n" + LOADING
        with service(tmp_path, program=program) as running:
            running.until_listening()
            old = running.workers()
            (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "greenio.sleep(1000)\nVERSION ="))
            running.send(signal.SIGHUP)
            running.until(r"(loaded by[\s\S]*){3}")
            if dies:
                # Its slot has nobody now.
                os.kill(old[0], signal.SIGKILL)
            (tmp_path / "served.py").write_text(SERVED)
            running.send(signal.SIGHUP)
            running.until(r"worker 1 \(process \d+\) has not started yet")
            until(lambda: "greenio: reloaded\n" in running.told and not set(old) & set(running.workers()))
            until(lambda: set(pids(running)) == set(running.workers()))  # whoever was given up has ended
            assert dies or "goes on" in running.told

    def test_nothing_is_said_of_it_when_the_service_ends(self, tmp_path):
        with service(tmp_path, program=LOADING) as running:
            running.until_listening()
            (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "greenio.sleep(1000)\nVERSION ="))
            running.send(signal.SIGHUP)
            running.until(r"(loaded by[\s\S]*){3}")
            assert running.end() == 0 and "reloaded" not in running.told

    def test_a_program_with_its_code_says_that_it_reloads_none(self, tmp_path):
        with service(tmp_path) as running:
            running.until_listening()
            old = set(running.workers())
            running.send(signal.SIGHUP)
            running.until("reloaded\n")
            assert "they reload no code" in running.told
            until(lambda: not old & set(running.workers()))


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_what_has_begun_is_finished(self, tmp_path, number):
        with service(tmp_path) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 0.5")
                running.until("waits")
                running.send(number)
                assert sock.recv(100) == b"done"
            assert running.wait() == 0

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_ends_at_once(self, tmp_path, number):
        with service(tmp_path, drain=1000) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                running.send(number)
                running.until("ending")
                running.send(number)
                assert running.wait() == 0
                assert "cleaned up" in running.told

    def test_quit_ends_at_once(self, tmp_path):
        with service(tmp_path, drain=1000) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                assert running.end(signal.SIGQUIT) == 0
                assert "cleaned up" in running.told and running.told.endswith("returned\n")

    def test_what_is_not_finished_in_time_is_killed(self, tmp_path):
        with service(tmp_path, drain=0.2) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                assert running.end() == 0
            assert "1 connections of worker" in running.told and "cleaned up" in running.told

    def test_a_worker_that_does_not_end_is_killed(self, tmp_path):
        program = PROGRAM.replace("import greenio\n", "import greenio, greenio._workers.options\n", 1)
        program = program.replace("server.serve", "greenio._workers.options._GRACE = 0.1\nserver.serve")
        with service(tmp_path, program=program, drain=0.1, worker_timeout=None) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"loop")
                until(lambda: any(state(pid) == "R" for pid in running.workers()))
                assert running.end() == 0
            assert running.told.count("was killed by SIGKILL") == 1

    def test_ctrl_c_in_a_terminal_reaches_all_and_ends_them_gently(self, tmp_path):
        with service(tmp_path) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 0.5")
                running.until("waits")
                os.killpg(running.pid, signal.SIGINT)
                assert sock.recv(100) == b"done"
            assert running.wait() == 0 and "Traceback" not in running.told

    def test_it_goes_on_accepting_while_balancers_forget_it(self, tmp_path):
        with service(tmp_path, pre_drain=1000, status="127.0.0.1:0") as running:
            running.until_listening()
            running.send(signal.SIGTERM)
            running.until("ending")
            assert int(running.ask()) in running.workers()
            assert running.status("/healthz") == (503, "draining\n")
            assert running.end() == 0

    def test_nobody_is_accepted_while_it_drains(self, tmp_path):
        with service(tmp_path) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                running.send(signal.SIGTERM)

                def refused():
                    try:
                        running.connect().close()
                    except ConnectionRefusedError:
                        return True
                    except ConnectionResetError:  # the listener was closed just then
                        return False
                    return False

                until(refused)


class TestTelling:
    def test_every_worker_prints_its_greenlets(self, tmp_path):
        with service(tmp_path, workers=2) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                running.send(signal.SIGUSR1)
                for pid in running.workers():
                    running.until(rf"what worker \d \(process {pid}\) does:")
                running.until("acceptor of <StreamServer[\\s\\S]*acceptor of <StreamServer")
                running.until(r", in handle\n")
            assert "_check_workers" not in running.told  # the supervisor's own are no business of a worker

    @pytest.mark.parametrize("name", ["{}/notify", "@{}"])
    def test_systemd_is_told(self, tmp_path, name):
        name = name.format(tmp_path)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
            systemd.bind(name.replace("@", "\0"))
            systemd.settimeout(60)
            with service(tmp_path, environment={"NOTIFY_SOCKET": name}) as running:
                running.until_listening()
                assert systemd.recv(1000) == b"READY=1"
                running.send(signal.SIGHUP)
                assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", systemd.recv(1000))
                assert systemd.recv(1000) == b"READY=1"
                running.send(signal.SIGTERM)
                assert systemd.recv(1000) == b"STOPPING=1"
                assert running.wait() == 0

    def test_nobody_listens_for_what_systemd_would_be_told(self, tmp_path):
        with service(tmp_path, environment={"NOTIFY_SOCKET": f"{tmp_path}/nobody"}) as running:
            running.until_listening()
            assert running.end() == 0 and "Traceback" not in running.told

    def test_health_and_metrics(self, tmp_path):
        with service(tmp_path, status="127.0.0.1:0") as running:
            running.until_listening()
            assert running.status("/healthz") == (200, "ok\n")
            assert running.status("/nothing")[0] == 404
            assert running.status("/healthz", "POST")[0] == 405
            victim = int(running.ask())
            os.kill(victim, signal.SIGKILL)
            running.until("SIGKILL")
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 1000")
                running.until("waits")
                metrics = running.metrics()
            assert sum(metrics["connections_total"].values()) == 2 and sum(metrics["connections"].values()) == 1
            until(lambda: sum(running.metrics()["workers_ready"].values()) == 2)
            assert sum(running.metrics()["worker_restarts_total"].values()) == 1
            assert min(running.metrics()["worker_resident_bytes"].values()) > 1 << 20
            assert min(running.metrics()["hub_lag_seconds"].values()) >= 0

    def test_what_a_worker_has_counted_is_there_whoever_looks_when_it_has_ended(self):
        from greenio._workers.metrics import _total
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess
        from greenio._workers.supervisor import Supervisor

        seen = []
        options = Options(1, tell=lambda text: seen.append(_total(supervisor.slots[0], supervisor.processes)[REQUESTS]))
        supervisor, worker = Supervisor(None, [], options), WorkerProcess(1, options)
        supervisor.processes.add(worker)
        worker.counts.numbers[REQUESTS] = 5
        worker.ready_at, worker.is_ending, worker.exit_code = 1.0, True, -9
        worker.ended.set()
        supervisor._worker_ended(worker)
        assert seen == [5]

    def test_a_stuck_worker_is_not_ready(self):
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess

        worker = WorkerProcess(1, Options(1))
        worker.ready_at = time.monotonic()
        assert worker.is_ready and not worker.check_beats(1, 2) and worker.is_ready
        assert worker.check_beats(1, 2) and not worker.is_ready

    def test_a_worker_keeps_no_client_of_the_status_waiting(self):
        from greenio._workers.status import StatusServer

        server = StatusServer(("127.0.0.1", 0), None)
        begun = []
        server.set_spawn(lambda *args: begun.append(spawn_later(1000, *args)) or begun[-1])  # just before it begins
        server.start()
        with closing(socket.create_connection(server.address)) as client:
            client.settimeout(60)
            until(lambda: begun)
            server.close_in_child()
            assert client.recv(100) == b""
        killall(begun)
        server.end()

    def test_a_status_on_a_unix_socket(self, tmp_path):
        with service(tmp_path, status=f"unix:{tmp_path}/status") as running:
            running.until_listening()
            assert f"status at unix:{tmp_path}/status: /healthz and /metrics\n" in running.told
            with closing(socket.socket(socket.AF_UNIX)) as sock:
                sock.connect(f"{tmp_path}/status")
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert sock.makefile("rb").read().endswith(b"\r\n\r\nok\n")

    def test_the_lag_of_a_stuck_worker_grows(self, tmp_path):
        with service(tmp_path, workers=1, status="127.0.0.1:0", worker_timeout=None) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"loop")
                until(lambda: sum(running.metrics()["hub_lag_seconds"].values()) > 1)

    def test_health_while_no_worker_is_ready(self, tmp_path):
        served = SERVED.replace("VERSION =", "os.path.exists('f') or os.mkfifo('f'); open('f').close(); VERSION =")
        with service(tmp_path, workers=1, program=LOADING, served=served, status="127.0.0.1:0") as running:
            running.until("status at")
            assert running.status("/healthz") == (503, "no worker is ready\n")
            assert "listening" not in running.told
            until(lambda: (tmp_path / "f").exists())
            with open(tmp_path / "f", "w"):
                running.until_listening()
            assert running.status("/healthz") == (200, "ok\n")

    def test_health_while_a_worker_cannot_start_again(self, tmp_path):
        with service(tmp_path, program=LOADING, status="127.0.0.1:0") as running:
            running.until_listening()
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            os.kill(running.workers()[0], signal.SIGKILL)
            slot = running.until(r"worker (\d) \(process \d+\) was killed by SIGKILL")[1]
            running.until("cannot start: Traceback")
            assert running.status("/healthz") == (503, f"not ready: worker {slot}\n")
            (tmp_path / "served.py").write_text(SERVED)
            until(lambda: running.status("/healthz") == (200, "ok\n"))

    def test_a_silent_client_of_the_status_does_not_hold_a_worker_s_end_up(self, tmp_path):
        with service(tmp_path, workers=1, status="127.0.0.1:0") as running:
            running.until_listening()
            host, port = running.status_address()
            with closing(socket.create_connection((host, port), timeout=60)) as silent:
                assert running.status("/healthz")[0] == 200
                os.kill(running.workers()[0], signal.SIGKILL)  # the next worker inherits nothing of it
                running.until("SIGKILL")
                running.ask()
                assert silent.recv(1) == b""  # and the supervisor closes it after a while
