"""SIGHUP replaces all workers, which load the code anew. No request fails."""

import os
import signal
from contextlib import closing

import pytest
from echo_service import LOADING, SERVED, answering_workers, echo_service
from services import clients
from waiting import until


def keep_asking(service):
    while True:
        yield int(service.ask())


class TestReloading:
    def test_no_request_fails_and_new_code_is_loaded(self, tmp_path):
        with echo_service(tmp_path, program=LOADING) as running:
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

    def test_the_new_worker_is_ready_before_the_old_one_drains(self, tmp_path):
        with echo_service(tmp_path, workers=1, program=LOADING) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as sock:
                sock.sendall(b"wait 3")
                running.until("waits")
                # The new worker loads until the test opens the pipe. Until then, the old one serves.
                (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "os.mkfifo('f'); open('f'); VERSION ="))
                running.send(signal.SIGHUP)
                until(lambda: (tmp_path / "f").exists())
                assert int(running.ask()) == old
                with open(tmp_path / "f", "w"):
                    running.until("reloaded\n")
                until(lambda: int(running.ask()) != old)
                assert sock.recv(100) == b"done"

    def test_if_the_new_worker_fails_the_old_one_goes_on(self, tmp_path):
        with echo_service(tmp_path, program=LOADING) as running:
            running.until_listening()
            old = set(running.workers())
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            running.send(signal.SIGHUP)
            running.until("not reloaded\n")
            assert running.output.count("LookupError: broken") == running.output.count("goes on") == 1
            assert set(running.workers()) == old == set(answering_workers(running))

    @pytest.mark.parametrize("dies", [False, True])
    def test_another_hang_up_replaces_a_worker_that_never_finishes_loading(self, tmp_path, dies):
        program = "from greenio._workers import supervisor\nsupervisor._LONG_START = 0\n" + LOADING
        with echo_service(tmp_path, program=program) as running:
            running.until_listening()
            old = running.workers()
            (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "greenio.sleep(1000)\nVERSION ="))
            running.send(signal.SIGHUP)
            running.until(r"(loaded by[\s\S]*){3}")
            if dies:
                # Its slot has no worker now.
                os.kill(old[0], signal.SIGKILL)
            (tmp_path / "served.py").write_text(SERVED)
            running.send(signal.SIGHUP)
            running.until(r"worker 1 \(process \d+\) has not started yet")
            until(lambda: "greenio: reloaded\n" in running.output and not set(old) & set(running.workers()))
            until(lambda: set(answering_workers(running)) == set(running.workers()))  # workers given up have ended
            assert dies or "goes on" in running.output

    def test_a_service_that_ends_meanwhile_does_not_say_reloaded(self, tmp_path):
        with echo_service(tmp_path, program=LOADING) as running:
            running.until_listening()
            (tmp_path / "served.py").write_text(SERVED.replace("VERSION =", "greenio.sleep(1000)\nVERSION ="))
            running.send(signal.SIGHUP)
            running.until(r"(loaded by[\s\S]*){3}")
            assert running.end() == 0 and "reloaded" not in running.output

    def test_a_program_that_has_loaded_its_code_says_that_none_is_reloaded(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            old = set(running.workers())
            running.send(signal.SIGHUP)
            running.until("reloaded\n")
            assert "they reload no code" in running.output
            until(lambda: not old & set(running.workers()))
