"""python -m greenio.wsgi --workers: an application in several processes, under a supervisor."""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing

import pytest
from places import CERTIFICATE, KEY
from services import clients, serving
from waiting import until

APPLICATION = """
import os, time
import greenio
print("loaded by", os.getpid(), flush=True)
VERSION = b"one"
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        print("begun", flush=True)
        greenio.sleep(1000)
    if path == "/crash":
        raise LookupError("told")
    if path == "/fork":
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
    if path == "/loop":
        while True:
            pass
    if path == "/sleep":
        print("begun", flush=True)
        time.sleep(1000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %s %d" % (os.getpid(), VERSION, environ["wsgi.multiprocess"])]
"""


def service(folder, *arguments, bind="127.0.0.1:0", workers=2):
    if not (folder / "web.py").exists():
        (folder / "web.py").write_text(APPLICATION)
    return serving(folder, ["-m", "greenio.wsgi", "web", "-w", workers, "-b", bind, *arguments])


def get(service, path="/"):
    """Send a request; return the whole answer (bytes)."""
    with service.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def worker_of(answer):
    return int(answer.partition(b"\r\n\r\n")[2].split()[0])


def test_every_worker_serves_the_application(tmp_path):
    with service(tmp_path) as running:
        running.until_listening()
        answers = [get(running) for _ in range(40)]
        assert {worker_of(each) for each in answers} == set(running.workers())
        assert all(each.endswith(b" one 1") for each in answers)
        assert running.end() == 0
        loaders = re.findall(r"loaded by (\d+)\n", running.output)
        assert len(loaders) == 2 and str(running.pid) not in loaders
        told = [line for line in running.output.splitlines() if not line.startswith("loaded")]
        assert len(told) == 2 and told[1] == "greenio.wsgi: ending"
        assert re.fullmatch(rf"greenio.wsgi: listening on http://\S+ \(process {running.pid}, 2 workers\)", told[0])


def keep_asking(service):
    """Ask again and again on one connection. A closed connection is replaced, as clients do."""
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        used = False
        while True:
            try:
                connection.request("GET", "/")
                yield connection.getresponse().read()
                used = True
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not used:  # a new connection must not fail
                    raise
                used = False
                connection.close()


@pytest.mark.parametrize("options", [(), ("--patch",)])
def test_no_request_fails_while_new_code_is_loaded(tmp_path, options):
    with service(tmp_path, *options) as running:
        running.until_listening()
        old = set(running.workers())
        with clients(lambda: keep_asking(running)) as (answers, errors):
            until(lambda: len(answers) > 50)
            (tmp_path / "web.py").write_text(APPLICATION.replace('b"one"', 'b"two!"'))
            running.send(signal.SIGHUP)
            running.until("reloaded\n")
            until(lambda: not old & set(running.workers()))
            seen = len(answers)
            until(lambda: len(answers) > seen + 50)
        assert errors == [] and answers[-1].endswith(b" two! 1")


@pytest.mark.parametrize(
    ("application", "lines", "text"),
    [
        ("raise LookupError('broken')", None, "a worker cannot start: 'web' cannot be imported: LookupError: broken\n"),
        ("application = None", 1, "a worker cannot start: the module 'web' has no 'application' and no 'app'\n"),
    ],
)
@pytest.mark.parametrize("option", ["--debug", "--preload"])
def test_an_application_that_cannot_be_loaded_ends_everything(tmp_path, application, lines, text, option):
    (tmp_path / "web.py").write_text(application)
    with service(tmp_path, option) as running:
        assert running.wait() == 3
    if option == "--preload":
        text = text.replace("a worker cannot start: ", "")
    assert running.output.startswith(f"greenio.wsgi: {text}")
    assert running.output.count("\n") == lines if lines else running.output.count("Traceback") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["-w", "0"], ["-w", "2", "--reload"], ["-w", "2", "--status", "x"], ["-w", "2", "--max-requests", "0"],
        ["-w", "2", "--worker-timeout", "0"], ["-w", "2", "-b", "nonsense"],
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(tmp_path, arguments):
    with serving(tmp_path, ["-m", "greenio.wsgi", "web", *arguments]) as running:
        assert running.wait() == 1
    assert running.output.count("\n") == 1 and running.output.startswith("greenio.wsgi: ")


def test_bad_arguments_of_a_worker_s_server_are_one_line(tmp_path):
    with service(tmp_path, "--script-name", "x") as running:
        assert running.wait() == 3
    told = [line for line in running.output.splitlines() if not line.startswith("loaded")]
    assert len(told) == 1 and told[0].startswith("greenio.wsgi: a worker cannot start: ")


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with service(tmp_path, bind=f"127.0.0.1:{taken.getsockname()[1]}") as running:
            assert running.wait() == 1
    assert running.output.count("\n") == 1
    assert running.output.startswith("greenio.wsgi: cannot listen: Address already in use: ('127.0.0.1', ")


def test_requests_statuses_and_timeouts_are_counted(tmp_path):
    with service(tmp_path, "--status", "127.0.0.1:0", "--request-timeout", "0.5", "--header-timeout", "0.5") as running:
        running.until_listening()
        for _ in range(5):
            get(running)
        assert b" 500 " in get(running, "/crash")
        assert b" 503 " in get(running, "/slow")
        with running.connect() as sock:
            sock.sendall(b"GET / HT")
            assert b" 408 " in sock.recv(1000)
        with running.connect() as sock:
            sock.sendall(b"malformed\r\n\r\n")
            assert b" 400 " in sock.recv(1000)
        until(lambda: sum(running.metrics()["connections"].values()) == 0)
        metrics = running.metrics()
        by_status = {}
        for labels, number in metrics["responses_total"].items():
            status = re.search(r'status="(\d+)"', labels)[1]
            by_status[status] = by_status.get(status, 0) + number
        assert by_status == {"200": 5, "500": 1, "503": 1, "408": 1, "400": 1}
        assert sum(metrics["requests_total"].values()) == sum(metrics["connections_total"].values()) == 9
        assert sum(metrics["timeouts_total"].values()) == 2
        assert sum(metrics["requests_in_flight"].values()) == 0


def test_requests_in_forked_children_are_not_counted(tmp_path):
    with service(tmp_path, "--status", "127.0.0.1:0", workers=1) as running:
        running.until_listening()
        (worker,) = running.workers()
        # Both processes answer, and both end the request and the connection.
        assert get(running, "/fork").count(b"HTTP/1.1 200") == 2
        until(lambda: sum(running.metrics()["connections"].values()) <= 0)
        metrics = {name: sum(each.values()) for name, each in running.metrics().items()}
        assert metrics["connections"] == metrics["requests_in_flight"] == 0
        assert metrics["connections_total"] == metrics["requests_total"] == metrics["responses_total"] == 1
        assert running.workers() == [worker]


def test_health_is_503_while_the_service_drains(tmp_path):
    with service(tmp_path, "--status", "127.0.0.1:0", "--drain", "1000") as running:
        running.until_listening()
        with closing(running.connect()) as sock:
            sock.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            running.until("begun")
            assert sum(running.metrics()["requests_in_flight"].values()) == 1
            assert running.status("/healthz") == (200, "ok\n")
            running.send(signal.SIGTERM)
            running.until("ending")
            assert running.status("/healthz") == (503, "draining\n")
            running.send(signal.SIGTERM)
            assert running.wait() == 0


def test_workers_are_recycled_after_their_requests(tmp_path):
    with service(tmp_path, "--max-requests", 20, "--max-requests-jitter", 0, workers=1) as running:
        running.until_listening()
        (old,) = running.workers()
        connection = http.client.HTTPConnection(*running.address, timeout=60)
        with closing(connection):
            for _ in range(20):  # of one connection
                connection.request("GET", "/")
                assert int(connection.getresponse().read().split()[0]) == old
        running.until("has served enough: worker 1")
        until(lambda: worker_of(get(running)) != old)


def test_preload_loads_once(tmp_path):
    with service(tmp_path, "--preload") as running:
        running.until_listening()
        assert worker_of(get(running)) in running.workers()
        assert re.findall(r"loaded by (\d+)\n", running.output) == [str(running.pid)]


def test_a_hang_up_reads_the_certificate_again(tmp_path):
    certificate = tmp_path / "cert.pem"
    shutil.copy(CERTIFICATE, certificate)
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with service(tmp_path, "--certfile", certificate, "--keyfile", KEY, "--status", "127.0.0.1:0") as running:
        running.until_listening()
        assert running.status("/healthz") == (200, "ok\n")  # the status is served without TLS

        def ask():
            with context.wrap_socket(running.connect(), server_hostname="localhost") as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: sock.recv(65536), b""))

        old = set(running.workers())
        assert worker_of(ask()) in old
        certificate.write_text("nonsense")
        running.send(signal.SIGHUP)
        running.until("not reloaded\n")
        assert "cannot start: the certificate cannot be loaded" in running.output and worker_of(ask()) in old
        shutil.copy(CERTIFICATE, certificate)
        running.send(signal.SIGHUP)
        running.until("(?<!not )reloaded\n")
        until(lambda: worker_of(ask()) not in old)


def test_a_unix_socket_is_served_by_all(tmp_path):
    with service(tmp_path, bind=f"unix:{tmp_path}/socket") as running:
        running.until_listening()
        assert worker_of(get(running)) in running.workers()
        assert running.end() == 0
    assert not (tmp_path / "socket").exists()


def test_a_patched_worker_that_is_stuck_prints_all_stacks(tmp_path):
    with service(tmp_path, "--patch", "--worker-timeout", "3", workers=1) as running:
        running.until_listening()
        with closing(running.connect()) as sleeping, closing(running.connect()) as looping:
            sleeping.sendall(b"GET /sleep HTTP/1.0\r\n\r\n")
            running.until("begun")
            looping.sendall(b"GET /loop HTTP/1.0\r\n\r\n")
            running.until("was killed by SIGKILL")
        assert "is stuck" in running.output and "while True:" not in running.output.partition("does:")[0]
        assert "time.sleep(1000)" in running.output.partition("does:")[2]
        assert worker_of(get(running)) in running.workers()


def test_a_server_in_a_program(tmp_path):
    (tmp_path / "program.py").write_text(
        APPLICATION
        + "from greenio.wsgi import WSGIServer\n"
        + "WSGIServer(('127.0.0.1', 0), application, log=None).serve_forever(workers=2)\n"
    )
    with serving(tmp_path, ["program.py"]) as running:
        running.until_listening()
        assert get(running).endswith(b" one 1")
        assert running.end() == 0


def test_check_starts_no_workers(tmp_path):
    (tmp_path / "web.py").write_text(APPLICATION)
    result = subprocess.run(
        [sys.executable, "-m", "greenio.wsgi", "web", "-w", "2", "--check"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True, env=os.environ,
    )  # fmt: skip
    assert result.stderr == "greenio.wsgi: web can be served\n"
