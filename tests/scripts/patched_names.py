"""Put the functions of greenio's modules in place of the standard ones, as patching does, and use them all."""

import contextlib
import fcntl
import os
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time

from hub import native

import greenio
import greenio.fcntl
import greenio.fs
import greenio.select
import greenio.selectors
import greenio.signal
import greenio.subprocess
import greenio.time
from greenio import os as cooperative
from greenio.fileobject import FileObject

for standard, ours in (
    (os, cooperative), (fcntl, greenio.fcntl), (select, greenio.select), (selectors, greenio.selectors),
    (signal, greenio.signal), (subprocess, greenio.subprocess), (time, greenio.time),
):  # fmt: skip
    for name in ours.__all__:
        if hasattr(standard, name):
            native.saved.setdefault(standard.__name__, {})[name] = getattr(standard, name)
            setattr(standard, name, getattr(ours, name))

sys.setrecursionlimit(200)  # a function that calls itself by its patched name fails soon


def processes():
    assert subprocess.run(["cat"], input=b"x", capture_output=True).stdout == b"x"
    assert subprocess.check_output(["echo", "x"], timeout=10) == b"x\n"
    assert subprocess.call("exit 5", shell=True) == 5
    with contextlib.suppress(FileNotFoundError):
        subprocess.Popen(["/nonexistent"])
    assert os.system("exit 3") == 3 << 8
    with os.popen("echo x") as lines:
        assert lines.read() == "x\n"
    pid = os.fork()
    if pid == 0:
        time.sleep(0.001)
        os._exit(4)
    assert os.wait() == (pid, 4 << 8)
    pid = os.posix_spawn("/bin/true", ["true"], {})
    assert os.waitid(os.P_PID, pid, os.WEXITED).si_status == 0
    pid = os.posix_spawnp("true", ["true"], {})
    assert os.waitpid(pid, 0) == (pid, 0)
    threads = [threading.Thread(target=subprocess.run, args=(["true"],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def descriptors():
    reader, writer = os.pipe()
    job = greenio.spawn(os.read, reader, 10)
    time.sleep(0.001)
    assert os.write(writer, b"x") == 1 and job.get() == b"x"
    assert os.writev(writer, [b"y"]) == 1 and os.readv(reader, [bytearray(1)]) == 1
    with FileObject(reader) as lines, open(writer, "w") as out:
        out.write("line\n")
        out.flush()
        assert lines.readline() == "line\n"
    reader, writer = os.pipe()
    assert select.select([reader], [writer], [], 0.01)[1] == [writer]
    waiting = greenio.spawn(select.select, [reader], [], [])
    time.sleep(0.001)
    os.write(writer, b"x")
    assert waiting.get()[0] == [reader]
    os.close(reader)
    os.close(writer)


def files():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        assert greenio.fs.write_text(path, "text") == 4
        with open(path) as first, greenio.fs.open(path) as second:
            fcntl.flock(first, fcntl.LOCK_EX)
            waiting = greenio.spawn(fcntl.flock, second, fcntl.LOCK_EX)
            time.sleep(0.001)
            fcntl.flock(first, fcntl.LOCK_UN)
            waiting.get()
            fcntl.lockf(first, fcntl.LOCK_SH)
            assert second.read() == "text"
        with open(path, "w") as plain:
            plain.write("more")


def signals():
    seen = []
    signal.signal(signal.SIGALRM, lambda *args: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert seen


for use in (signals, processes, descriptors, files):
    greenio.spawn(use).join()
    use()
hub = greenio.get_hub()
hub.destroy()
greenio.sleep(0)
print("all done")
