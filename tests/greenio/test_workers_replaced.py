"""Workers that die, are stuck, or have served enough are replaced. Real processes, killed for real."""

import os
import re
import resource
import signal
import time
from contextlib import closing, suppress

import pytest
from echo_service import LOADING, SERVED, echo_service, open_connection, request_that_waits, state_of
from services import is_alive
from waiting import let_others_run, until

from greenio._servers.counts import ENDING
from greenio.event import AsyncResult


class TestDeaths:
    def test_only_connections_that_a_killed_worker_had_accepted_fail(self, tmp_path):
        with echo_service(tmp_path) as running:
            running.until_listening()
            connections = [open_connection(running) for _ in range(40)]
            victim = connections[0][1]
            os.kill(victim, signal.SIGSTOP)  # from now on it accepts nothing
            until(lambda: state_of(victim) == "T")
            later = []
            for _ in range(40):  # many of these connections wait in its socket
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

    def test_clients_that_wait_in_a_shared_socket_outlive_a_killed_worker(self, tmp_path):
        with echo_service(tmp_path, workers=1, listener=f"unix:{tmp_path}/socket") as running:
            running.until_listening()
            (victim,) = running.workers()
            os.kill(victim, signal.SIGSTOP)
            until(lambda: state_of(victim) == "T")
            later = [running.connect() for _ in range(20)]
            os.kill(victim, signal.SIGKILL)
            for sock in later:
                with closing(sock):
                    sock.sendall(b"pid")
                    assert int(sock.recv(100)) != victim

    def test_a_replacement_serves_within_a_second(self, tmp_path):
        """On a busy machine this may take longer, but not each time."""
        with echo_service(tmp_path, workers=1) as running:
            running.until_listening()
            taken = []
            for _ in range(5):
                time.sleep(1.1)  # a worker that dies sooner is replaced after a pause
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
        with echo_service(tmp_path, workers=1, program=LOADING, served=served) as running:
            times = []

            def enough():
                times[:] = [float(each) for each in re.findall(r"began ([\d.]+)\n", running.output)]
                return len(times) > 4

            until(enough)
            pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
            assert all(pause >= least for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.8], strict=False)), pauses
            assert "has ended with status 7" in running.output
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
        with echo_service(tmp_path, workers=1, program=LOADING) as running:
            running.until_listening()
            (tmp_path / "served.py").write_text("raise LookupError('broken')")
            os.kill(running.workers()[0], signal.SIGKILL)
            running.until(r"has ended with status 3; it cannot start: Traceback[\s\S]*LookupError: broken")
            (tmp_path / "served.py").write_text(SERVED)
            assert int(running.ask()) in running.workers()

    def test_a_fork_that_fails_is_tried_again(self, tmp_path):
        with echo_service(tmp_path, workers=1) as running:
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
        with echo_service(tmp_path, workers=1) as running:
            running.until_listening()
            (old,) = running.workers()
            with request_that_waits(running):
                os.kill(old, signal.SIGTERM)
                running.until("was told to end: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)


class TestStuckWorkers:
    @pytest.mark.parametrize("how", ["loop", "block"])
    def test_a_worker_whose_hub_does_not_turn_prints_all_stacks_and_is_replaced(self, tmp_path, how):
        with echo_service(tmp_path, workers=1, worker_timeout=3) as running:
            running.until_listening()
            (old,) = running.workers()
            with closing(running.connect()) as other, closing(running.connect()) as sock:
                other.sendall(b"wait 1000")
                running.until("waits")
                sock.sendall(how.encode())
                running.until(rf"worker 1 \(process {old}\) is stuck: its hub has not turned for [1-9]")
                running.until("was killed by SIG" + ("KILL" if how == "loop" else "ABRT"))
            told = running.output
            if how == "loop":
                assert f"what worker 1 (process {old}) does:" in told
                assert "greenio.sleep(float(argument))" in told  # the others' stacks, too
            else:
                assert "Fatal Python error: Aborted" in told
            assert "in handle" in told and int(running.ask()) != old

    def test_a_worker_that_has_not_loaded_in_time_is_stuck(self, tmp_path):
        served = SERVED + "time.sleep(1000)\n"
        with echo_service(tmp_path, workers=1, program=LOADING, served=served, worker_timeout=0.5) as running:
            assert running.wait() == 3
            assert "is stuck" in running.output and "time.sleep(1000)" in running.output

    def test_time_in_which_the_supervisor_was_stopped_does_not_count(self, tmp_path):
        with echo_service(tmp_path, workers=1, worker_timeout=3) as running:
            running.until_listening()
            (worker,) = running.workers()
            for pid in (running.pid, worker):
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3.5)
            os.kill(running.pid, signal.SIGCONT)
            time.sleep(0.2)
            os.kill(worker, signal.SIGCONT)
            assert int(running.ask()) == worker and "stuck" not in running.output


class TestRecycling:
    def test_max_requests_counts_connections_where_there_are_no_requests(self, tmp_path):
        with echo_service(tmp_path, workers=1, max_requests=10, max_requests_jitter=0) as running:
            running.until_listening()
            (old,) = running.workers()
            for _ in range(9):
                assert int(running.ask()) == old
            with request_that_waits(running):  # keeps the old worker from ending
                assert int(running.ask()) == old
                running.until(rf"worker 1 \(process {old}\) has served enough: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)

    def test_jitter_spreads_the_maxima(self):
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess

        options = Options(2, max_requests=1000)
        assert options.max_requests_jitter == 100
        most = {WorkerProcess(1, options)._max_requests for _ in range(100)}
        assert len(most) > 10 and min(most) >= 1000 and max(most) <= 1100

    def test_a_worker_that_grows_too_large_is_recycled(self, tmp_path):
        with echo_service(tmp_path, workers=1, max_rss=200 << 20) as running:
            running.until_listening()
            (old,) = running.workers()
            with request_that_waits(running):
                assert running.ask(b"grow 300") == b"grown"
                running.until(r"has \d+ MiB of memory: worker 1 .* takes over")
                until(lambda: int(running.ask()) != old)
                assert is_alive(old)

    def test_workers_that_are_never_small_enough_are_not_replaced_without_end(self):
        from greenio._workers.options import Options
        from greenio._workers.process import WorkerProcess
        from greenio._workers.supervisor import Supervisor

        class Place:
            """A slot whose worker is this process, so that it has a size."""

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
            let_others_run()
        assert len(slot.reasons) == 2 and slot.reasons[0].endswith("MiB of memory")
        # Other reasons to replace it are not put off.
        slot.worker.counts.numbers[ENDING] = 1
        supervisor._recycle_if_needed(slot, now + 14)
        let_others_run()
        assert slot.reasons[2:] == ["was told to end"]
