"""File objects on pipes and terminals, and regular files in threads."""

import errno
import gc
import io
import os
import pty
import socket

import pytest
from waiting import until, until_waiting

from greenio import get_hub, sleep, spawn
from greenio.fileobject import FileObject, FileObjectBlock, FileObjectClosed, FileObjectPosix, FileObjectThread
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
    until(lambda: not made._threads)


def test_lines_and_data_go_through_a_pipe(pipe):
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


def test_text_is_encoded_and_decoded():
    reader, writer = os.pipe()
    with FileObjectPosix(writer, "w", encoding="utf-8") as out:
        out.write("gr\u00fcn\nzwei\n")
    with FileObjectPosix(reader, "r", encoding="utf-8") as lines:
        assert list(lines) == ["gr\u00fcn\n", "zwei\n"]
    assert lines.closed and "TextIOWrapper" in repr(lines)


def test_closing_wakes_a_reader(pipe):
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


def test_a_file_does_what_its_mode_says():
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


def test_bad_modes_are_refused_as_by_open(tmp_path):
    reader, writer = os.pipe()
    for arguments in (
        {"mode": "rbt"}, {"mode": "rw"}, {"mode": ""}, {"mode": "q"}, {"mode": "rr"}, {"mode": "b"}, {"mode": 5},
        {"mode": "rb", "encoding": "utf-8"}, {"mode": "rb", "newline": ""}, {"mode": "rb", "errors": "strict"},
        {"mode": "r", "buffering": 0}, {"encoding": "nonesuch"}, {"newline": "x"},
    ):  # fmt: skip
        with pytest.raises(Exception) as expected:
            open(reader, closefd=False, **arguments)  # noqa: SIM115
        for kind in (FileObjectPosix, FileObjectBlock):
            with pytest.raises(type(expected.value)):
                kind(reader, closefd=kind is FileObjectPosix, **arguments)
        os.fstat(reader)  # still open
    with pytest.raises(LookupError):
        FileObjectPosix(open(reader), encoding="nonesuch")  # noqa: SIM115
    with pytest.raises(OSError):
        os.fstat(reader)  # closed: the FileObject owned it
    os.close(writer)
    for bad, error in (
        (reader, OSError),
        (-1, OSError),
        (10**6, OSError),
        ("x\0y", ValueError),
        (tmp_path, OSError),
    ):
        with pytest.raises(error):
            FileObject(bad)


def test_closing_twice_is_harmless_and_later_use_is_refused(pipe):
    for each in pipe:
        each.close()
        each.close()
        assert each.closed
        with pytest.raises(FileObjectClosed) as caught:
            each.flush()
        assert caught.value.errno == errno.EBADF and isinstance(caught.value, (OSError, ValueError))
        with pytest.raises(ValueError):
            each.fileio.fileno()
        with pytest.raises(FileObjectClosed), each:
            pass
    with pytest.raises(FileObjectClosed):
        pipe[0].read(1)


@pytest.mark.parametrize("mode, buffering", [("rb", 0), ("rb", -1), ("r", -1)])
def test_a_file_that_was_not_closed_is_collected_with_a_warning(mode, buffering):
    reader, writer = os.pipe()
    os.close(writer)
    left = FileObjectPosix(reader, mode, buffering)
    with pytest.warns(ResourceWarning, match="unclosed file"):
        del left
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(reader)


def test_a_socket_is_read_and_written_through_one_file():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with FileObjectPosix(os.dup(ours.fileno()), "r+b") as file:
            file.write(b"there\n")
            file.flush()
            assert theirs.recv(100) == b"there\n"
            job = spawn(file.readline)
            sleep(0)
            theirs.send(b"back\n")
            assert job.get() == b"back\n" and not file.seekable()
            with pytest.raises(OSError):
                file.seek(0)


def test_gevents_names_and_arguments_work(tmp_path, pool):
    reader, writer = os.pipe()
    with FileObjectPosix(writer, "wb", bufsize=0) as out:
        assert out.fileio is out.io
        out.writeall(memoryview(b"x" * 10))
    with FileObjectPosix(reader, "rb", close=False) as ours:
        assert ours.fileio is ours.io.raw and ours.fileio.name == reader and ours.read() == b"x" * 10
    os.close(reader)
    with FileObjectBlock(tmp_path / "file", "w", bufsize=1) as out:
        out.write("one\n")
        out.writeall("two\n")
    with FileObjectThread(tmp_path / "file", "rb", bufsize=0, threadpool=pool) as lines:
        assert lines.io.read(3) == b"one" and lines.fileio is lines.io
    with open(tmp_path / "file") as plain:
        with FileObjectBlock(plain, close=False) as other:
            assert list(other) == ["one\n", "two\n"]
        assert not plain.closed
        FileObjectBlock(plain).close()
        assert plain.closed


def test_greenlets_run_while_one_opens_a_named_pipe(tmp_path, pool):
    hub = get_hub()
    before, hub.threadpool = hub.__dict__.get("_threadpool"), pool
    os.mkfifo(tmp_path / "pipe")
    try:
        opening = spawn(FileObject, tmp_path / "pipe", "wb", 0)
        with FileObject(tmp_path / "pipe", "rb", 0) as lines, opening.get(timeout=5) as out:
            assert isinstance(lines, FileObjectPosix) and isinstance(out, FileObjectPosix)
            job = spawn(lines.read, 10)
            sleep(0)
            out.write(b"x")
            assert job.get() == b"x"
    finally:
        hub.threadpool = before


def test_a_killed_writer_has_written_a_part(pipe):
    reader, writer = pipe
    job = spawn(writer.writeall, b"x" * 1_000_000)
    until_waiting(job)
    job.kill()
    writer.close()
    assert 0 < len(reader.read()) < 1_000_000


def test_seek_and_tell(tmp_path, pool):
    with FileObjectThread(tmp_path / "file", "w+b", threadpool=pool) as file:
        file.write(b"0123456789")
        assert file.seek(2) == 2 == file.tell() and file.read(3) == b"234"
        assert file.truncate(4) == 4 and file.seek(0, os.SEEK_END) == 4 and file.seekable()


def test_regular_files_are_read_and_written_in_threads(tmp_path, pool):
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


def test_the_kind_of_file_object_is_chosen_by_the_file(tmp_path, pool):
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
