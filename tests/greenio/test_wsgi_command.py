"""python -m greenio.wsgi: finding an application, serving it, the end by signals, errors in one line."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY
from waiting import until

APPLICATION = """
import os, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("begun", flush=True)
        time.sleep(0.3)
    if environ["PATH_INFO"] == "/crash":
        raise LookupError("secret")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(%r + environ["SCRIPT_NAME"]).encode()]
def make():
    return application
number = 5
def failing():
    raise LookupError("told")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "web.py").write_text(APPLICATION % "hello")
    (tmp_path / "broken.py").write_text("import web\n1 / 0\n")
    (tmp_path / "wrong.py").write_text("def (\n")
    return tmp_path


def command(*arguments):
    return [sys.executable, "-X", "faulthandler", "-m", "greenio.wsgi", *map(str, arguments)]


def run(folder, *arguments):
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Running:
    def __init__(self, process):
        self.process = process
        self.lines = []
        self.url = self.until(r"listening on (\S+) \(process \d+")[1]

    def until(self, pattern):
        """Read standard error up to a line that matches; return the match."""
        while True:
            line = self.process.stderr.readline()
            assert line, f"the process ended: {self.lines}"
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def connect(self):
        if self.url.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(30)
            sock.connect(self.url[5:])
            return sock
        return socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=30)

    def get(self, path="/"):
        with self.connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return b"".join(iter(lambda: sock.recv(65536), b""))

    def until_taken(self):
        """Wait until the process has no pending signal."""
        pending = re.compile(r"^S[hi][dg]Pnd:\s+0*[1-9a-f]", re.MULTILINE)
        until(lambda: not pending.search(Path(f"/proc/{self.process.pid}/status").read_text()))

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, told = self.process.communicate(timeout=60)
        return out, "".join(self.lines) + told


@contextlib.contextmanager
def serving(folder, *arguments, application="web:application", bind="127.0.0.1:0"):
    process = subprocess.Popen(
        command(application, "-b", bind, *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_without_a_traceback(folder, number):
    with serving(folder) as server:
        assert server.get().endswith(b"\r\n\r\nhello")
        out, told = server.end(number)
    assert (
        server.process.returncode == 0
        and out == ""
        and told.endswith("greenio.wsgi: ending\n")
        and told.count("\n") == 2
    )


@pytest.mark.parametrize("application", ["web:application", "web:make()", "web"])
def test_an_application_can_be_named_in_several_ways(folder, application):
    result = run(folder, application, "--check")
    assert (result.returncode, result.stderr) == (0, f"greenio.wsgi: {application} can be served\n")


@pytest.mark.parametrize(
    ("application", "text"),
    [
        ("nothing:app", "there is no module 'nothing'"),
        ("web:nothing", "the module 'web' has no 'nothing'"),
        ("broken:app", "'broken' cannot be imported: ZeroDivisionError: division by zero"),
        ("wrong:app", "'wrong' cannot be imported: SyntaxError: "),
        ("web:number", "'number' of 'web' is not an application: it cannot be called"),
        ("web:failing()", "failing() of 'web' has failed: LookupError: told"),
        ("a/b.py", "'a/b.py' is not of the form module:application"),
        ("web.py", "there is no module 'web.py': write web:app\n"),
        ("web.py:make()", "there is no module 'web.py': write web:make()\n"),
    ],
)
def test_a_bad_application_is_one_line(folder, application, text):
    result = run(folder, application)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(f"greenio.wsgi: {text}") and result.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(folder, "web", "-b", f"127.0.0.1:{taken.getsockname()[1]}")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("greenio.wsgi: cannot listen: Address already in use: ('127.0.0.1', ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-b", "nonsense"], ["--certfile", "/nothing"], ["--keyfile", "/nothing"], ["--forwarded-from", "x"],
        ["--access-log-format", "%(x)s"], ["--script-name", "x"], ["--access-log", "/nothing/x"], ["--max-body", "-1"],
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(folder, arguments):
    result = run(folder, "web", *arguments)
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and result.stderr.startswith("greenio.wsgi: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--drain nan", "argument --drain: 'nan' is neither a number of seconds nor none"),
        ("--pre-drain nan", "argument --pre-drain: 'nan' is neither a number of seconds nor none"),
        ("--idle-timeout 5K", "argument --idle-timeout: '5K' is neither a number of seconds nor none"),
        ("--max-body 10X", "argument --max-body: '10X' is not a number such as 1000, 500K, 10M or 2G"),
        ("-w 0", "argument -w/--workers: '0' is not a number from 1 "),
        ("-w auto", "argument -w/--workers: 'auto' is not a number from 1 "),
        ("--backlog 99999999999", "argument --backlog: '99999999999' is not a number from 1 "),
        ("--status :0", "--status goes with --workers"),
        ("--preload", "--preload goes with --workers"),
        ("--max-requests 5", "--max-requests goes with --workers"),
        ("--worker-timeout none", "--worker-timeout goes with --workers"),
        ("--access-log-format json", "--access-log-format goes with --access-log"),
        ("--chdir /nothing", "--chdir: No such file or directory: '/nothing'"),
        ("--certfile /nothing", "the certificate cannot be loaded: No such file or directory: '/nothing'"),
        (
            f"--certfile {CERTIFICATE} --keyfile /none",
            "the certificate cannot be loaded: No such file or directory: '/none'",
        ),
        ("--forwarded-from x", "--forwarded-from: 'x' is not a network: write an address (10.0.0.1), a network "),
        ("--proxy-protocol 10.0.0.1/8", "--proxy-protocol: 10.0.0.1/8 has host bits set: write an address "),
        ("--mode 660", "--mode goes with a Unix socket"),
        ("-b unix:socket --mode 9", "argument --mode: '9' is not an octal number"),
        ("--unknown", "unrecognized arguments: --unknown"),
    ],
)
def test_an_error_names_the_argument(folder, arguments, text):
    result = run(folder, "web", *arguments.split())
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"greenio.wsgi: {text}")


def test_endless_times_and_sizes_with_units_are_accepted(folder):
    arguments = ["--drain", "inf", "--pre-drain", "1e12", "--request-timeout", "inf", "--max-body", "10M"]
    with serving(folder, *arguments) as server:
        assert server.get().endswith(b"hello")
        server.process.send_signal(signal.SIGTERM)
        server.until("ending")
        assert server.get().endswith(b"hello")
        server.end()
    assert server.process.returncode == 0


def test_a_unix_socket_has_the_mode_of_the_option(folder):
    with serving(folder, "--mode", "620", bind=f"unix:{folder}/socket") as server:
        assert os.stat(folder / "socket").st_mode & 0o777 == 0o620
        server.end()


@pytest.mark.parametrize("how", ["blocks", "swallows"])
def test_a_stubborn_application_ends_with_the_second_signal(folder, how):
    (folder / "web.py").write_text(
        """
import greenio, time
def application(environ, start_response):
    print("begun", flush=True)
    while True:
        try:
            (time if environ["PATH_INFO"] == "/blocks" else greenio).sleep(1000)
        except BaseException:
            pass
"""
    )
    with serving(folder, "--drain", "1000") as server, server.connect() as sock:
        sock.sendall(f"GET /{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert server.process.stdout.readline() == "begun\n"
        server.process.send_signal(signal.SIGTERM)
        # While the main thread has not taken the first signal, the system may give the second one to another thread.
        # Then the call that blocks the main thread would not be interrupted.
        server.until_taken()
        server.process.send_signal(signal.SIGINT)
        server.process.wait(60)
        assert server.process.returncode == 1


def test_without_httptools_it_says_what_to_install(folder):
    (folder / "httptools.py").write_text("raise ImportError('hidden')\n")
    result = run(folder, "web", "-b", "127.0.0.1:0")
    assert result.returncode == 1
    assert result.stderr == "greenio.wsgi: greenio.wsgi needs httptools to serve: pip install 'greenio[wsgi]'\n"
    code = (
        "import greenio.wsgi\n"
        "try: greenio.wsgi.WSGIServer(('127.0.0.1', 0), print).start()\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "greenio.wsgi needs httptools to serve: pip install 'greenio[wsgi]'\n"


def test_a_patched_server_ends_a_connection_after_its_answer(folder):
    with serving(folder, "--patch") as server:
        assert server.get().endswith(b"hello")
        server.end()


def test_requests_under_way_are_answered_at_the_end(folder):
    with serving(folder, "--patch") as server, server.connect() as sock:
        sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.process.stdout.readline() == "begun\n"
        server.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert b"Connection: close" in answer and answer.endswith(b"hello")
        assert server.process.wait(60) == 0


def test_a_second_signal_ends_it_at_once(folder):
    (folder / "web.py").write_text(APPLICATION.replace("0.3", "1000") % "hello")
    with serving(folder, "--patch", "--drain", "1000") as server, server.connect() as sock:
        sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.process.stdout.readline() == "begun\n"
        server.process.send_signal(signal.SIGTERM)
        server.until("ending")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


AT_THE_END = """
import atexit, os, sys, time
sys.modules["greenio._wsgi.command"]._SECOND_SIGNAL_LIMIT = 1000  # seconds: however busy the machine is

def linger():
    print("lingers", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.001)
    print("ends", flush=True)

atexit.register(linger)
"""


@pytest.mark.parametrize(
    ("before", "number", "options"),
    [
        (1, signal.SIGTERM, ()),
        (1, signal.SIGINT, ()),
        (2, signal.SIGTERM, ()),
        (2, signal.SIGINT, ()),
        (1, signal.SIGTERM, ("-w", "1", "--preload")),
    ],
)
def test_more_signals_do_not_kill_it_while_it_ends(folder, before, number, options):
    (folder / "web.py").write_text(APPLICATION % "hello" + AT_THE_END)
    with serving(folder, *options) as server, server.connect() as sock:
        if before == 2:
            sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert server.process.stdout.readline() == "begun\n"
        for _ in range(before):
            server.process.send_signal(signal.SIGTERM)
            if "ending" not in server.lines[-1]:
                server.until("ending")
        assert server.process.stdout.readline() == "lingers\n"
        for _ in range(5):
            server.process.send_signal(number)
            time.sleep(0.005)  # so that the signals come one by one
        (folder / "go").touch()
        out, told = server.process.communicate(timeout=60)
        assert (server.process.returncode, out, told) == (0, "ends\n", "")


def test_connections_are_accepted_during_pre_drain(folder):
    with serving(folder, "--pre-drain", "1000") as server:
        server.process.send_signal(signal.SIGTERM)
        server.until("ending")
        assert server.get().endswith(b"hello")
        _, told = server.end()
        assert server.process.returncode == 0 and "Traceback" not in told


def test_a_crash_shows_the_client_nothing(folder):
    with serving(folder) as server:
        assert b"secret" not in server.get("/crash")
        _, told = server.end()
    assert told.count("Traceback") == 1
    with serving(folder, "--debug") as server:
        assert b"LookupError: secret" in server.get("/crash")


def test_options_reach_the_server(folder):
    with serving(folder, "--access-log", "-", "--script-name", "/app", "--max-request-line", "100") as server:
        assert server.get("/app").endswith(b"hello/app")
        assert b" 414 " in server.get("/" + "a" * 100)
        out, _ = server.end()
    assert '"GET /app HTTP/1.0" 200 9 "-" "-"' in out


def test_the_access_log_is_written_while_it_serves(folder):
    path = folder / "access.log"
    path.write_text("earlier\n")
    with serving(folder, "--access-log", "-", "--access-log-format", "%(m)s %(U)s") as server:
        server.get("/a")
        assert server.process.stdout.readline() == "GET /a\n"
    with serving(folder, "--access-log", path, "--access-log-format", "%(m)s %(U)s") as server:
        for _ in range(1000):
            server.get("/a")
        # At the end, the log is complete.
        server.get("/b")
        server.end()
    assert path.read_text() == "earlier\n" + "GET /a\n" * 1000 + "GET /b\n"


def test_a_unix_socket_listens(folder):
    with serving(folder, bind=f"unix:{folder}/socket") as server:
        assert server.get().endswith(b"hello")
        server.end()
    assert not (folder / "socket").exists()


def test_https_with_certificates_that_are_read_again(folder):
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(CERTIFICATE.read_bytes())
    key.write_bytes(KEY.read_bytes())

    def get(cafile, name):
        context = ssl.create_default_context(cafile=cafile)
        with server.connect() as plain, context.wrap_socket(plain, server_hostname=name) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(65536), b""))

    with serving(folder, "--certfile", certificate, "--keyfile", key) as server:
        assert server.url.startswith("https://")
        assert get(CERTIFICATE, "localhost").endswith(b"hello")
        certificate.write_bytes(OTHER_CERTIFICATE.read_bytes())
        key.write_bytes(OTHER_KEY.read_bytes())
        server.process.send_signal(signal.SIGHUP)
        server.until("loaded again")
        assert get(OTHER_CERTIFICATE, "other.example").endswith(b"hello")
        certificate.write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        server.until("the old one stays")
        assert get(OTHER_CERTIFICATE, "other.example").endswith(b"hello")
        server.end()
    assert server.process.returncode == 0


def test_changed_sources_are_loaded_anew(folder):
    with serving(folder, "--reload") as server:
        assert server.get().endswith(b"hello")
        rewrite(folder / "web.py", "def (\n")
        server.until("has changed")
        server.until("cannot be imported")
        rewrite(folder / "web.py", APPLICATION % "goodbye")
        server.url = server.until(r"listening on (\S+)")[1]
        assert server.get().endswith(b"goodbye")
        server.end()
    assert server.process.returncode == 0


def rewrite(path, text):
    """Replace a file in one step, with another time of change: a reader finds the old file or the new one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    later = time.time() + 10
    os.utime(new, (later, later))
    new.replace(path)
