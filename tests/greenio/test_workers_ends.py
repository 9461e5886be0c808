"""How a service of several processes ends: requests under way, limits of time, signals."""

import os
import signal
from contextlib import closing

import pytest
from echo_service import PROGRAM, echo_service, request_that_waits, state_of
from waiting import until


class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_requests_under_way_are_finished(self, tmp_path, number):
        with echo_service(tmp_path) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 0.5")
                running.until("waits")
                running.send(number)
                assert sock.recv(100) == b"done"
            assert running.wait() == 0

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_ends_at_once(self, tmp_path, number):
        with echo_service(tmp_path, drain=1000) as running:
            running.until_listening()
            with request_that_waits(running):
                running.send(number)
                running.until("ending")
                running.send(number)
                assert running.wait() == 0
                assert "cleaned up" in running.output

    def test_quit_ends_at_once(self, tmp_path):
        with echo_service(tmp_path, drain=1000) as running:
            running.until_listening()
            with request_that_waits(running):
                assert running.end(signal.SIGQUIT) == 0
                assert "cleaned up" in running.output and running.output.endswith("returned\n")

    def test_requests_that_outlast_the_drain_are_killed(self, tmp_path):
        with echo_service(tmp_path, drain=0.2) as running:
            running.until_listening()
            with request_that_waits(running):
                assert running.end() == 0
            assert "1 connections of worker" in running.output and "cleaned up" in running.output

    def test_a_worker_that_does_not_end_is_killed(self, tmp_path):
        program = PROGRAM.replace("import greenio\n", "import greenio, greenio._workers.options\n", 1)
        program = program.replace("server.serve", "greenio._workers.options._GRACE = 0.1\nserver.serve")
        with echo_service(tmp_path, program=program, drain=0.1, worker_timeout=None) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"loop")
                until(lambda: any(state_of(pid) == "R" for pid in running.workers()))
                assert running.end() == 0
            assert running.output.count("was killed by SIGKILL") == 1

    def test_ctrl_c_in_a_terminal_reaches_all_and_ends_them_gently(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 0.5")
                running.until("waits")
                os.killpg(running.pid, signal.SIGINT)
                assert sock.recv(100) == b"done"
            assert running.wait() == 0 and "Traceback" not in running.output

    def test_it_goes_on_accepting_while_balancers_forget_it(self, tmp_path):
        with echo_service(tmp_path, pre_drain=1000, status="127.0.0.1:0") as running:
            running.until_listening()
            running.send(signal.SIGTERM)
            running.until("ending")
            assert int(running.ask()) in running.workers()
            assert running.status("/healthz") == (503, "draining\n")
            assert running.end() == 0

    def test_connections_are_refused_while_it_drains(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            with request_that_waits(running):
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
