"""Processes that are waited for while other greenlets go on. Real ones."""

import os
import signal
import subprocess as standard
import sys
import threading
import time

import pytest

import greenio
from greenio import Timeout, joinall, sleep, spawn, subprocess
from greenio.subprocess import PIPE, STDOUT, Popen, TimeoutExpired, check_call, check_output, run

PYTHON = sys.executable


def test_run_and_its_like(ticks):
    assert run(["sleep", "0.02"]).returncode == 0
    assert len(ticks) > 5
    assert check_output(["echo", "hello"]) == b"hello\n" == run(["echo", "hello"], capture_output=True).stdout
    assert check_output("cat; exit 0", shell=True, input="text\n", text=True) == "text\n"
    assert check_call(["true"]) == 0 == subprocess.call("exit 0", shell=True)
    assert subprocess.getoutput("echo out; echo err >&2") == "out\nerr"
    assert subprocess.getstatusoutput("exit 3") == (3, "")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(["false"], check=True)
    assert caught.value.returncode == 1 and standard.CalledProcessError is subprocess.CalledProcessError
    assert isinstance(run(["true"]), standard.CompletedProcess)


def test_wait_and_poll(ticks):
    process = Popen(["sleep", "0.02"])
    assert process.poll() is None and not process.ready()
    assert process.wait() == 0 == process.poll() == process.wait(0) and process.ready()
    assert len(ticks) > 5 and isinstance(process, standard.Popen)


def test_wait_times_out():
    with Popen(["sleep", "10"]) as process:
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutExpired):
                process.wait(timeout)
        with pytest.raises(Timeout):
            with Timeout(0.01):
                process.wait()
        process.kill()
        assert process.wait(5) == -signal.SIGKILL


def test_many_greenlets_wait_for_one():
    process = Popen(["sleep", "0.01"])
    assert [job.get() for job in [spawn(process.wait) for _ in range(5)]] == [0] * 5


def test_two_hundred_at_once():
    processes = [Popen(["sh", "-c", f"exit {number % 50}"]) for number in range(200)]
    jobs = [spawn(process.wait) for process in processes]
    joinall(jobs)
    assert [job.value for job in jobs] == [number % 50 for number in range(200)]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_communicate(size, ticks):
    code = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.stderr.write('done')"
    process = Popen([PYTHON, "-c", code], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    data = os.urandom(size)
    assert process.communicate(data) == (data[::-1], b"done") and process.returncode == 0 and ticks


def test_communicate_goes_on_after_a_timeout():
    process = Popen("echo one; sleep 0.1; echo two", shell=True, stdout=PIPE)
    with pytest.raises(TimeoutExpired):
        process.communicate(timeout=0.03)
    assert process.communicate() == (b"one\ntwo\n", None)


def test_run_with_a_timeout_ends_the_process():
    with pytest.raises(TimeoutExpired) as caught:
        run("echo begun; sleep 10", shell=True, capture_output=True, timeout=0.05, start_new_session=True)
    assert caught.value.output in (b"begun\n", None)


def test_killed_in_the_middle_of_run(tmp_path):
    pid_file = tmp_path / "pid"
    job = spawn(run, f"echo $$ > {pid_file}; exec sleep 10", shell=True)
    while not (pid_file.exists() and pid_file.read_text().strip()):
        sleep(0.001)
    job.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_pipes_are_cooperative(ticks):
    with Popen("echo one; sleep 0.02; echo two", shell=True, stdout=PIPE, stderr=STDOUT, text=True) as process:
        assert [process.stdout.readline(), process.stdout.readline(), process.stdout.read()] == ["one\n", "two\n", ""]
    assert len(ticks) > 5
    with Popen(["cat"], stdin=PIPE, stdout=PIPE) as process:
        writer = spawn(lambda: (process.stdin.write(b"x" * 500_000), process.stdin.close()))
        assert process.stdout.read() == b"x" * 500_000
        writer.join()
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        assert process.stdin.write(b"raw") == 3
        assert process.stdout.read(10) == b"raw"
        process.stdin.close()


def test_line_buffered_text():
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
        for line in ("first\n", "second\n"):
            process.stdin.write(line)
            assert process.stdout.readline() == line
        process.stdin.close()


def test_in_other_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(check_output(["echo", "x"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    found.append(check_output(["echo", "x"]))
    for thread in threads:
        thread.join()
    assert found == [b"x\n"] * 5


def test_waited_for_with_other_things():
    slow, fast = Popen(["sleep", "10"]), Popen(["sleep", "0.01"])
    assert greenio.wait([slow, fast], count=1) == [fast]
    assert greenio.wait([fast]) == [fast]
    slow.terminate()
    assert greenio.wait_any(slow) == (slow, True)
    assert slow.returncode == -signal.SIGTERM


def test_a_process_that_cannot_be_started():
    with pytest.raises(FileNotFoundError):
        Popen(["/nonexistent/program"], stdout=PIPE)
    with pytest.raises(ValueError):
        run(["true"], capture_output=True, stdout=PIPE)


def test_reaped_by_somebody_else():
    process = Popen(["true"])
    os.waitpid(process.pid, 0)
    assert process.wait() == 0  # what the standard library says when the status is lost


def test_others_children_are_left_alone():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    assert run(["true"]).returncode == 0
    time.sleep(0.01)
    assert os.waitpid(pid, 0)[0] == pid


def test_names():
    assert set(standard.__all__) <= set(dir(subprocess))
    assert subprocess.run.__module__ == "greenio.subprocess" and subprocess.run.__doc__ == standard.run.__doc__
