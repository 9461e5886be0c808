"""celery's worker with greenio.contrib.celery's pool: real workers, and a real redis."""

# ruff: noqa: E402  (celery may be missing)

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count

import pytest

celery = pytest.importorskip("celery")
redis = pytest.importorskip("redis")

from celery.exceptions import TaskRevokedError, TimeLimitExceeded, WorkerLostError
from celery.states import READY_STATES
from places import TESTS
from processes import run_python
from real_servers import data_folder, find_program, free_port, serving

PROGRAMS = TESTS / "integration" / "programs"
LIMIT = 60  # seconds for what must happen
names = count()

# celery's client keeps its connections until the process ends.
pytestmark = pytest.mark.greenio_leaves


def until(condition):
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, f"the condition has not become true in {LIMIT} seconds"
        time.sleep(0.02)
    return found


class Result:
    """The result of a task. get() looks it up again and again, and does not subscribe to redis as celery's own does."""

    def __init__(self, worker, task_id):
        self.worker = worker
        self.id = task_id

    def get(self):
        backend = self.worker.app.backend

        def ended():
            meta = backend.get_task_meta(self.id)
            return meta["status"] in READY_STATES and meta

        result = until(ended)["result"]
        if isinstance(result, BaseException):
            raise result
        return result

    def revoke(self, **options):
        self.worker.app.control.revoke(self.id, **options)


class Worker:
    """A worker in a process of its own."""

    def __init__(self, port, folder, *options):
        self.name = f"worker{next(names)}@localhost"
        self.queue = self.name.partition("@")[0]
        self.log_path = os.path.join(folder, f"{self.queue}.log")
        self.connect(port)
        self.start(port, *options)

    def connect(self, port, host="127.0.0.1"):
        """Ask over new connections from now on, if the host is new: kombu keeps the connections of each host."""
        url = f"redis://{host}:{port}/0"
        self.app, self.sender = celery.Celery(broker=url, backend=url), celery.Celery(broker=url)

    def start(self, port, *options):
        command = [sys.executable, "-X", "faulthandler", "-m", "celery", "-A", "celery_app", "worker", "-P", "custom"]
        command += ["-l", "info", "-n", self.name, "-Q", self.queue, "--without-gossip", "--without-mingle", *options]
        environ = {
            **os.environ,
            "CELERY_CUSTOM_WORKER_POOL": "greenio.contrib.celery:TaskPool",
            "BROKER": f"redis://127.0.0.1:{port}/0",
        }
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=PROGRAMS, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def until_ready(self, times=1):
        def is_ready():
            assert self.process.poll() is None, self.log()
            return self.log().count("@localhost ready.") >= times

        until(is_ready)
        # The worker subscribes to remote control a little later. It answers when it has.
        until(lambda: self.app.control.ping([self.name], timeout=1))
        return self

    def send(self, task, *args, **options):
        return Result(self, self.sender.send_task(f"celery_app.{task}", args, queue=self.queue, **options).id)

    def ask(self, task, *args, **options):
        return self.send(task, *args, **options).get()

    def inspect(self, what):
        return until(lambda: getattr(self.app.control.inspect([self.name], timeout=5), what)())[self.name]

    def control(self, call, *args, **options):
        """Have the worker do something; return its answer."""
        (reply,) = until(
            lambda: getattr(self.app.control, call)(*args, destination=[self.name], reply=True, timeout=5, **options)
        )
        return reply[self.name]

    def signal(self, number):
        self.process.send_signal(number)

    def ends(self):
        """Wait for the worker's end; return its status."""
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the worker does not end:\n{self.log()}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def worker(redis_port, tmp_path_factory):
    """A worker that all tests here may use."""
    with contextlib.closing(Worker(redis_port, tmp_path_factory.mktemp("celery"), "-c", "500")) as worker:
        yield worker.until_ready()


@pytest.fixture
def start(redis_port, tmp_path):
    """start(*options): a worker of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(
            contextlib.closing(Worker(redis_port, tmp_path, *options))
        ).until_ready()


class Gate:
    """The files by which a `gated` task says that it has begun, waits, and says how it ended."""

    def __init__(self, folder):
        name = next(names)
        self.paths = [folder / f"{what}{name}" for what in ("begun", "gate", "ended")]
        self.args = [str(path) for path in self.paths]

    def has_begun(self):
        return self.paths[0].exists()

    def until_begun(self, times=1):
        until(lambda: self.has_begun() and self.paths[0].read_text().count("\n") >= times)

    def open(self):
        self.paths[1].touch()

    def how_it_ended(self):
        return until(lambda: self.paths[2].exists() and self.paths[2].read_text())


@pytest.fixture
def gate(tmp_path):
    return lambda: Gate(tmp_path)


class TestTasks:
    def test_four_hundred_tasks_run_at_once(self, worker):
        name = f"name{next(names)}"
        results = [worker.send("meet", name, 400) for _ in range(400)]
        assert {result.get() for result in results} == {worker.process.pid}

    def test_tasks_that_end_together_are_all_acknowledged(self, worker, redis_port):
        name = f"name{next(names)}"
        for result in [worker.send("late_meet", name, 200) for _ in range(200)]:
            result.get()
        with contextlib.closing(redis.Redis(port=redis_port)) as client:
            until(lambda: not any(worker.queue.encode() in each for each in client.hvals("unacked")))
        assert "Couldn't ack" not in worker.log()

    def test_the_worker_is_patched_without_warnings(self, worker):
        patched, module, thread = worker.ask("is_patched")
        assert patched and module == "greenio.socket"
        assert "Warning: " not in re.sub(r"SecurityWarning: |CPendingDeprecationWarning: ", "", worker.log())

    def test_countdowns_and_retries_work(self, worker):
        result = worker.send("add", 1, 2, countdown=1000)
        (waiting,) = until(lambda: worker.inspect("scheduled"))
        assert waiting["request"]["id"] == result.id
        assert worker.ask("add", 1, 2, countdown=0.1) == 3
        assert worker.ask("retrying") == 2

    def test_a_task_that_exits_is_lost_and_the_worker_goes_on(self, worker):
        with pytest.raises(WorkerLostError, match="SystemExit"):
            worker.ask("exiting")
        assert worker.ask("add", 1, 2) == 3


class TestTimeLimits:
    def test_a_soft_limit_can_be_caught(self, worker):
        assert worker.ask("catching_the_soft_limit", 1000, soft_time_limit=0.2) == "caught SoftTimeLimitExceeded(0.2,)"
        assert "Soft time limit (0.2s) exceeded for celery_app.catching_the_soft_limit" in worker.log()

    def test_a_soft_limit_that_is_not_caught_is_a_failure(self, worker, gate):
        gated = gate()
        with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
            worker.ask("gated", *gated.args, soft_time_limit=0.2)
        assert gated.how_it_ended() == "SoftTimeLimitExceeded\n"

    def test_a_hard_limit_ends_the_task_and_no_other(self, worker, gate):
        gated, other = gate(), gate()
        goes_on = worker.send("gated", *other.args)
        with pytest.raises(TimeLimitExceeded):
            worker.ask("gated", *gated.args, time_limit=0.2)
        assert gated.how_it_ended() == "_TimeLimit\n"
        assert "Hard time limit (0.2s) exceeded for celery_app.gated" in worker.log()
        other.open()
        assert goes_on.get() == "done"

    def test_a_task_that_catches_the_hard_limit_gets_it_again(self, worker, tmp_path):
        with pytest.raises(TimeLimitExceeded):
            worker.ask("stubborn", str(tmp_path / "caught"), time_limit=0.2)
        assert (tmp_path / "caught").read_text() == "_TimeLimit\n_TimeLimit\nended\n"

    def test_the_soft_limit_and_then_the_hard_limit_are_raised(self, worker, tmp_path):
        with pytest.raises(TimeLimitExceeded):
            worker.ask("stubborn", str(tmp_path / "caught"), soft_time_limit=0.1, time_limit=0.5)
        assert (tmp_path / "caught").read_text() == "SoftTimeLimitExceeded\n_TimeLimit\nended\n"

    def test_tasks_within_their_limits_are_left_alone(self, worker):
        assert worker.ask("add", 1, 2, soft_time_limit=1000, time_limit=2000) == 3

    def test_limits_of_the_workers_options_are_used(self, start):
        worker = start("-c", "10", "--soft-time-limit", "0.2", "--time-limit", "1000")
        assert worker.ask("catching_the_soft_limit", 1000) == "caught SoftTimeLimitExceeded(0.2,)"
        assert worker.inspect("stats")["pool"]["timeouts"] == [0.2, 1000.0]


class TestRevoking:
    def test_terminate_ends_that_task_only(self, worker, gate):
        gates = [gate() for _ in range(5)]
        results = [worker.send("gated", *each.args) for each in gates]
        for each in gates:
            each.until_begun()
        results[2].revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            results[2].get()
        assert gates[2].how_it_ended() == "GreenletExit\n"
        for each in gates:
            each.open()
        assert [each.get() for each in results if each is not results[2]] == ["done"] * 4
        assert results[2].id not in {each["id"] for each in worker.inspect("active")}

    def test_sigusr1_raises_the_soft_limit(self, worker, gate):
        gated = gate()
        result = worker.send("gated", *gated.args)
        gated.until_begun()
        result.revoke(terminate=True, signal="SIGUSR1")
        assert gated.how_it_ended() == "SoftTimeLimitExceeded\n"

    def test_a_task_that_catches_the_end_gets_it_again(self, worker, tmp_path):
        result = worker.send("stubborn", str(tmp_path / "caught"))
        until(lambda: any(each["id"] == result.id for each in worker.inspect("active")))
        result.revoke(terminate=True)
        until(lambda: (tmp_path / "caught").exists() and "ended" in (tmp_path / "caught").read_text())
        assert (tmp_path / "caught").read_text() == "GreenletExit\nGreenletExit\nended\n"

    def test_a_task_in_line_does_not_begin(self, start, gate):
        worker, first, second = start("-c", "1"), gate(), gate()
        running = worker.send("gated", *first.args)
        first.until_begun()
        waiting = worker.send("gated", *second.args)
        until(lambda: worker.inspect("stats")["pool"]["waiting"] == 1)
        worker.control("revoke", waiting.id)
        first.open()
        assert running.get() == "done"
        with pytest.raises(TaskRevokedError):
            waiting.get()
        assert not second.has_begun()


class TestHowMany:
    def test_the_pool_grows_and_shrinks_and_is_inspected(self, start, gate):
        worker, gates = start("-c", "1"), [gate(), gate(), gate()]
        results = [worker.send("gated", *each.args) for each in gates]
        gates[0].until_begun()
        until(lambda: worker.inspect("stats")["pool"]["waiting"] == 2)
        assert not gates[1].has_begun()
        assert "ok" in worker.control("pool_grow", 1)
        gates[1].until_begun()
        pool = worker.inspect("stats")["pool"]
        assert pool["max-concurrency"] == 2 and pool["running"] == 2 and pool["waiting"] == 1
        assert pool["implementation"] == "greenio.contrib.celery:TaskPool"
        assert {each["id"] for each in worker.inspect("active")} == {results[0].id, results[1].id}
        assert "ok" in worker.control("pool_shrink", 1)
        gates[0].open()
        assert results[0].get() == "done"
        until(lambda: worker.inspect("stats")["pool"]["running"] == 1)
        assert not gates[2].has_begun()
        for each in gates:
            each.open()
        assert [each.get() for each in results] == ["done"] * 3

    def test_autoscale_grows_as_tasks_come(self, start):
        worker = start("--autoscale", "20,1")
        results = [worker.send("meet", "all", 20) for _ in range(20)]
        assert [each.get() for each in results] == [worker.process.pid] * 20


class TestEnds:
    def test_a_warm_shutdown_waits_for_running_tasks_and_loses_none(self, start, gate, redis_port):
        worker, gates = start("-c", "2"), [gate() for _ in range(5)]
        results = [worker.send("gated", *each.args) for each in gates]
        for each in gates[:2]:
            each.until_begun()
        until(lambda: worker.inspect("stats")["pool"]["waiting"] == 3)
        worker.signal(signal.SIGTERM)
        until(lambda: "Warm shutdown" in worker.log())
        for each in gates[:2]:
            each.open()
        assert worker.ends() == 0
        assert [each.get() for each in results[:2]] == ["done"] * 2
        assert not any(each.has_begun() for each in gates[2:])
        for each in gates:
            each.open()
        worker.start(redis_port, "-c", "2")
        assert [each.get() for each in results] == ["done"] * 5

    def test_a_cold_shutdown_ends_tasks_and_late_ones_are_delivered_again(self, start, gate, redis_port):
        worker, early, late = start("-c", "5"), gate(), gate()
        worker.send("gated", *early.args)
        result = worker.send("late", *late.args)
        early.until_begun()
        late.until_begun()
        worker.signal(signal.SIGQUIT)
        worker.ends()
        assert early.how_it_ended() == late.how_it_ended() == "GreenletExit\n"
        late.open()
        worker.start(redis_port, "-c", "5")
        assert result.get() == "done"
        late.until_begun(times=2)

    def test_a_cold_shutdown_ends_a_warm_one(self, start, gate):
        worker, gated = start("-c", "5"), gate()
        worker.send("gated", *gated.args)
        gated.until_begun()
        worker.signal(signal.SIGTERM)
        until(lambda: "Warm shutdown" in worker.log())
        worker.signal(signal.SIGQUIT)
        worker.ends()
        assert gated.how_it_ended() == "GreenletExit\n"

    def test_ctrl_c_is_a_warm_shutdown(self, start):
        worker = start("-c", "5")
        worker.signal(signal.SIGINT)
        worker.ends()
        assert "Traceback" not in worker.log()

    def test_remote_control_shuts_the_worker_down(self, start):
        worker = start("-c", "5")
        worker.app.control.shutdown(destination=[worker.name])
        assert worker.ends() == 0
        assert "Traceback" not in worker.log()

    def test_a_task_may_end_the_worker(self, start):
        worker = start("-c", "5")
        worker.send("ending_the_worker")
        assert worker.ends() == 0


def test_a_restarted_redis_is_consumed_again(tmp_path, gate):
    """Tasks that ran meanwhile go on, and remote control works again."""
    program, port = find_program("redis-server"), free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with data_folder(None) as folder, contextlib.ExitStack() as stack:
        command += ["--dir", folder]
        with serving(command, port, None, folder):
            worker = stack.enter_context(contextlib.closing(Worker(port, tmp_path, "-c", "5"))).until_ready()
            assert worker.ask("add", 1, 2) == 3
            gated = gate()
            worker.send("gated", *gated.args)
            gated.until_begun()
        until(lambda: "Connection to broker lost" in worker.log())
        with serving(command, port, None, folder):
            again = time.monotonic()
            worker.connect(port, "localhost")
            assert worker.ask("add", 3, 4) == 7
            took = time.monotonic() - again
            # The pauses between two tries are short. On a busy machine the rest may take longer.
            pauses = [float(each) for each in re.findall(r"Trying again in (\d+\.\d+) seconds", worker.log())]
            assert took < 10 or (took < LIMIT and max(pauses) <= 8), worker.log()
            assert worker.inspect("ping") == {"ok": "pong"}
            gated.open()
            assert gated.how_it_ended() == "done\n"
            worker.signal(signal.SIGTERM)
            assert worker.ends() == 0


def test_celery_is_told_once_when_a_limit_comes_with_the_end_of_a_task(tmp_path):
    printed = run_python([PROGRAMS / "celery_limits.py"], tmp_path)
    assert printed.splitlines() == ["soft result", "hard limit", "signal result", "ended"]


def test_beat_is_refused(redis_port, tmp_path):
    with contextlib.closing(Worker(redis_port, tmp_path, "-c", "5", "-B")) as worker:
        assert worker.ends() == 1
        assert "-B does not work with this pool: run `celery -A app beat`" in worker.log()
        assert "Traceback" not in worker.log()
