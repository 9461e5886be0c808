"""Every example runs, as a reader would run it."""

import contextlib
import json
import os
import re
import runpy
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest
from places import CERTIFICATE, CHECKOUT, KEY
from services import serving
from waiting import until

import greenio
import greenio.socket
import greenio.time
from greenio.testing import MockClock

EXAMPLES = CHECKOUT / "examples"
TESTED = {
    "celery_stack.py",
    "celery_tasks.py",
    "chat_server.py",
    "crawler.py",
    "database_worker.py",
    "dns_lookup.py",
    "parallel_commands.py",
    "patched_requests.py",
    "port_forward.py",
    "echo_client.py",
    "echo_load.py",
    "echo_server.py",
    "gunicorn_conf.py",
    "interleave.py",
    "multicore_echo.py",
    "pipeline.py",
    "producer_consumer.py",
    "task_group.py",
    "tls_server.py",
    "udp_server.py",
    "websocket_chat.py",
    "wsgi_flask.py",
    "worker_pool.py",
}


def run(name, *args, **kwargs):
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, args)],
        capture_output=True, text=True, timeout=60, check=False, **kwargs,
    )  # fmt: skip


@contextlib.contextmanager
def echo_server(**options):
    command = [sys.executable, str(EXAMPLES / "echo_server.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as server:
        try:
            told = server.stdout.readline()
            yield server, int(re.search(r"127\.0\.0\.1:(\d+); try: nc 127\.0\.0\.1 \1", told)[1])
        finally:
            server.kill()


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == TESTED


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_echo_server_ends_by_a_signal_and_prints_its_counts(signum):
    with echo_server() as (server, port):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        server.send_signal(signum)
        rest, _ = server.communicate(timeout=30)
        assert server.returncode == 0
        assert re.search(r"^1 connections, 1 messages, 5 bytes in \d+\.\d seconds$", rest, re.M)


def test_ctrl_c_under_load():
    """The server computes most of the time, and yet only its main greenlet is interrupted."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(echo_server(stderr=subprocess.PIPE)) for _ in range(3)]
        for server, port in servers:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(50)]
            for _ in range(20):
                for client in clients:
                    client.sendall(b"hello")
                for client in clients[::2]:
                    client.recv(100)
            server.send_signal(signal.SIGINT)
        for server, _ in servers:
            out, errors = server.communicate(timeout=30)
            assert (
                re.search(r"50 connections, \d+ messages, \d+ bytes", out) and errors == "" and server.returncode == 0
            )


def test_the_echo_server_says_that_its_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("echo_server.py", "--port", taken.getsockname()[1])
    assert result.returncode == 1
    assert result.stderr.startswith("cannot listen: ") and len(result.stderr.splitlines()) == 1


def test_the_echo_client_prints_what_comes_back():
    with echo_server() as (_, port):
        result = run("echo_client.py", "--port", port, input="one\ntwo\n")
    assert (result.returncode, result.stdout, result.stderr) == (0, "one\ntwo\n", "")


@pytest.mark.parametrize("name", ["echo_client.py", "echo_load.py"])
def test_clients_say_that_nobody_listens(name):
    with socket.socket() as bound:  # no other process listens there meanwhile
        bound.bind(("127.0.0.1", 0))
        result = run(name, "--port", bound.getsockname()[1], input="")
    assert result.returncode == 1
    assert "refused" in result.stderr and len(result.stderr.splitlines()) == 1


def test_the_echo_load_prints_its_figures():
    with echo_server() as (_, port):
        for seconds in (0.3, 3, 30):  # on a busy machine the first time may be too short for an answer
            result = run("echo_load.py", "--port", port, "--connections", 20, "--size", 3000, "--seconds", seconds)
            if "no request was answered" not in result.stdout:
                break
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert re.match(
        r"\d+ requests of 3000 bytes over 20 connections in \d+\.\d+ seconds: \d+ requests/s\n", result.stdout
    )
    assert re.search(r"p50 [\d.]+  p90 [\d.]+  p99 [\d.]+  max [\d.]+\n", result.stdout)


@pytest.mark.parametrize("bad", [("--connections", "0"), ("--size", "-1"), ("--seconds", "x")])
def test_the_echo_load_refuses_bad_arguments(bad):
    result = run("echo_load.py", *bad)
    assert result.returncode == 2
    assert bad[0] in result.stderr


def test_producer_and_consumer_take_turns():
    result = run("producer_consumer.py")
    expected = "".join(f"produced {i}\n    consumed {i}\n" for i in range(1, 11))
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, "")


def test_two_greenlets_interleave():
    result = run("interleave.py")
    assert result.stdout.splitlines() == [
        "Running in foo",
        "Explicit context to bar",
        "Explicit context switch to foo again",
        "Implicit context switch back to bar",
    ]
    assert (result.returncode, result.stderr) == (0, "")


def test_the_worker_pool_prints_its_progress():
    result = run("worker_pool.py", "--jobs", 40, "--workers", 20)
    assert result.returncode == 0, result.stderr
    bar, summary = result.stdout.splitlines()[-2:]
    assert re.fullmatch(r"\[#{40}\] 40/40, \d+ failed", bar)
    assert re.fullmatch(r"40 jobs, 20 at a time, in \d+\.\d seconds", summary)


def test_the_pipeline_counts_words():
    result = run("pipeline.py", "a bb cc", "ddd e")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2 words of 1 letters\n2 words of 2 letters\n1 words of 3 letters\n"
    assert "words of 5 letters" in run("pipeline.py").stdout


def test_the_task_group_cancels_late_tasks():
    result = run("task_group.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "one: answered",
        "two: answered",
        "slow: cancelled",
        "bad: no answer",
        "late: cancelled",
        "deadline expired: True",
    ]


def test_commands_run_in_parallel_and_their_ends_are_printed():
    result = run("parallel_commands.py")
    assert result.returncode == 1, result.stderr
    lines = result.stdout.splitlines()
    assert {"1: 1", "1: 2", "1: 3", "2: slept", "3: failed"} <= set(lines)
    assert lines[-1] == "3 ended with 3: echo failed; exit 3"
    assert run("parallel_commands.py", "true", "echo x").returncode == 0


def test_the_dns_lookup_prints_addresses():
    result = run("dns_lookup.py", "127.0.0.1", "::1", "x" * 70)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:2] == ["127.0.0.1: 127.0.0.1", "::1: ::1"]
    assert "localhost: 127.0.0.1" in run("dns_lookup.py", "localhost").stdout


def test_the_port_forward_passes_data_and_ends():
    with echo_server() as (_, port):
        command = [sys.executable, str(EXAMPLES / "port_forward.py"), "0", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarder:
            own = int(re.search(r"forwarding 127\.0\.0\.1:(\d+) to", forwarder.stdout.readline())[1])
            with socket.create_connection(("127.0.0.1", own), timeout=30) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"hello"
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b""
            forwarder.send_signal(signal.SIGINT)
            rest, _ = forwarder.communicate(timeout=30)
            assert rest == "ended\n" and forwarder.returncode == 0


@contextlib.contextmanager
def example(name, *args):
    """Run an example that serves until Ctrl-C. Yields the port that it prints, and the process."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(re.search(r"127\.0\.0\.1:(\d+);", process.stdout.readline())[1]), process
        finally:
            process.kill()


def test_the_tls_echo_survives_a_client_without_tls():
    options = ["--cert", CERTIFICATE, "--key", KEY, "--port", 0]
    with example("tls_server.py", *options) as (port, process):
        context = ssl.create_default_context(cafile=CERTIFICATE)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"hello"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(b"not TLS\r\n")
            with contextlib.suppress(ConnectionResetError):
                plain.recv(100)
        assert process.stdout.readline().startswith(
            "127.0.0.1:"
        )  # a line with the client's address: it did not speak TLS
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "ended\n" and process.returncode == 0


def test_the_udp_echo_answers_and_counts():
    with example("udp_server.py", "--port", 0) as (port, process):
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(30)
            client.sendto(b"hello", ("127.0.0.1", port))
            assert client.recv(100) == b"hello"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "1 datagrams\n"


def test_patched_requests_fetch_all_files():
    result = subprocess.run(
        [sys.executable, EXAMPLES / "patched_requests.py", "--files", "10", "--at-once", "5"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "10/10" in result.stdout and "5 at a time" in result.stdout


def test_the_crawler_visits_every_page_and_keeps_its_limits():
    result = run("crawler.py", "--timeout", 60, "--per-host", 3)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-2] == "72 pages, 4 failed, 6 attempts repeated"
    assert int(re.fullmatch(r"at most (\d) requests at a time at one host", lines[-1])[1]) <= 3
    assert result.stdout.count("/11: Remote end closed connection without response") == 2
    assert result.stdout.count("/99: HTTP Error 404: Not Found") == 2


def test_the_crawler_gives_up_a_host_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run("crawler.py", f"http://127.0.0.1:{silent.getsockname()[1]}/", "--timeout", 0.1)
    assert "/: the block took longer than 0.1 seconds" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 pages, 1 failed, 2 attempts repeated"


def test_the_crawler_visits_no_more_pages_than_it_may():
    result = run("crawler.py", "--pages", 5)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-2] == "5 pages, 0 failed, 0 attempts repeated"


class Chatter:
    """A client of the chat server."""

    def __init__(self, port, name):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.lines = self.sock.makefile("r")
        assert self.lines.readline() == "your name?\n"
        self.say(name)
        assert self.lines.readline() == f"* {name} is in hall\n"

    def say(self, line):
        self.sock.sendall(f"{line}\n".encode())

    def hears(self, *lines):
        assert [self.lines.readline() for _ in lines] == [f"{line}\n" for line in lines]

    def close(self):
        self.lines.close()
        self.sock.close()


def test_the_chat_has_rooms_and_ends_cleanly():
    with example("chat_server.py", "--port", 0) as (port, process):
        ann = Chatter(port, "ann")
        bob = Chatter(port, "bob")
        ann.hears("* bob is in hall")
        ann.say("hello")
        bob.hears("ann: hello")
        bob.say("/join kitchen")
        bob.hears("* bob is in kitchen")
        ann.hears("* bob has left hall")
        bob.say("nobody hears this")
        bob.say("/join hall")
        ann.hears("* bob is in hall")
        process.send_signal(signal.SIGTERM)
        ann.hears("* the server stops")
        assert bob.lines.read() == "* bob is in hall\n* the server stops\n" and ann.lines.read() == ""
        assert process.communicate(timeout=30)[0] == "ended\n" and process.returncode == 0
        ann.close()
        bob.close()


def test_a_client_that_does_not_read_is_thrown_out_of_the_chat():
    with example("chat_server.py", "--port", 0) as (port, process):
        slow, other = Chatter(port, "slow"), Chatter(port, "other")
        line = "x" * 4000
        while not select.select([other.sock], [], [], 0)[0]:
            other.say(line)
        other.hears("* slow has left hall")
        assert process.stdout.readline() == "slow reads too slowly\n"
        slow.close()
        other.close()


def test_the_chat_drops_clients_that_do_not_read_and_keeps_those_that_say_nothing():
    """The time limit is one of sending."""
    chat = runpy.run_path(str(EXAMPLES / "chat_server.py"), run_name="chat_server")["Chat"]()
    with MockClock():
        ours, theirs = greenio.socket.socketpair()
        handler = greenio.spawn(chat.handle, ours, None)
        with theirs, ours:
            assert theirs.recv(100) == b"your name?\n"
            greenio.sleep(3600)
            theirs.sendall(b"ann\n")
            assert theirs.recv(100) == b"* ann is in hall\n"
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            [client] = chat.clients
            client.tell("x" * 10_000_000)
            began = greenio.time.monotonic()
            assert handler.join(3600) is None and handler.dead
            assert 9 < greenio.time.monotonic() - began < 60


def test_the_database_worker_does_every_job(tmp_path):
    result = run("database_worker.py", "--database", tmp_path / "jobs.db", "--jobs", 30)
    assert result.returncode == 0, result.stderr
    counts = re.fullmatch(r"(\d+) done, (\d+) failed, 0 running, 0 waiting", result.stdout.splitlines()[-1])
    assert sum(map(int, counts.groups())) == 30


def test_a_database_worker_that_is_stopped_leaves_the_rest_for_its_next_run(tmp_path):
    arguments = ["--database", str(tmp_path / "jobs.db"), "--workers", "1"]
    command = [sys.executable, "-u", str(EXAMPLES / "database_worker.py"), *arguments, "--jobs", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.read(1)  # the line with its progress
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[0].splitlines()[-1]
    assert process.returncode == 1
    waiting = re.search(r"(\d+) done, (\d+) failed, 0 running, (\d+) waiting", rest).groups()
    assert sum(map(int, waiting)) == 200 and int(waiting[2]) > 0
    assert run("database_worker.py", *arguments, "--jobs", 1, "--workers", 20).returncode == 0


def test_flask_is_served_and_ends_by_ctrl_c():
    pytest.importorskip("flask")
    command = [sys.executable, str(EXAMPLES / "wsgi_flask.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = int(re.search(r":(\d+)$", server.stdout.readline().strip())[1])
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"GET /hello/world HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b'"hello":"world"' in answer
            server.send_signal(signal.SIGINT)
            _, told = server.communicate(timeout=30)
            assert server.returncode == 0 and "Traceback" not in told
        finally:
            server.kill()


@pytest.mark.timeout(300)
def test_celery_on_redis_with_two_workers(tmp_path):
    pytest.importorskip("celery")
    pytest.importorskip("redis")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    port, log = unused_port(), tmp_path / "log"
    command = [sys.executable, str(EXAMPLES / "celery_stack.py"), "--port", str(port), "--concurrency", "50"]
    # The workers' output goes to a file: they would stop when a pipe that nobody reads is full.
    with open(log, "w") as file, subprocess.Popen(command, stdout=file, stderr=file) as stack:
        try:
            until(lambda: stack.poll() is not None or "all are ready" in log.read_text())
            environ = {**os.environ, "EXAMPLE_REDIS": f"redis://127.0.0.1:{port}/0"}
            client = run("celery_tasks.py", "--tasks", 80, "--seconds", 0.5, env=environ)
            assert client.returncode == 0, client.stderr + log.read_text()
            assert re.fullmatch(r"80 tasks of 0\.5 s in \d+\.\d s, by 2 workers\n", client.stdout)
            stack.send_signal(signal.SIGINT)
            assert stack.wait(60) == 0, log.read_text()
            told = log.read_text()
            assert "worker1  | has ended with status 0" in told and "redis    | has ended with status 0" in told
        finally:
            stack.terminate()


@pytest.mark.timeout(300)
def test_gunicorn_with_the_settings(tmp_path):
    for name in ("gunicorn", "flask", "httptools"):
        pytest.importorskip(name)
    port, log = unused_port(), tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "-c", str(EXAMPLES / "gunicorn_conf.py"), "--no-control-socket"]
    environ = {**os.environ, "BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "2"}
    with (
        open(log, "w") as file,
        subprocess.Popen(
            [*command, "examples.wsgi_flask:application"], cwd=CHECKOUT, env=environ, stdout=file, stderr=file
        ) as server,
    ):
        try:
            until(lambda: server.poll() is not None or log.read_text().count(" serves") == 2)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"GET /hello/world HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b'"hello":"world"' in answer
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0, log.read_text()
            assert '"GET /hello/world HTTP/1.0" 200' in log.read_text()
        finally:
            server.terminate()


def test_the_echo_server_on_all_cores_replaces_a_worker_that_is_killed(tmp_path):
    with serving(tmp_path, [EXAMPLES / "multicore_echo.py", "--port", "0", "--workers", "2"]) as service:
        service.until_listening()

        def worker():
            number, _, text = service.ask(b"hello\n").partition(b": ")
            assert text == b"hello\n"
            return int(number)

        before = set(service.workers())
        victim = worker()
        assert victim in before
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(set(service.workers()) - before) == 1)
        new = set(service.workers()) - before
        until(lambda: {worker()} == new)
        assert service.end(signal.SIGINT) == 0
        assert service.output.endswith("greenio: ending\nended\n")


class Browser:
    """A headless Chromium that is controlled over a WebSocket (Chrome DevTools Protocol)."""

    def __init__(self, websocket):
        self.websocket, self.number = websocket, 0

    def ask(self, method, session=None, **parameters):
        self.number += 1
        told = {"id": self.number, "method": method, "params": parameters}
        self.websocket.send(json.dumps({**told, "sessionId": session} if session else told))
        while (answer := json.loads(self.websocket.receive(timeout=30))).get("id") != self.number:
            pass  # an event
        return answer["result"]

    def open(self, url):
        """Open a tab, and return it for evaluate()."""
        target = self.ask("Target.createTarget", url=url)["targetId"]
        return self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def evaluate(self, tab, code):
        """Return the value of an expression of JavaScript in a tab."""
        return self.ask("Runtime.evaluate", tab, expression=code, returnByValue=True)["result"].get("value")

    def until(self, tab, code):
        """Wait until an expression is true."""
        end = time.monotonic() + 30
        while not self.evaluate(tab, code):
            assert time.monotonic() < end, self.evaluate(tab, "document.body.innerText")
            time.sleep(0.02)


@contextlib.contextmanager
def browser(folder):
    """A Browser, for the time of a block; skips the test if none is installed."""
    pytest.importorskip("websockets")
    from greenio.websocket import connect

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    command = [
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank",
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder), "no_proxy": "127.0.0.1"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            listens = re.compile(r"DevTools listening on (ws://\S+)")
            place = next(found[1] for found in map(listens.match, process.stderr) if found)
            with connect(place, proxy=None, max_size=None, timeout=30) as websocket:
                yield Browser(websocket)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_chat_in_a_browser(tmp_path):
    pytest.importorskip("httptools")
    command = [sys.executable, str(EXAMPLES / "websocket_chat.py"), "--port", "0"]
    with browser(tmp_path) as chromium:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
            try:
                page = re.search(r"http://\S+$", server.stdout.readline().strip())[0]
                one = chromium.open(f"{page}/?name=Ada")
                chromium.until(one, "document.getElementById('said')?.textContent === 'Adahas come'")
                other = chromium.open(f"{page}/?name=Bob")
                chromium.until(one, "document.getElementById('said').textContent === 'Adahas comeBobhas come'")
                text = "<b>h\u00e9llo</b> \U0001f600"
                chromium.evaluate(one, f"document.getElementById('text').value = {json.dumps(text)}")
                chromium.evaluate(one, "document.getElementById('form').requestSubmit()")
                seen = f"document.getElementById('said').lastChild?.textContent === {json.dumps('Ada' + text)}"
                chromium.until(other, seen)
                chromium.until(one, seen)
                server.send_signal(signal.SIGINT)
                for tab in (one, other):
                    chromium.until(tab, "document.getElementById('state').textContent.startsWith('closed: 1001')")
                _, told = server.communicate(timeout=30)
                assert server.returncode == 0 and "Traceback" not in told
            finally:
                server.kill()
