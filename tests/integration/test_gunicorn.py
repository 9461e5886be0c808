"""gunicorn with greenio.contrib.gunicorn's workers: real processes, signals and clients."""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from places import CERTIFICATE, KEY, TESTS
from waiting import until

from greenio import joinall, sleep, spawn
from greenio.socket import AF_UNIX, create_connection, socket

pytest.importorskip("gunicorn")

PROGRAMS = TESTS / "integration" / "programs"
LIMIT = 60  # seconds for what must happen
WORKERS = ["GreenioWorker", "GreenioWSGIWorker"]
names = count()


class Gunicorn:
    """gunicorn in a process of its own."""

    def __init__(self, worker, folder, *options, bind="127.0.0.1:0", environ=None):
        self.bind = bind
        self.log_path = folder / f"log{next(names)}"
        self.hooks_path = folder / f"hooks{next(names)}"
        self.hooks_path.touch()
        command = [sys.executable, "-X", "faulthandler", "-m", "gunicorn", "-k", f"greenio.contrib.gunicorn.{worker}"]
        command += ["-b", bind, "-c", str(PROGRAMS / "gunicorn_settings.py"), "--log-file", str(self.log_path)]
        command += ["--no-control-socket", *map(str, options), "gunicorn_app:application"]
        path = os.pathsep.join([str(PROGRAMS), *filter(None, [os.environ.get("PYTHONPATH")])])
        with open(f"{self.log_path}.stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=PROGRAMS,
                env={**os.environ, "HOOKS": str(self.hooks_path), "PYTHONPATH": path, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def log(self):
        paths = [self.log_path, Path(f"{self.log_path}.stderr")]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def hooks(self):
        """The lines that gunicorn's hooks have written (text)."""
        return self.hooks_path.read_text()

    def until_logged(self, text):
        def is_logged():
            assert self.process.poll() is None, self.log()
            return text in self.log()

        try:
            until(is_logged)
        except AssertionError:
            pytest.fail(f"{text!r} is not in:\n{self.log()}")

    def until_ready(self):
        self.until_logged("Booting worker")
        if self.bind.startswith("unix:"):
            self.address = self.bind.removeprefix("unix:")
        else:
            # With --reuse-port, gunicorn's first process does not listen, and does not log the address.
            found = re.search(r"Listening at: https?://127\.0\.0\.1:(\d+)", self.log())
            self.address = ("127.0.0.1", int(found[1] if found else self.bind.rpartition(":")[2]))
        return self

    def connect(self):
        if isinstance(self.address, tuple):
            return Client(create_connection(self.address, timeout=LIMIT))
        sock = socket(AF_UNIX)
        sock.settimeout(LIMIT)
        sock.connect(self.address)
        return Client(sock)

    def ask(self, target="/", *fields):
        with contextlib.closing(self.connect()) as client:
            return client.ask(target, *fields, "Connection: close")

    def pid(self):
        return int(self.ask()[1])

    def signal(self, number):
        self.process.send_signal(number)

    def ends(self):
        """Wait for gunicorn's end; return its status."""
        until(lambda: self.process.poll() is not None)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Client:
    """A connection to gunicorn, with a buffer for reading."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, target, *fields, body=b"", method="GET"):
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *fields])
        self.sock.sendall(head.encode() + b"\r\n\r\n" + body)

    def read(self):
        """Read an answer; return its head and its body."""
        head = b"".join(iter(self.file.readline, b"\r\n")) if self.file.peek(1) else b""
        assert head, "the connection has ended"
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        body = self.file.read(int(length[1])) if length else b"" if b" 103 " in head else self.file.read()
        return head.decode(), body

    def ask(self, target="/", *fields, **options):
        self.send(target, *fields, **options)
        return self.read()

    def has_ended(self):
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.sock.close()


class Gate:
    """The files by which a request says that it has begun, and waits."""

    def __init__(self, folder):
        name = next(names)
        self.begun, self.gate = folder / f"begun{name}", folder / f"gate{name}"
        self.target = f"/gated?begun={self.begun}&gate={self.gate}"

    def until_begun(self):
        until(lambda: self.begun.exists() and self.begun.read_text())

    def open(self):
        self.gate.touch()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


@pytest.fixture
def start(tmp_path):
    """start(worker, *options) returns a gunicorn that serves."""
    with contextlib.ExitStack() as stack:

        def start(worker, *options, **keywords):
            return stack.enter_context(contextlib.closing(Gunicorn(worker, tmp_path, *options, **keywords)))

        yield lambda *args, **keywords: start(*args, **keywords).until_ready()


@pytest.fixture
def start_unready(tmp_path):
    """start_unready(worker, *options) returns a gunicorn that may refuse to serve."""
    with contextlib.ExitStack() as stack:
        yield lambda worker, *options: stack.enter_context(contextlib.closing(Gunicorn(worker, tmp_path, *options)))


@pytest.mark.parametrize("worker", WORKERS)
class TestServing:
    def test_many_clients_at_once(self, start, worker):
        server = start(worker)
        asking = [spawn(server.ask, "/meet?number=100") for _ in range(100)]
        joinall(asking)
        assert {each.get()[1] for each in asking} == {b"met"}
        assert "Traceback" not in server.log() and "Warning" not in server.log()

    def test_a_connection_has_several_requests(self, start, worker):
        server = start(worker, "--keep-alive", 1000)
        with contextlib.closing(server.connect()) as client:
            assert len({client.ask()[1] for _ in range(3)}) == 1
            assert client.ask("/length", "Content-Length: 5", body=b"hello", method="POST")[1] == b"5"

    def test_without_keep_alive_a_connection_has_one_request(self, start, worker):
        server = start(worker, "--keep-alive", 0)
        with contextlib.closing(server.connect()) as client:
            head, _ = client.ask()
            assert "connection: close" in head.lower()
            assert client.has_ended()

    def test_several_workers_share_the_clients(self, start, worker):
        server = start(worker, "-w", 2)
        until(lambda: server.log().count("Booting worker") == 2)
        found = set()
        until(lambda: found.add(server.pid()) or len(found) == 2)

    def test_workers_with_reuse_port_share_the_clients(self, start, worker):
        with contextlib.closing(socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        server = start(worker, "-w", 2, "--reuse-port", bind=f"127.0.0.1:{port}")
        until(lambda: server.log().count("Booting worker") == 2)
        found = set()
        until(lambda: found.add(server.pid()) or len(found) == 2)

    def test_unix_sockets_are_served(self, start, worker, tmp_path):
        server = start(worker, bind=f"unix:{tmp_path}/socket")
        assert server.pid() != server.process.pid

    def test_tls_is_served(self, start, worker):
        server = start(worker, "--certfile", CERTIFICATE, "--keyfile", KEY)
        context = ssl.create_default_context(cafile=CERTIFICATE)
        with contextlib.closing(server.connect()) as client:
            from greenio import ssl as ours

            context = ours.create_default_context(cafile=CERTIFICATE)
            secure = Client(context.wrap_socket(client.sock, server_hostname="localhost"))
            environ = json.loads(secure.ask("/environ", "Connection: close")[1])
            assert environ["wsgi.url_scheme"] == "https"
            secure.close()

    def test_a_crash_is_logged_and_answered(self, start, worker):
        server = start(worker)
        assert " 500 " in server.ask("/crash")[0]
        server.until_logged("ValueError: crashed")
        assert server.ask()[0].startswith("HTTP/1.1 200")

    def test_no_second_answer_follows_a_timeout_in_the_middle_of_one(self, start, worker):
        server = start(worker)
        with contextlib.closing(server.connect()) as client:
            client.send("/late")
            data = client.file.read()
        assert data.count(b"HTTP/1.1") == 1 and b" 200 " in data and data.endswith(b"5\r\nbegun\r\n")
        server.until_logged("Timeout: 1 second")
        assert server.ask()[0].startswith("HTTP/1.1 200")

    def test_early_hints_are_sent(self, start, worker):
        server = start(worker)
        with contextlib.closing(server.connect()) as client:
            head, _ = client.ask("/hinted")
            assert " 103 " in head and "style.css" in head
            assert client.read()[1] == b"hinted"

    def test_the_access_log_has_its_format_and_is_reopened(self, start, worker, tmp_path):
        server = start(
            worker,
            "--access-logfile",
            tmp_path / "access",
            "--access-logformat",
            "%(m)s %(U)s %(s)s %({x-field}i)s %(B)s",
        )
        server.ask("/meet?number=1", "X-Field: value")
        until(lambda: "GET /meet 200 value 3" in (tmp_path / "access").read_text())
        os.rename(tmp_path / "access", tmp_path / "before")
        server.signal(signal.SIGUSR1)
        until((tmp_path / "access").exists)

        def is_reopened():
            server.ask()
            return "GET / 200 -" in (tmp_path / "access").read_text()

        until(is_reopened)

    def test_hooks_of_requests_are_called(self, start, worker):
        server = start(worker, environ={"REQUEST_HOOKS": "1"})
        server.ask("/meet?number=1", "X-Field: value")
        until(lambda: "after" in server.hooks())
        before, after = server.hooks().splitlines()
        assert before == "before GET /meet?number=1 /meet value"
        assert after.startswith("after /meet 200") and after.endswith(" /meet")

    def test_a_connection_above_the_limit_waits(self, start, worker, gate):
        server = start(worker, "--worker-connections", 2)
        asking = [spawn(server.ask, gate.target) for _ in range(2)]
        gate.until_begun()
        with contextlib.closing(server.connect()) as client:
            client.send("/")
            third = spawn(client.read)
            joinall([third], timeout=0.2)
            assert not third.ready()
            gate.open()
            assert third.get()[0].startswith("HTTP/1.1 200")
        joinall(asking)


@pytest.mark.parametrize("worker", WORKERS)
class TestSignals:
    def test_term_ends_idle_connections_at_once_and_busy_ones_after_their_answer(self, start, worker, gate):
        server = start(worker, "--keep-alive", 1000, "--graceful-timeout", 1000)
        with contextlib.ExitStack() as stack:
            idle, busy = (stack.enter_context(contextlib.closing(server.connect())) for _ in range(2))
            idle.ask()
            busy.send(gate.target)
            gate.until_begun()
            server.signal(signal.SIGTERM)
            assert idle.has_ended()
            assert server.process.poll() is None
            gate.open()
            head, body = busy.read()
            assert body == b"done" and "connection: close" in head.lower()
            assert busy.has_ended()
        assert server.ends() == 0
        assert "Traceback" not in server.log() and "timeout" not in server.log()

    def test_no_request_of_a_busy_client_fails_after_term(self, start, worker, tmp_path):
        settings = tmp_path / "settings.py"
        settings.write_text("""
from gunicorn_settings import *

def post_worker_init(worker):
    import greenio._wsgi.server, greenio.contrib.gunicorn
    greenio._wsgi.server.NEXT_REQUEST = greenio.contrib.gunicorn.NEXT_REQUEST = 1000  # not to depend on time
""")
        server = start(worker, "-c", settings, "--keep-alive", 1000, "--graceful-timeout", 1000)
        with contextlib.closing(server.connect()) as client:
            assert client.ask("/length")[0].startswith("HTTP/1.1 200")
            server.signal(signal.SIGTERM)
            while "connection: close" not in client.ask("/length")[0].lower():
                pass
            assert client.has_ended()
        assert server.ends() == 0

    def test_a_head_that_has_begun_is_waited_for(self, start, worker):
        server = start(worker, "--keep-alive", 1000, "--graceful-timeout", 1000)
        with contextlib.ExitStack() as stack:
            idle, slow = (stack.enter_context(contextlib.closing(server.connect())) for _ in range(2))
            for each in (idle, slow):
                each.ask()
            slow.sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
            # When a later request on another connection has its answer, the worker has read this head.
            idle.ask()
            server.signal(signal.SIGTERM)
            assert idle.has_ended()
            slow.sock.sendall(b"localhost\r\n\r\n")
            assert slow.read()[0].startswith("HTTP/1.1 200")
        assert server.ends() == 0

    def test_the_graceful_timeout_ends_busy_connections(self, start, worker, gate):
        server = start(worker, "--graceful-timeout", 2)
        with contextlib.closing(server.connect()) as client:
            client.send(gate.target)
            gate.until_begun()
            server.signal(signal.SIGTERM)
            assert client.has_ended()
        server.ends()

    def test_a_worker_that_gets_term_while_it_begins_ends(self, start, worker, tmp_path):
        begun = tmp_path / "begun"
        settings = tmp_path / "settings.py"
        settings.write_text(f"""
from gunicorn_settings import *
import os, signal
from greenio import monkey

def post_fork(server, worker):
    patch_all = monkey.patch_all
    def get_term_meanwhile():
        if not os.path.exists({str(begun)!r}):
            with open({str(begun)!r}, "w") as file:
                print(os.getpid(), file=file)
            os.kill(os.getpid(), signal.SIGTERM)
        patch_all()
    monkey.patch_all = get_term_meanwhile
""")
        server = start(worker, "-c", settings)
        until(lambda: begun.exists() and begun.read_text())
        until(lambda: f"exit {begun.read_text()}" in server.hooks())

    def test_a_worker_that_gets_term_alone_is_replaced(self, start, worker, gate):
        """It has the whole graceful timeout for itself, and logs how many connections it has cut off."""
        server = start(worker, "--graceful-timeout", 1)
        with contextlib.closing(server.connect()) as client:
            client.send(gate.target)
            gate.until_begun()
            os.kill(int(gate.begun.read_text()), signal.SIGTERM)
            assert client.has_ended()
        server.until_logged("Worker graceful timeout")
        assert "1 connections were cut off" in server.log()
        assert server.pid() != int(gate.begun.read_text())

    @pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
    def test_hup_starts_new_workers_and_drains_the_old(self, start, worker, gate, preload):
        server = start(worker, "--keep-alive", 1000, "--graceful-timeout", 1000, *preload)
        with contextlib.ExitStack() as stack:
            idle, busy = (stack.enter_context(contextlib.closing(server.connect())) for _ in range(2))
            before = int(idle.ask()[1])
            busy.send(gate.target)
            gate.until_begun()
            server.signal(signal.SIGHUP)
            assert idle.has_ended()
            until(lambda: server.pid() != before)
            gate.open()
            assert busy.read()[1] == b"done"
        until(lambda: f"exit {before}" in server.hooks())
        server.signal(signal.SIGTERM)
        assert server.ends() == 0
        assert "Traceback" not in server.log() and "Warning" not in server.log()

    @pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
    def test_quit_and_int_end_at_once(self, start, worker, gate, number):
        server = start(worker, "--graceful-timeout", 1000)
        with contextlib.closing(server.connect()) as client:
            client.send(gate.target)
            gate.until_begun()
            server.signal(number)
            assert server.ends() == 0
            assert client.has_ended()

    def test_a_stuck_worker_logs_its_stacks_and_is_replaced(self, start, worker, gate):
        server = start(worker, "--timeout", 2)
        with contextlib.closing(server.connect()) as waiting, contextlib.closing(server.connect()) as client:
            waiting.send(gate.target)
            gate.until_begun()
            client.send("/compute")
            server.until_logged("WORKER TIMEOUT")
            until(lambda: "abort" in server.hooks())
            assert "answer_compute" in server.log() and "answer_gated" in server.log()
        before = int(gate.begun.read_text())
        assert server.pid() != before

    def test_waiting_does_not_count_as_stuck(self, start, worker, gate):
        server = start(worker, "--timeout", 1)
        with contextlib.closing(server.connect()) as client:
            client.send(gate.target)
            gate.until_begun()
            sleep(3)
            gate.open()
            assert client.read()[1] == b"done"
        assert "WORKER TIMEOUT" not in server.log()

    def test_the_hub_waits_for_signals(self, start, worker):
        about = json.loads(start(worker).ask("/about")[1])
        assert about["wakes gunicorn's pipe"] is False

    def test_preload_patches_before_the_application_is_imported(self, start, worker):
        server = start(worker, "--preload")
        about = json.loads(server.ask("/about")[1])
        assert about["loaded in"] == server.process.pid
        assert about["sleeps as patched"]
        asking = [spawn(server.ask, "/meet?number=20") for _ in range(20)]
        joinall(asking)
        assert {each.get()[1] for each in asking} == {b"met"}

    def test_a_worker_ends_after_its_number_of_requests(self, start, worker):
        server = start(worker, "--max-requests", 5, "--keep-alive", 1000)
        found = []
        until(lambda: found.append(server.pid()) or len(set(found)) == 3)
        assert found.count(found[0]) >= 5
        assert "Autorestarting worker" in server.log()


class TestHTTP2:
    def test_requests_and_a_gentle_end(self, start):
        pytest.importorskip("h2")
        import h2.connection
        import h2.events

        from greenio import ssl as ours

        server = start(
            "GreenioWorker", "--certfile", CERTIFICATE, "--keyfile", KEY, "--http-protocols", "h2,h1",
            "--graceful-timeout", 1000,
        )  # fmt: skip
        context = ours.create_default_context(cafile=CERTIFICATE)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(create_connection(server.address, timeout=LIMIT), server_hostname="localhost") as sock:
            connection = h2.connection.H2Connection()
            connection.initiate_connection()

            def events_to(kind):
                while True:
                    sock.sendall(connection.data_to_send())
                    data = sock.recv(65536)
                    for event in connection.receive_data(data):
                        if isinstance(event, kind):
                            return event
                    assert data, "the connection has ended"

            fields = [(":method", "GET"), (":authority", "localhost"), (":scheme", "https"), (":path", "/")]
            connection.send_headers(1, fields, end_stream=True)
            assert int(events_to(h2.events.DataReceived).data) != server.process.pid
            events_to(h2.events.StreamEnded)
            server.signal(signal.SIGTERM)
            assert events_to(h2.events.ConnectionTerminated).last_stream_id == 1
        assert server.ends() == 0


class TestSettings:
    """gunicorn's settings with GreenioWSGIWorker, whose HTTP is greenio.wsgi's."""

    worker = "GreenioWSGIWorker"

    @pytest.mark.parametrize(
        "options",
        [
            ["--threads", "4"], ["--http-protocols", "h2,h1"], ["--header-map", "dangerous"], ["--protocol", "uwsgi"],
            ["--strip-header-spaces", "--permit-obsolete-folding"],
        ],
    )  # fmt: skip
    def test_unsupported_settings_are_refused_by_name(self, start_unready, options):
        server = start_unready(self.worker, *options)
        assert server.ends() == 1
        for option in options:
            if option.startswith("--"):
                assert option[2:].replace("-", "_") in server.log()
        assert "Traceback" not in server.log() and "Booting" not in server.log()

    def test_every_setting_is_honoured_or_refused(self):
        from gunicorn.config import Config

        from greenio.contrib._gunicorn import settings

        cfg = Config()
        assert settings.refused(cfg) == []
        cfg.set("threads", 3)
        cfg.set("casefold_http_method", True)
        assert settings.refused(cfg) == ["casefold_http_method", "threads"]
        cfg.set("workers", 3)
        cfg.set("forwarded_allow_ips", "10.0.0.1")
        assert settings.refused(cfg) == ["casefold_http_method", "threads"]

    def test_limits_are_honoured(self, start):
        server = start(
            self.worker, "--limit-request-line", 100, "--limit-request-fields", 5, "--limit-request-field_size", 50
        )
        assert " 200 " in server.ask("/?" + "x" * 50)[0]
        assert " 414 " in server.ask("/?" + "x" * 150)[0]
        assert " 431 " in server.ask("/", *[f"X-{number}: 1" for number in range(6)])[0]
        assert " 431 " in server.ask("/", f"X-Long: {'x' * 60}")[0]

    def test_only_a_trusted_proxy_may_set_the_scheme(self, start):
        fields = ["X-Forwarded-Proto: https", "X-Forwarded-For: 9.9.9.9"]
        trusting = start(self.worker)
        environ = json.loads(trusting.ask("/environ", *fields)[1])
        assert environ["wsgi.url_scheme"] == "https" and environ["REMOTE_ADDR"] == "127.0.0.1"
        assert " 400 " in trusting.ask("/environ", *fields, "X-Forwarded-Ssl: off")[0]
        strict = start(self.worker, "--forwarded-allow-ips", "10.0.0.1")
        assert json.loads(strict.ask("/environ", *fields)[1])["wsgi.url_scheme"] == "http"

    def test_the_proxy_protocol_sets_the_clients_address(self, start):
        server = start(self.worker, "--proxy-protocol", "auto", "--proxy-allow-from", "127.0.0.1")
        with contextlib.closing(server.connect()) as client:
            client.sock.sendall(b"PROXY TCP4 9.9.9.9 127.0.0.1 1234 80\r\n")
            environ = json.loads(client.ask("/environ")[1])
            assert environ["REMOTE_ADDR"] == "9.9.9.9"

    def test_files_are_sent_without_sendfile(self, start, tmp_path):
        (tmp_path / "file").write_text("content")
        server = start(self.worker, "--no-sendfile")
        assert server.ask(f"/file?path={tmp_path}/file")[1] == b"content"

    def test_the_environ_says_that_there_are_several_workers(self, start):
        environ = json.loads(start(self.worker, "-w", 2).ask("/environ")[1])
        assert environ["wsgi.multiprocess"] is True and environ["SERVER_SOFTWARE"].startswith("greenio/")

    def test_the_parser_refuses_two_kinds_of_length(self, start):
        server = start(self.worker)
        assert " 400 " in server.ask("/", "Content-Length: 3", "Transfer-Encoding: chunked")[0]

    def test_an_unsupported_setting_does_not_end_a_server_that_reloads(self, start, tmp_path):
        more = tmp_path / "more.py"
        more.write_text("from gunicorn_settings import *\n")
        server = start(self.worker, "-c", more)
        before = server.pid()
        more.write_text("from gunicorn_settings import *\nthreads = 4\n")
        server.signal(signal.SIGHUP)
        until(lambda: server.pid() != before)
        assert "ignores them: threads" in server.log()
