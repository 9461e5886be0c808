"""os.read, write and their like: pipes that are empty, full, closed; several waiting; wrong use."""

import fcntl
import io
import os
import tempfile
import threading

from _tell import tell

reading, writing = os.pipe()
print(os.get_blocking(reading), os.get_inheritable(reading))
tell("write", os.write, writing, b"abc")
tell("read", os.read, reading, 2)
tell("readv", os.readv, reading, [bytearray(1)])
tell("writev", os.writev, writing, [b"a", b"", b"bc"])
tell("read nothing", os.read, reading, 0)
tell("read", os.read, reading, 100)
tell("negative", os.read, reading, -1)
tell("text", os.write, writing, "x")
tell("no descriptor", os.read, "x", 1)
tell("closed", os.read, 900, 1)
tell("closed", os.write, 900, b"x")
tell("closed", os.close, 900)
tell("negative", os.read, -1, 1)
tell("wrong end", os.read, writing, 1)
tell("wrong end", os.write, reading, b"x")
got = []
threads = [threading.Thread(target=lambda: got.append(os.read(reading, 1))) for _ in range(4)]
for thread in threads:
    thread.start()
os.write(writing, b"abcd")
for thread in threads:
    thread.join()
print(sorted(got))
fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
thread = threading.Thread(target=lambda: got.append(os.write(writing, b"x" * 20_000)))
thread.start()
total = 0
while total < 20_000:
    total += len(os.read(reading, 3000))
thread.join()
print(got[-1], total)
os.set_blocking(reading, False)
tell("at once", os.read, reading, 1)
os.set_blocking(reading, True)
thread = threading.Timer(0.001, os.close, (writing,))
thread.start()
tell("end", os.read, reading, 1)
thread.join()
os.close(reading)
reading, writing = os.pipe()
os.close(reading)
tell("broken", os.write, writing, b"x")
os.close(writing)

with tempfile.TemporaryFile() as file:
    fd = file.fileno()
    print(os.write(fd, b"0123456789"), os.lseek(fd, 0, 0), os.read(fd, 4), os.pread(fd, 3, 5), os.read(fd, 100))
    reading, writing = os.pipe()
    print(os.sendfile(writing, fd, 2, 5), os.read(reading, 10))
    tell("sendfile at the end", os.sendfile, writing, fd, 100, 5)
    tell("sendfile of a pipe", os.sendfile, writing, reading, None, 5)
    tell("sendfile, negative", os.sendfile, writing, fd, 0, -1)
    copy = os.dup(fd)
    os.close(copy)
    tell("closed twice", os.close, copy)

# Files on pipes, from both ends.
with open(writing, "w") as out, open(reading) as into:
    out.write("one\ntwo\n")
    out.flush()
    print(into.readline(), end="")
    out.close()
    print(into.read(), end="")
    tell("unsupported", into.write, "x")
    tell("detached", lambda: isinstance(into.buffer.raw, io.FileIO))

print(os.cpu_count() > 0, os.path.exists("/nonesuch"), os.strerror(2))
tell("not there", os.stat, "/nonesuch")
tell("eventfd", lambda: os.eventfd_read(os.eventfd(3)))
event = os.eventfd(0)
thread = threading.Timer(0.001, os.eventfd_write, (event, 5))
thread.start()
tell("eventfd meanwhile", os.eventfd_read, event)
thread.join()
