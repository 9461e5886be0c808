"""Waiting for children, and forking, with os's functions and gevent's."""

import os as standard
import signal
import threading
from contextlib import suppress

import pytest
from misuse import raise_alike
from processes import child
from waiting import until, until_waiting

import greenio
from greenio import Timeout, get_hub, os, sleep, spawn, subprocess
from greenio._descriptors import children
from greenio.event import Event

pytestmark = pytest.mark.usefixtures("threadpool")  # threads of its own for each test


def sleeper():
    return standard.posix_spawn("/bin/sleep", ["sleep", "100"], {})


def end(pid):
    standard.kill(pid, signal.SIGKILL)
    return standard.waitpid(pid, 0)


# --- waiting --------------------------------------------------------------------------------------------------------


def test_each_greenlet_gets_its_own_child(ticks):
    pids = [child(number) for number in range(5)]
    jobs = [spawn(os.waitpid, pid, 0) for pid in pids]
    assert [job.get() for job in jobs] == [(pid, number << 8) for number, pid in enumerate(pids)] and ticks


def test_many_greenlets_wait_for_any_child():
    """More greenlets wait than the thread pool has threads, and the pool stays free."""
    pids = {sleeper() for _ in range(15)}
    jobs = [spawn(os.wait) for _ in pids]
    until_waiting(*jobs)
    assert get_hub().threadpool.apply(int, ("5",)) == 5
    for pid in pids:
        standard.kill(pid, signal.SIGTERM)
    greenio.joinall(jobs, timeout=10, raise_error=True)
    assert {job.value[0] for job in jobs} == pids


def test_a_wait_for_any_child_takes_the_one_that_ended():
    returned = Event()
    first, second = child(1, after=returned.wait), child(2)
    waiting = spawn(os.waitpid, first, 0)
    assert os.wait() == (second, 2 << 8)
    returned.set()
    assert waiting.get() == (first, 1 << 8)


def test_one_of_two_waits_for_the_same_child_gets_its_status():
    pid = sleeper()
    waiting, taking = spawn(os.waitpid, pid, 0), spawn(os.wait)
    waiting.reports_errors = taking.reports_errors = False
    until_waiting(waiting, taking)
    standard.kill(pid, signal.SIGTERM)
    greenio.joinall([waiting, taking], timeout=10)
    assert [job.value for job in (waiting, taking) if job.successful()] == [(pid, signal.SIGTERM)]
    assert [type(job.exception) for job in (waiting, taking) if not job.successful()] == [ChildProcessError]


def test_a_killed_waiter_takes_no_status():
    pid = sleeper()
    jobs = [spawn(os.waitpid, pid, 0), spawn(os.wait), spawn(os.waitid, os.P_ALL, 0, os.WEXITED)]
    until_waiting(*jobs)
    greenio.killall(jobs)
    with pytest.raises(Timeout), Timeout(0.01):
        os.wait()
    assert end(pid) == (pid, signal.SIGKILL)


def test_stopped_and_continued_children_are_found():
    pid = sleeper()
    try:
        for number, options, test in (
            (signal.SIGSTOP, os.WUNTRACED, os.WIFSTOPPED),
            (signal.SIGCONT, os.WCONTINUED, os.WIFCONTINUED),
        ):
            waiting = spawn(os.waitpid, pid, options)
            until_waiting(waiting)
            standard.kill(pid, number)
            found, status = waiting.get(timeout=5)
            assert found == pid and test(status)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        end(pid)


def test_waitid_finds_children_by_number_group_and_descriptor(ticks):
    pid = child(3)
    for _ in range(2):
        assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status == 3
    pidfd = standard.pidfd_open(pid)
    try:
        assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_pid == pid
    finally:
        standard.close(pidfd)
    pid = child()
    assert os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is None
    assert os.waitid(os.P_ALL, 0, os.WEXITED).si_pid == pid
    pid = child()
    assert os.waitid(os.P_PGID, standard.getpgrp(), os.WEXITED).si_pid == pid


def test_children_are_waited_for_in_another_thread():
    # The children end by themselves, as no greenlet runs in this thread meanwhile.
    pids = [standard.posix_spawn("/bin/sleep", ["sleep", "0.01"], {}) for _ in range(2)]
    found = []

    def look():
        found.append(os.waitpid(pids[0], 0)[0])
        found.append(os.wait()[0])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == pids


def test_waiting_needs_no_pidfd(monkeypatch, ticks):
    monkeypatch.setattr(children, "_pidfd_open", None)
    pid = child(3)
    assert os.waitpid(pid, 0) == (pid, 3 << 8) and ticks


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("waitpid", (-1, 0)), ("waitpid", (1, 0)), ("waitpid", (0, 0)), ("waitpid", ("x", 0)), ("waitpid", (1, "x")),
        ("waitpid", (-1, 1 << 20)), ("waitpid", (1 << 70, 0)), ("waitpid", (1,)), ("wait", (1,)), ("wait3", ("x",)),
        ("wait3", (0,)), ("wait4", (-1, 0)), ("wait4", ("x", 0)), ("waitid", (0, 0, 0)), ("waitid", (99, 0, 4)),
        ("waitid", (1, 1, 4)), ("waitid", ("x", 1, 4)), ("waitid", (0, 0, "x")), ("waitid", (0, 0, 4)),
        ("waitid", (3, 10**6, 4)),
    ],
)  # fmt: skip
def test_misuse_raises_the_errors_of_the_standard_library(name, arguments):
    raise_alike(getattr(standard, name), getattr(os, name), arguments)


# --- which call gets the status -------------------------------------------------------------------------------------


class Reaped(list):
    calls = 0  # of the handler


@pytest.fixture
def reaper():
    """A handler of SIGCHLD reaps every child that has ended, by the system's own call. The list of its results."""
    reaped = Reaped()

    def reap(*_):
        with suppress(ChildProcessError):
            while (found := standard.waitpid(-1, standard.WNOHANG))[0]:
                reaped.append(found)
        reaped.calls += 1

    before = signal.signal(signal.SIGCHLD, reap)
    yield reaped
    signal.signal(signal.SIGCHLD, before)


def kill_while_awaited(*jobs):
    """Start a child, call functions with its number in greenlets, and kill it when they wait. Returns both."""
    pid = sleeper()
    waiting = [spawn(job, pid) for job in jobs]
    for each in waiting:
        each.reports_errors = False
    until_waiting(*waiting)
    standard.kill(pid, signal.SIGKILL)
    standard.waitid(standard.P_PID, pid, standard.WEXITED | standard.WNOWAIT)
    return pid, waiting


def wait_by_number(pid):
    return os.waitpid(pid, 0)


@pytest.fixture
def gate(tmp_path, reaper):
    """Commands that end one after the other, when a call waits for each. Natively, the first call gets the status.

    A child that ended while the handler of another one runs would be the handler's.
    """

    class Gate:
        def __init__(self):
            self.made, self.closed = 0, []

        def command(self, status):
            self.made += 1
            path = tmp_path / f"open{self.made}"
            standard.mkfifo(path)
            self.closed.append(path)
            return f"read line < {path}; exit {status}"

        def open(self):
            """Let the first command end that has not ended yet."""
            self.closed.pop(0).write_text("go on\n")

        def open_for(self, *jobs):
            until_waiting(*jobs)
            results = []
            for job in jobs:
                before = reaper.calls
                self.open()
                results.append(job.get())
                until(lambda before=before: reaper.calls > before)
            return results

    return Gate()


def test_a_handler_that_reaps_gets_no_child_that_is_waited_for(reaper, gate):
    assert os.system("exit 3") == 3 << 8
    for code in (4, 5):
        assert gate.open_for(spawn(subprocess.call, gate.command(code), shell=True)) == [code]
    assert gate.open_for(spawn(os.popen(gate.command(6)).close)) == [6 << 8]
    may_end = Event()
    pid = child(7, after=may_end.wait)
    waiting = spawn(os.waitpid, pid, 0)
    until_waiting(waiting)
    may_end.set()
    assert waiting.get() == (pid, 7 << 8)
    may_end.clear()
    pid = child(8, after=may_end.wait)
    waiting = spawn(os.waitid, standard.P_PID, pid, standard.WEXITED)
    until_waiting(waiting)
    may_end.set()
    assert waiting.get().si_status == 8
    assert reaper == []


def test_a_handler_that_reaps_gets_no_child_of_other_greenlets(reaper, gate):
    jobs = [spawn(os.system, gate.command(code)) for code in range(5)]
    processes = [spawn(subprocess.call, gate.command(code), shell=True) for code in range(5)]
    assert gate.open_for(*jobs, *processes) == [code << 8 for code in range(5)] + list(range(5))
    assert reaper == []


def test_a_handler_that_reaps_gets_no_child_of_another_thread(reaper, gate):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(subprocess.call(gate.command(4), shell=True)))
    with children.AnnouncedWait():  # so the main thread has wrapped the handler
        thread.start()
        until(lambda: children._announced)
        gate.open()
        until(lambda: not thread.is_alive())
    thread.join()
    assert codes == [4] and reaper == []


def test_the_handler_stays_visible_and_gets_other_children(reaper):
    with children.AnnouncedWait():
        from greenio.signal import getsignal

        assert getsignal(signal.SIGCHLD).__name__ == "reap"
    pid = child(3)
    until(lambda: reaper)
    assert reaper == [(pid, 3 << 8)]


@pytest.mark.parametrize(
    "others",
    [
        lambda pid: os.waitpid(-1, standard.WNOHANG),
        lambda pid: os.waitpid(pid, standard.WNOHANG),
        lambda pid: os.wait3(standard.WNOHANG),
        lambda pid: os.waitid(standard.P_ALL, 0, standard.WEXITED | standard.WNOHANG),
        lambda pid: os.waitid(standard.P_PID, pid, standard.WEXITED | standard.WNOHANG),
    ],
)
def test_a_wait_by_number_comes_before_other_calls(others):
    pid, (job,) = kill_while_awaited(wait_by_number)
    with pytest.raises(ChildProcessError):
        others(pid)
    assert job.get() == (pid, signal.SIGKILL)


def test_the_first_of_several_waits_by_number_gets_the_status():
    pid, jobs = kill_while_awaited(wait_by_number, wait_by_number)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, standard.WNOHANG)
    assert jobs[0].get() == (pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError):
        jobs[1].get()


def test_a_status_goes_to_the_next_when_its_waiter_is_killed():
    pid, jobs = kill_while_awaited(wait_by_number, lambda pid: os.wait4(pid, 0))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, standard.WNOHANG)
    jobs[0].kill()
    assert jobs[1].get()[:2] == (pid, signal.SIGKILL)
    pid, (job,) = kill_while_awaited(wait_by_number)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, standard.WNOHANG)
    job.kill()
    assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)


def test_poll_knows_a_status_that_was_handed_over():
    process = subprocess.Popen(["sleep", "100"])
    job = spawn(process.wait)
    until_waiting(job)
    process.kill()
    standard.waitid(standard.P_PID, process.pid, standard.WEXITED | standard.WNOWAIT)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, standard.WNOHANG)
    assert process.poll() == -signal.SIGKILL == job.get()


# --- forks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy_parent():
    """Greenlets wait, one of them for a child, and threads of the pool are at work."""
    release = threading.Event()
    pid = sleeper()
    pool = get_hub().threadpool
    jobs = [spawn(sleep, 100), spawn(os.waitpid, pid, 0), *(spawn(pool.apply, release.wait) for _ in range(3))]
    until_waiting(*jobs)
    yield
    release.set()
    standard.kill(pid, signal.SIGKILL)
    jobs.pop(0).kill()
    greenio.joinall(jobs, timeout=5, raise_error=True)


def work_of_a_child():
    """Use the library in a forked child. The exit code is 7 if all of it works."""
    code = 1
    try:
        sleep(0.001)
        assert spawn(lambda: 5).get() == 5
        assert get_hub().threadpool.apply(int, ("5",)) == 5
        assert os.system("exit 3") == 3 << 8
        with pytest.raises(ChildProcessError):
            os.wait()
        code = 7
    finally:
        standard._exit(code)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("fork", [os.fork, os.fork_gevent, os.fork_and_watch, greenio.fork, standard.fork])
def test_a_child_that_is_forked_amid_all_this_can_use_the_library(busy_parent, fork):
    pid = fork()
    if pid == 0:
        work_of_a_child()
    assert os.waitpid(pid, 0) == (pid, 7 << 8)


def test_fork_gevent_does_not_warn(busy_parent):
    pid = os.fork_gevent()
    if pid == 0:
        standard._exit(0)
    os.waitpid(pid, 0)


def test_the_child_of_a_forkpty_has_a_terminal():
    for fork in (os.forkpty_gevent, os.forkpty_and_watch):
        pid, master = fork()
        if pid == 0:
            standard._exit(0 if standard.isatty(0) else 1)
        assert os.waitpid(pid, 0) == (pid, 0)
        standard.close(master)


def forked(code=0, **arguments):
    pid = os.fork_and_watch(**arguments)
    if pid == 0:
        standard._exit(code)
    return pid


def test_a_watched_child_is_reaped_and_its_status_kept():
    seen = []
    pid = forked(3, callback=seen.append, ref=True)
    get_hub().join()
    (watcher,) = seen
    assert (watcher.pid, watcher.rpid, watcher.rstatus) == (pid, pid, 3 << 8)
    with pytest.raises(ChildProcessError):
        standard.waitpid(pid, 0)
    assert os.waitpid(pid, 0) == (pid, 3 << 8)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_watched_child_is_reaped_without_pidfd(monkeypatch):
    monkeypatch.delattr(standard, "pidfd_open")
    seen = []
    pid = forked(3, callback=seen.append, ref=True)
    get_hub().join()
    assert seen[0].rstatus == 3 << 8 and os.waitpid(pid, 0) == (pid, 3 << 8)


def test_a_watched_child_can_be_waited_for():
    seen = []
    pid = forked(4, callback=seen.append)
    assert os.waitpid(pid, 0) == (pid, 4 << 8)
    until(lambda: seen)
    assert [watcher.rstatus for watcher in seen] == [4 << 8]
    pid = forked(5, callback=seen.append)
    found = os.waitid(os.P_PID, pid, os.WEXITED)
    until(lambda: len(seen) == 2)
    assert found.si_status == 5 and seen[1].rstatus == 5 << 8
    pid = forked(6, callback=seen.append, ref=True)
    get_hub().join()
    assert os.wait4(pid, 0)[:2] == (pid, 6 << 8)
    for code, status in ((7, 7 << 8), (signal.SIGTERM, signal.SIGTERM)):
        pid = os.fork_and_watch(seen.append, ref=True)
        if pid == 0:
            if code == 7:
                standard._exit(7)
            standard.kill(standard.getpid(), code)
        get_hub().join()
        for options in (os.WEXITED | os.WNOWAIT, os.WEXITED):
            found = os.waitid(os.P_PID, pid, options)
            assert (found.si_pid, found.si_status) == (pid, code) and children._status_of(found) == status
        with pytest.raises(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED)


def test_a_watched_child_can_be_waited_for_before_its_callback():
    seen = []
    pid = forked(4, callback=seen.append)
    while seen == [] and children._watched[pid].rpid is None:
        children._watched[pid]._look()
    assert seen == [] and os.waitpid(pid, 0) == (pid, 4 << 8)
    until(lambda: seen)
    assert [watcher.rstatus for watcher in seen] == [4 << 8]
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_forked_child_does_not_have_its_parents_statuses():
    pid = forked(3, callback=lambda watcher: None, ref=True)
    get_hub().join()
    second = os.fork_gevent()
    if second == 0:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            standard._exit(9)
        standard._exit(1)
    assert os.waitpid(second, 0) == (second, 9 << 8)
    assert os.waitpid(pid, 0) == (pid, 3 << 8)
