"""greenio.subprocess: greenlets go on while one waits for a process. The processes are real."""

import contextlib
import errno
import fcntl
import io
import os
import select
import signal
import subprocess as standard
import sys
import threading
import time

import pytest
from waiting import let_others_run, until, until_waiting

import greenio
import greenio.os
from greenio import Timeout, joinall, spawn, subprocess
from greenio._descriptors import children, nowait
from greenio.subprocess import PIPE, STDOUT, Popen, TimeoutExpired, check_call, check_output, run

PYTHON = sys.executable


def test_run_and_its_like_return_the_standard_results(ticks, until_ticks):
    assert run(until_ticks, shell=True).returncode == 0
    assert ticks
    assert check_output(["echo", "hello"]) == b"hello\n" == run(["echo", "hello"], capture_output=True).stdout
    assert check_output("cat; exit 0", shell=True, input="text\n", text=True) == "text\n"
    assert check_call(["true"]) == 0 == subprocess.call("exit 0", shell=True)
    assert subprocess.getoutput("echo out; echo err >&2") == "out\nerr"
    assert subprocess.getstatusoutput("exit 3") == (3, "")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(["false"], check=True)
    assert caught.value.returncode == 1 and standard.CalledProcessError is subprocess.CalledProcessError
    assert isinstance(run(["true"]), standard.CompletedProcess)


def test_wait_lets_others_run_and_poll_does_not_wait(ticks):
    process = Popen(["cat"], stdin=PIPE)
    assert process.poll() is None and not process.ready()
    before = len(ticks)
    spawn(lambda: (until(lambda: len(ticks) > before), process.stdin.close()))
    assert process.wait() == 0 == process.poll() == process.wait(0) and process.ready()
    assert isinstance(process, standard.Popen)


def test_wait_for_a_process_times_out():
    with Popen(["sleep", "10"]) as process:
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutExpired):
                process.wait(timeout)
        with pytest.raises(Timeout):
            with Timeout(0.01):
                process.wait()
        process.kill()
        assert process.wait(5) == -signal.SIGKILL


def test_many_greenlets_wait_for_one_process():
    process = Popen(["sleep", "0.01"])
    assert [job.get() for job in [spawn(process.wait) for _ in range(5)]] == [0] * 5


def test_two_hundred_processes_at_once():
    processes = [Popen(["sh", "-c", f"exit {number % 50}"]) for number in range(200)]
    jobs = [spawn(process.wait) for process in processes]
    joinall(jobs)
    assert [job.value for job in jobs] == [number % 50 for number in range(200)]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_communicate_passes_all_data_both_ways(size, ticks):
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


def test_a_killed_run_ends_its_process(tmp_path):
    pid_file = tmp_path / "pid"
    job = spawn(run, f"echo $$ > {pid_file}; exec sleep 10", shell=True)
    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    job.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_reading_and_writing_pipes_lets_others_run(ticks, until_ticks):
    with Popen(f"echo one; {until_ticks}; echo two", shell=True, stdout=PIPE, stderr=STDOUT, text=True) as process:
        assert [process.stdout.readline(), process.stdout.readline(), process.stdout.read()] == ["one\n", "two\n", ""]
    assert ticks
    with Popen(["cat"], stdin=PIPE, stdout=PIPE) as process:
        writer = spawn(lambda: (process.stdin.write(b"x" * 500_000), process.stdin.close()))
        assert process.stdout.read() == b"x" * 500_000
        writer.join()
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        assert process.stdin.write(b"raw") == 3
        assert process.stdout.read(10) == b"raw"
        process.stdin.close()


def test_lines_of_text_are_written_at_once():
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
        for line in ("first\n", "second\n"):
            process.stdin.write(line)
            assert process.stdout.readline() == line
        process.stdin.close()


def test_processes_run_in_other_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(check_output(["echo", "x"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    found.append(check_output(["echo", "x"]))
    for thread in threads:
        thread.join()
    assert found == [b"x\n"] * 5


def test_processes_can_be_waited_for_with_other_objects():
    slow, fast = Popen(["sleep", "10"]), Popen(["sleep", "0.01"])
    assert greenio.wait([slow, fast], count=1) == [fast]
    assert greenio.wait([fast]) == [fast]
    slow.terminate()
    assert greenio.wait_any(slow) == (slow, True)
    assert slow.returncode == -signal.SIGTERM


def test_a_process_that_cannot_be_started_is_an_error():
    with pytest.raises(FileNotFoundError):
        Popen(["/nonexistent/program"], stdout=PIPE)
    with pytest.raises(ValueError):
        run(["true"], capture_output=True, stdout=PIPE)


def test_a_process_that_somebody_else_reaped_has_status_zero():
    process = Popen(["true"])
    os.waitpid(process.pid, 0)
    assert process.wait() == 0  # the standard library's status when the real one is lost


def test_other_children_are_not_reaped():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    assert run(["true"]).returncode == 0
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    let_others_run()
    assert os.waitpid(pid, 0)[0] == pid


# --- where the system has no pidfd ----------------------------------------------------------------------------------


@pytest.fixture(params=[errno.ENOSYS, errno.EPERM, errno.EMFILE, None])
def no_pidfd(request, monkeypatch):
    if request.param is None:
        monkeypatch.setattr(children, "_pidfd_open", None)
        monkeypatch.delattr(os, "pidfd_open")
        return

    def refuse(pid, flags=0):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(children, "_pidfd_open", refuse)
    monkeypatch.setattr(os, "pidfd_open", refuse)


def test_waiting_works_without_pidfd(no_pidfd, ticks, until_ticks):
    assert run(until_ticks, shell=True).returncode == 0 and ticks
    with Popen(["sleep", "10"]) as process:
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutExpired):
                process.wait(timeout)
        with pytest.raises(Timeout), Timeout(0.01):
            process.wait()
        killing = spawn(process.wait)
        until_waiting(killing)
        killing.kill()
        process.kill()
        assert process.wait(5) == -signal.SIGKILL
    linked = Popen(["sleep", "0.01"])
    assert greenio.wait([linked]) == [linked] and linked.returncode == 0
    found = []
    thread = threading.Thread(target=lambda: found.append(check_output(["echo", "x"])))
    thread.start()
    thread.join()
    assert found == [b"x\n"]


# --- as in the standard library -------------------------------------------------------------------------------------


def test_arguments_of_popen_reach_the_child(tmp_path, monkeypatch):
    read_end, write_end = os.pipe()
    run([PYTHON, "-c", f"import os; os.write({write_end}, b'passed')"], pass_fds=[write_end], check=True)
    os.close(write_end)
    with open(read_end) as passed:
        assert passed.read() == "passed"
    assert check_output(["pwd"], cwd=tmp_path, text=True).strip() == str(tmp_path)
    assert check_output(["sh", "-c", "echo $NAME"], env={"NAME": "value"}) == b"value\n"
    assert check_output(["true"], preexec_fn=lambda: os.write(1, b"before")) == b"before"
    group = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid())"
    assert check_output([PYTHON, "-c", group], start_new_session=True) == b"True True\n"
    if sys.version_info >= (3, 11):
        assert check_output([PYTHON, "-c", group], process_group=0) == b"True False\n"
    assert check_output(["sh", "-c", "umask"], umask=0o027).strip() == b"0027"
    with Popen(["sleep", "0"], stdout=PIPE, pipesize=1 << 16) as process:
        assert fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ) == 1 << 16 if hasattr(fcntl, "F_GETPIPE_SZ") else True
    with open(tmp_path / "out", "wb") as out:
        run(["echo", "to a file"], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"to a file\n"


def test_text_is_encoded_and_decoded():
    echo = [PYTHON, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"]
    assert check_output(echo, input="gr\u00fcn\n", encoding="latin-1") == "gr\u00fcn\n"
    assert check_output("printf 'a\\r\\nb\\rc\\n'", shell=True, universal_newlines=True) == "a\nb\nc\n"
    with pytest.raises(UnicodeDecodeError):
        check_output("printf '\\377'", shell=True, encoding="utf-8")
    assert check_output("printf '\\377'", shell=True, encoding="utf-8", errors="replace") == "\ufffd"


def test_input_that_a_process_does_not_read_is_dropped():
    process = Popen(["true"], stdin=PIPE)
    assert process.communicate(b"x" * 1_000_000) == (None, None) and process.returncode == 0
    process = Popen(["true"], stdin=PIPE, bufsize=0)
    process.wait()
    with pytest.raises(BrokenPipeError):
        process.stdin.write(b"x")
    process.stdin.close()


def test_errors_of_exec_are_those_of_the_standard_library(tmp_path):
    (tmp_path / "not_executable").write_text("")

    def fail():
        raise ValueError("in the child")

    for arguments in (
        {"args": ["/nonexistent"]}, {"args": [tmp_path / "not_executable"]}, {"args": ["true"], "cwd": "/nonexistent"},
        {"args": ["true"], "preexec_fn": fail}, {"args": ["tr\0ue"]}, {"args": []}, {"args": 5},
        {"args": ["true"], "stdin": "x"}, {"args": ["true"], "bufsize": "x"},
    ):  # fmt: skip
        errors = []
        for module in (standard, subprocess):
            with pytest.raises(Exception) as caught:
                module.Popen(stdout=PIPE, **arguments)
            errors.append((caught.type, str(caught.value)))
        assert errors[0] == errors[1]


def test_settings_of_the_standard_module_are_used(monkeypatch):
    monkeypatch.setattr(standard, "_USE_POSIX_SPAWN", True)
    used = []
    posix_spawn = os.posix_spawn
    monkeypatch.setattr(os, "posix_spawn", lambda *a, **k: used.append(1) or posix_spawn(*a, **k))
    assert run(["/bin/true"], close_fds=False).returncode == 0
    assert len(used) == 1
    monkeypatch.setattr(standard, "_USE_POSIX_SPAWN", False)
    assert run(["/bin/true"], close_fds=False).returncode == 0
    assert len(used) == 1


def test_no_patched_function_of_os_is_called(monkeypatch):
    """In a patched program, os.read() and its like use this module, which must not call them."""

    def fail(*args):
        raise AssertionError("the patched function was called")

    # waitpid() is called, but only when the process has ended.
    for name in ("read", "readv", "write", "wait4", "waitid", "fork"):
        monkeypatch.setattr(os, name, fail)
    monkeypatch.setattr(time, "sleep", fail)
    for name in ("select", "poll", "epoll"):
        monkeypatch.setattr(select, name, fail)
    assert check_output(["cat"], input=b"x") == b"x"
    with Popen(["sh", "-c", "read x; echo $x"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.communicate(b"y\n", timeout=5) == (b"y\n", b"")
    with pytest.raises(FileNotFoundError):
        run(["/nonexistent"])


# --- interruptions --------------------------------------------------------------------------------------------------


def test_communicate_goes_on_after_a_kill():
    process = Popen("echo one; sleep 0.1; echo two", shell=True, stdout=PIPE, stderr=PIPE)
    with pytest.raises(Timeout), Timeout(0.03):
        process.communicate()
    job = spawn(process.communicate)
    until_waiting(job)
    job.kill()
    assert process.communicate(timeout=10) == (b"one\ntwo\n", b"") and process.returncode == 0


def test_communicate_with_input_goes_on_after_a_timeout():
    data = os.urandom(1_000_000)
    process = Popen("sleep 0.1; cat", shell=True, stdin=PIPE, stdout=PIPE)
    with pytest.raises(TimeoutExpired):
        process.communicate(data, timeout=0.02)
    assert process.communicate(timeout=10) == (data, None)


def test_closing_a_pipe_ends_its_reader():
    process = Popen(["sleep", "10"], stdout=PIPE, bufsize=0)
    reading = spawn(process.stdout.read, 1)
    reading.reports_errors = False
    until_waiting(reading)
    process.stdout.close()
    with pytest.raises(OSError):
        reading.get()
    process.kill()
    process.wait()


def test_many_greenlets_run_processes_at_once():
    jobs = [spawn(check_output, ["echo", str(number)]) for number in range(30)]
    assert [int(job.get()) for job in jobs] == list(range(30))


def test_links_are_called_once_at_the_end():
    process = Popen(["sleep", "0.02"])
    seen = []
    process.rawlink(seen.append)
    process.rawlink(seen.append)
    process.rawlink(print)
    process.unlink(print)
    process.unlink(print)
    process.wait()
    until(lambda: len(seen) == 2)
    assert seen == [process, process]
    process.rawlink(seen.append)  # also after the end
    until(lambda: len(seen) == 3)
    assert len(seen) == 3


def test_every_standard_name_is_there():
    assert set(standard.__all__) <= set(dir(subprocess))
    assert subprocess.run.__module__ == "greenio.subprocess" and subprocess.run.__doc__ == standard.run.__doc__


def test_communicate_ends_with_a_child_that_another_greenlet_kills():
    """The pipes are closed at the end of the block while communicate() waits for both of them."""

    def communicate(process):
        with contextlib.suppress(OSError, ValueError):  # threads get these errors of closed files
            process.communicate()

    with Popen(["sleep", "60"], stdout=PIPE, stderr=PIPE) as process:
        job = spawn(communicate, process)
        until_waiting(job)
        process.kill()
    job.join(10)
    assert job.successful() and process.returncode == -signal.SIGKILL


# --- pipes are blocking for other processes ---------------------------------------------------------------------


def test_a_pipeline_passes_data_from_child_to_child():
    """Both ends of a pipe are blocking for a child that gets them."""
    first = Popen("sleep 0.05; echo hi", shell=True, stdout=PIPE)
    second = Popen(["cat"], stdin=first.stdout, stdout=PIPE, stderr=PIPE)
    first.stdout.close()
    assert second.communicate(timeout=10) == (b"hi\n", b"") and first.wait() == 0

    second = Popen("sleep 0.05; exec wc -c", shell=True, stdin=PIPE, stdout=PIPE)
    first = Popen([PYTHON, "-c", "import os; os.write(1, bytes(300_000))"], stdout=second.stdin)
    second.stdin.close()
    assert second.stdout.read() == b"300000\n" and first.wait() == 0 == second.wait()
    second.stdout.close()


def test_os_calls_on_pipes_let_others_run(ticks, until_ticks):
    with Popen(f"{until_ticks}; cat", shell=True, stdin=PIPE, stdout=PIPE) as process:
        reader, writer = process.stdout.fileno(), process.stdin.fileno()
        assert os.get_blocking(reader) and os.get_blocking(writer)
        data = os.urandom(300_000)
        writing = spawn(greenio.os.write, writer, data)
        buffer = bytearray(5)
        assert greenio.os.readv(reader, [buffer]) == 5
        received = bytes(buffer)
        while len(received) < len(data):
            received += greenio.os.read(reader, 65_536)
        assert writing.get() == len(data) and received == data and ticks


@pytest.mark.parametrize("bufsize", [0, -1])
def test_a_program_may_make_pipes_non_blocking(bufsize):
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=bufsize) as process:
        os.set_blocking(process.stdout.fileno(), False)
        assert process.stdout.read(10) is None
        process.stdin.write(b"abc")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 10)[0]
        assert process.stdout.read(10) == b"abc"
        os.set_blocking(process.stdin.fileno(), False)
        process.send_signal(signal.SIGSTOP)
        if bufsize == 0:
            while process.stdin.write(b"x" * 50_000):  # until the pipe is full
                pass
            assert process.stdin.write(b"x") is None
        else:
            with pytest.raises(BlockingIOError):
                process.stdin.write(b"x" * 300_000)
        process.kill()
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def test_unbuffered_pipes_have_the_methods_of_raw_files(ticks):
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        for pipe, mode in ((process.stdin, "wb"), (process.stdout, "rb")):
            assert isinstance(pipe, io.RawIOBase)
            assert (pipe.name, pipe.mode, pipe.closefd) == (pipe.fileno(), mode, True)
            assert (pipe.readable(), pipe.writable(), pipe.seekable()) == (mode == "rb", mode == "wb", False)
            with pytest.raises(OSError):
                pipe.truncate()
        data = os.urandom(300_000)
        reading = spawn(process.stdout.readall)
        assert process.stdin.write(data) == len(data)  # all of the data, as by the system's call
        process.stdin.close()
        assert reading.get() == data


def test_pipes_work_on_a_system_without_nowait(monkeypatch, ticks):
    """The library asks whether a pipe is ready, and then writes only as much as always fits."""

    def unknown(*args):
        raise OSError(errno.EOPNOTSUPP, "unknown")

    monkeypatch.setattr(nowait, "preadv", unknown)
    monkeypatch.setattr(nowait, "pwritev", unknown)
    with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        data = os.urandom(300_000)
        reading = spawn(process.stdout.readall)
        assert process.stdin.write(data) == len(data)
        process.stdin.close()
        assert reading.get() == data


def test_os_read_of_a_pipe_of_popen_lets_others_run(ticks, until_ticks):
    with greenio.os.popen(f"{until_ticks}; echo hi") as pipe:
        assert os.get_blocking(pipe.fileno()) and greenio.os.read(pipe.fileno(), 10) == b"hi\n"
    assert ticks
