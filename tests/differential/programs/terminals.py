"""Pseudo-terminals: both ends, children on them, hang-ups."""

import os
import pty
import threading
import tty

from _tell import tell

master, slave = pty.openpty()
print(os.isatty(master), os.isatty(slave))
tty.setraw(slave)
os.write(master, b"typed")
print(os.read(slave, 100))
thread = threading.Timer(0.001, os.write, (slave, b"shown"))
thread.start()
print(os.read(master, 100))
thread.join()
got = []
thread = threading.Thread(target=lambda: got.append(os.read(slave, 100)))
thread.start()
os.write(master, b"late")
thread.join()
print(got)
os.set_blocking(master, False)
tell("nothing", os.read, master, 1)
os.set_blocking(master, True)
os.close(slave)
tell("hung up", os.read, master, 1)
os.close(master)


def output_of(*command):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    output = b""
    while True:
        try:
            data = os.read(fd, 1000)
        except OSError:
            break
        if not data:
            break
        output += data
    os.close(fd)
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


print(output_of("sh", "-c", "test -t 0 && echo a terminal; exit 3"))
results = []
threads = [threading.Thread(target=lambda n=n: results.append(output_of("echo", str(n)))) for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))
sent = []
tell("spawn", lambda: os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", "echo spawned; exit 4"], lambda fd: reads(fd))))


def reads(fd):
    sent.append(os.read(fd, 100))
    return sent[-1]
