"""File objects on pipes and terminals, and regular files in threads."""

import errno
import io
import os
import pty

import pytest

from greenio import get_hub, sleep, spawn
from greenio.fileobject import FileObject, FileObjectPosix, FileObjectThread
from greenio.threadpool import ThreadPool


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    made = FileObjectPosix(reader, "rb"), FileObjectPosix(writer, "wb", 0)
    yield made
    for each in made:
        each.close()


@pytest.fixture
def pool():
    made = ThreadPool(2)
    yield made
    made.kill()
    while made._threads:
        sleep(0.001)


def test_there_and_back(pipe):
    reader, writer = pipe
    job = spawn(reader.readline)
    sleep(0)
    writer.write(b"one\ntw")
    assert job.get() == b"one\n"
    writer.write(b"o\n")
    assert reader.readline() == b"two\n"
    writing = spawn(lambda: (writer.writeall(b"x" * 300_000), writer.close()))
    assert reader.read() == b"x" * 300_000
    writing.join()
    assert writer.closed and reader.read() == b""
    with pytest.raises(ValueError):
        writer.write(b"x")


def test_text():
    reader, writer = os.pipe()
    with FileObjectPosix(writer, "w", encoding="utf-8") as out:
        out.write("gr\u00fcn\nzwei\n")
    with FileObjectPosix(reader, "r", encoding="utf-8") as lines:
        assert list(lines) == ["gr\u00fcn\n", "zwei\n"]
    assert lines.closed and "TextIOWrapper" in repr(lines)


def test_closed_under_a_reader(pipe):
    reader, _ = pipe
    job = spawn(reader.io.raw.read, 1)
    job.reports_errors = False
    sleep(0)
    reader.io.raw.close()
    with pytest.raises(OSError) as caught:
        job.get()
    assert caught.value.errno == errno.EBADF


def test_a_file_object_is_taken_over():
    reader, writer = os.pipe()
    plain = os.fdopen(writer, "wb")
    plain.write(b"before ")
    with FileObject(plain, "wb") as out:
        assert isinstance(out, FileObjectPosix) and plain.closed
        out.write(b"after")
    with FileObject(reader, "rb") as lines:
        assert lines.read() == b"before after"


def test_a_terminal_is_left_as_it_is():
    master, terminal = pty.openpty()
    with FileObject(terminal, "r+b", 0) as ours:
        assert os.get_blocking(terminal) and ours.isatty()
        job = spawn(ours.read, 10)
        sleep(0)
        os.write(master, b"typed\n")
        assert job.get() == b"typed\n"
        assert ours.write(b"shown") == 5
        assert os.get_blocking(terminal)
    os.close(master)


def test_modes():
    reader, writer = os.pipe()
    with FileObjectPosix(reader, "rb", 0) as ours:
        assert ours.readable() and not ours.writable() and not ours.seekable() and ours.fileno() == reader
        with pytest.raises(io.UnsupportedOperation):
            ours.write(b"x")
    with pytest.raises(ValueError, match="unbuffered text"):
        FileObjectPosix(writer, "w", 0)
    with pytest.raises(ValueError, match="binary mode"):
        FileObjectPosix(writer, "wb", encoding="utf-8")
    with FileObjectPosix(writer, "wb", closefd=False):
        pass
    os.close(writer)


def test_regular_files_in_threads(tmp_path, pool):
    path = tmp_path / "file"
    with FileObjectThread(path, "w", threadpool=pool) as out:
        assert out.write("one\n") == 4
        out.writelines(["two\n", "three\n"])
    with FileObjectThread(path, threadpool=pool) as lines:
        assert list(lines) == ["one\n", "two\n", "three\n"]
        assert lines.seek(0) == 0 and lines.read() == "one\ntwo\nthree\n" and lines.name == str(path)
    assert lines.closed
    with pytest.raises(FileNotFoundError):
        FileObjectThread(tmp_path / "none", threadpool=pool)
    with open(path) as plain:
        other = FileObjectThread(plain, closefd=False, lock=False, threadpool=pool)
        assert other.readline() == "one\n"
        other.close()
        assert not plain.closed


def test_the_kind_is_chosen(tmp_path, pool):
    hub = get_hub()
    before, hub.threadpool = hub.__dict__.get("_threadpool"), pool
    try:
        with FileObject(tmp_path / "file", "w") as made:
            assert isinstance(made, FileObjectThread)
        with open(tmp_path / "file") as plain, FileObject(plain) as made:
            assert isinstance(made, FileObjectThread)
        with FileObject(io.BytesIO(b"x"), "rb") as made:
            assert made.read() == b"x"
    finally:
        hub.threadpool = before
