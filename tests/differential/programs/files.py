"""tempfile, fcntl, sqlite3, shutil and io, from several threads and processes."""

import fcntl
import io
import os
import shutil
import sqlite3
import tempfile
import threading
import warnings

from _tell import tell, tell_kind

warnings.filterwarnings("ignore", message=".*fork")  # patched, the wait for a file's lock is in a native thread
folder = tempfile.mkdtemp()
path = os.path.join(folder, "file")


def in_threads(count, function):
    threads = [threading.Thread(target=function, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


names = []
in_threads(10, lambda n: names.append(tempfile.mkstemp(dir=folder)))
for fd, name in names:
    os.close(fd)
    os.unlink(name)
print(len({name for _, name in names}))
with tempfile.NamedTemporaryFile(dir=folder) as file:
    in_threads(3, lambda n: file.write(b"%d" % n))
    file.flush()
    print(os.path.getsize(file.name))
print(os.path.exists(file.name))
with tempfile.SpooledTemporaryFile(5) as spooled:
    spooled.write(b"0123456789")
    spooled.seek(0)
    print(spooled.read(3))

with open(path, "w") as one, open(path, "w") as other:
    tell("flock", fcntl.flock, one, fcntl.LOCK_EX)
    tell("taken", fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    got = []
    thread = threading.Thread(target=lambda: (fcntl.flock(other, fcntl.LOCK_EX), got.append(1)))
    thread.start()
    thread.join(0.002)
    print(thread.is_alive(), got)
    fcntl.flock(one, fcntl.LOCK_UN)
    thread.join()
    print(got)
    tell("lockf", fcntl.lockf, one, fcntl.LOCK_EX)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            status = 5
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    tell("os.lockf", os.lockf, one.fileno(), os.F_ULOCK, 0)
    tell_kind("no descriptor", fcntl.flock, "x", 0)
    tell("closed", fcntl.flock, 900, fcntl.LOCK_EX)
    tell("no such lock", fcntl.flock, one, 999)
    tell("no such lock", fcntl.lockf, one, 0)
    tell("fcntl", lambda: fcntl.fcntl(one, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
with open(path, "rb") as closed:
    pass
tell("closed file", fcntl.flock, closed, fcntl.LOCK_EX)

database = os.path.join(folder, "database")
with sqlite3.connect(database) as connection:
    connection.execute("create table numbers (n integer primary key)")


def inserts(number):
    with sqlite3.connect(database, timeout=20) as mine:
        for step in range(3):
            mine.execute("insert into numbers values (?)", (number * 10 + step,))
            mine.commit()
    mine.close()


in_threads(4, inserts)
print(connection.execute("select count(*), sum(n) from numbers").fetchone())
other = sqlite3.connect(database, timeout=0.001, isolation_level=None)
connection.execute("begin immediate")
tell("locked", other.execute, "begin immediate")
connection.rollback()
tell("unique", connection.execute, "insert into numbers values (0)")
connection.create_function("fails", 0, lambda: 1 / 0)
tell("function", connection.execute, "select fails()")
connection.close()
other.close()
tell("closed", connection.execute, "select 1")

# Buffers to which several threads write, and from which several read.
with open(path, "wb") as file:
    in_threads(5, lambda n: [file.write(b"%d\n" % n) for _ in range(100)])
with open(path, "rb") as file:
    lines = file.readlines()
print(len(lines), sorted(set(lines)), len({lines.count(each) for each in lines}))
tell("copy", lambda: os.path.getsize(shutil.copyfile(path, path + ".copy")))
tell_kind("not there", shutil.copyfile, path + ".nonesuch", path)
text = io.TextIOWrapper(io.BufferedRandom(io.FileIO(path, "r+")))
tell("text", text.readline)
tell("seek", text.seek, 0)
text.close()
tell("closed", text.read)
shutil.rmtree(folder)
print(os.path.exists(folder))
