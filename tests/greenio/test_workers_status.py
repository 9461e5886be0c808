"""Reports of a service of several processes: its stacks, its messages to systemd, the pages of its status."""

import os
import re
import signal
import socket
import time
from contextlib import closing

import pytest
from echo_service import LOADING, SERVED, echo_service, request_that_waits
from waiting import until

from greenio import killall, spawn_later
from greenio._servers.counts import REQUESTS


class TestTelling:
    def test_every_worker_prints_its_greenlets(self, tmp_path):
        with echo_service(tmp_path, workers=2) as running:
            running.until_listening()
            with request_that_waits(running):
                running.send(signal.SIGUSR1)
                for pid in running.workers():
                    running.until(rf"what worker \d \(process {pid}\) does:")
                running.until("acceptor of <StreamServer[\\s\\S]*acceptor of <StreamServer")
                running.until(r", in handle\n")
            assert "_check_workers" not in running.output  # a greenlet of the supervisor

    @pytest.mark.parametrize("name", ["{}/notify", "@{}"])
    def test_systemd_is_told(self, tmp_path, name):
        name = name.format(tmp_path)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
            systemd.bind(name.replace("@", "\0"))
            systemd.settimeout(60)
            with echo_service(tmp_path, environment={"NOTIFY_SOCKET": name}) as running:
                running.until_listening()
                assert systemd.recv(1000) == b"READY=1"
                running.send(signal.SIGHUP)
                assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", systemd.recv(1000))
                assert systemd.recv(1000) == b"READY=1"
                running.send(signal.SIGTERM)
                assert systemd.recv(1000) == b"STOPPING=1"
                assert running.wait() == 0

    def test_a_notify_socket_without_a_listener_is_no_error(self, tmp_path):
        with echo_service(tmp_path, environment={"NOTIFY_SOCKET": f"{tmp_path}/nobody"}) as running:
            running.until_listening()
            assert running.end() == 0 and "Traceback" not in running.output

    def test_health_and_metrics(self, tmp_path):
        with echo_service(tmp_path, status="127.0.0.1:0") as running:
            running.until_listening()
            assert running.status("/healthz") == (200, "ok\n")
            assert running.status("/nothing")[0] == 404
            assert running.status("/healthz", "POST")[0] == 405
            victim = int(running.ask())
            os.kill(victim, signal.SIGKILL)
            running.until("SIGKILL")
            with request_that_waits(running):
                metrics = running.metrics()
            assert sum(metrics["connections_total"].values()) == 2 and sum(metrics["connections"].values()) == 1
            until(lambda: sum(running.metrics()["workers_ready"].values()) == 2)
            assert sum(running.metrics()["worker_restarts_total"].values()) == 1
            assert min(running.metrics()["worker_resident_bytes"].values()) > 1 << 20
            assert min(running.metrics()["hub_lag_seconds"].values()) >= 0

    def test_the_counts_of_a_worker_are_kept_before_its_end_is_told(self):
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

    def test_a_forked_worker_holds_no_connection_of_the_status_open(self):
        from greenio._workers.status import StatusServer

        server = StatusServer(("127.0.0.1", 0), None)
        begun = []
        server.set_spawn(
            lambda *args: begun.append(spawn_later(1000, *args)) or begun[-1]
        )  # a handler before it begins
        server.start()
        with closing(socket.create_connection(server.address)) as client:
            client.settimeout(60)
            until(lambda: begun)
            server.close_in_child()
            assert client.recv(100) == b""
        killall(begun)
        server.end()

    def test_a_status_on_a_unix_socket(self, tmp_path):
        with echo_service(tmp_path, status=f"unix:{tmp_path}/status") as running:
            running.until_listening()
            assert f"status at unix:{tmp_path}/status: /healthz and /metrics\n" in running.output
            with closing(socket.socket(socket.AF_UNIX)) as sock:
                sock.connect(f"{tmp_path}/status")
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert sock.makefile("rb").read().endswith(b"\r\n\r\nok\n")

    def test_the_lag_of_a_stuck_worker_grows(self, tmp_path):
        with echo_service(tmp_path, workers=1, status="127.0.0.1:0", worker_timeout=None) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"loop")
                until(lambda: sum(running.metrics()["hub_lag_seconds"].values()) > 1)

    def test_health_while_no_worker_is_ready(self, tmp_path):
        served = SERVED.replace("VERSION =", "os.path.exists('f') or os.mkfifo('f'); open('f').close(); VERSION =")
        with echo_service(tmp_path, workers=1, program=LOADING, served=served, status="127.0.0.1:0") as running:
            running.until("status at")
            assert running.status("/healthz") == (503, "no worker is ready\n")
            assert "listening" not in running.output
            until(lambda: (tmp_path / "f").exists())
            with open(tmp_path / "f", "w"):
                running.until_listening()
            assert running.status("/healthz") == (200, "ok\n")

    def test_health_while_a_worker_cannot_start_again(self, tmp_path):
        with echo_service(tmp_path, program=LOADING, status="127.0.0.1:0") as running:
            running.until_listening()
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            os.kill(running.workers()[0], signal.SIGKILL)
            slot = running.until(r"worker (\d) \(process \d+\) was killed by SIGKILL")[1]
            running.until("cannot start: Traceback")
            assert running.status("/healthz") == (503, f"not ready: worker {slot}\n")
            (tmp_path / "served.py").write_text(SERVED)
            until(lambda: running.status("/healthz") == (200, "ok\n"))

    def test_a_silent_client_of_the_status_does_not_hold_a_worker_s_end_up(self, tmp_path):
        with echo_service(tmp_path, workers=1, status="127.0.0.1:0") as running:
            running.until_listening()
            host, port = running.status_address()
            with closing(socket.create_connection((host, port), timeout=60)) as silent:
                assert running.status("/healthz")[0] == 200
                os.kill(running.workers()[0], signal.SIGKILL)  # the next worker inherits nothing of it
                running.until("SIGKILL")
                running.ask()
                assert silent.recv(1) == b""  # and the supervisor closes it after a while
