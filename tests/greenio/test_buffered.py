"""Files with a buffer that several greenlets use at once. The greenlets wait for one another, as threads do."""

import errno
import io
import os
import threading

import pytest
from waiting import until, waiting_in

from greenio import Timeout, fileobject, joinall, sleep, socket, spawn, subprocess
from greenio._descriptors import buffered
from greenio.fileobject import FileObject, FileObjectClosed, open_pipe
from greenio.subprocess import PIPE, Popen

PIPE_SIZE = 1 << 16
KINDS = ["rb", "r", "rwb", "rw"]


def of_pipe(mode, own=False):
    reader, writer = os.pipe()
    return open_pipe(reader, mode, own=own), writer


def of_file_object(mode):
    reader, writer = os.pipe()
    return FileObject(reader, mode), writer


def of_socket(mode):
    ours, theirs = socket.socketpair()
    with ours:
        return ours.makefile(mode), theirs.detach()


@pytest.fixture(
    params=[(of_pipe, "rb"), (of_pipe, "r"), (of_file_object, "rb"), (of_file_object, "r")]
    + [(of_socket, mode) for mode in KINDS],
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def source(request):
    """A file to read, and a descriptor to write to. `file.expected(data)` is the data as the file reads them."""
    make, mode = request.param
    file, writer = make(mode)
    file.expected = (lambda data: data) if "b" in mode else bytes.decode
    yield file, writer
    os.close(writer)
    file.close()


def test_several_readers_get_whole_lines(source):
    file, writer = source
    jobs = [waiting_in(file.readline) for _ in range(3)]
    os.write(writer, b"one\ntwo\nth")
    joinall(jobs[:2], timeout=5)
    assert [job.value for job in jobs] == [file.expected(b"one\n"), file.expected(b"two\n"), None]
    os.write(writer, b"ree\n")
    assert jobs[2].get(timeout=5) == file.expected(b"three\n")


@pytest.mark.parametrize("how", ["killed", "out of time"])
@pytest.mark.parametrize("which", [0, 1], ids=["inside", "in line"])
def test_when_one_reader_is_ended_the_next_reads(source, how, which):
    file, writer = source

    def read(number):
        with Timeout(0.01 if how == "out of time" and number == which else None, False):
            return file.readline()

    jobs = [waiting_in(read, number) for number in range(3)]
    if how == "killed":
        jobs[which].kill()
    jobs.pop(which).join(timeout=5)
    os.write(writer, b"one\ntwo\n")
    assert [job.get(timeout=5) for job in jobs] == [file.expected(b"one\n"), file.expected(b"two\n")]


def test_closing_waits_for_the_reader(source):
    file, writer = source
    reading = waiting_in(file.readline)
    # close() of a FileObject ends its readers with EBADF. The file within waits, as the standard library's.
    closing = waiting_in(file.io.close if hasattr(file, "io") else file.close)
    os.write(writer, b"one\n")
    assert reading.get(timeout=5) == file.expected(b"one\n")
    closing.get(timeout=5)
    assert file.closed
    with pytest.raises(ValueError):
        file.readline()


@pytest.mark.parametrize("mode, buffering", [("rb", 0), ("rb", -1), ("r", -1)])
def test_closing_a_file_object_ends_its_readers(mode, buffering):
    reader, writer = os.pipe()
    file = FileObject(reader, mode, buffering)
    jobs = [waiting_in(file.read, 10) for _ in range(3)]
    file.close()
    joinall(jobs, timeout=5)
    for job in jobs:
        assert isinstance(job.exception, ValueError if job is not jobs[0] and buffering else OSError)
    assert jobs[0].exception.errno == errno.EBADF
    os.close(writer)


def test_closing_a_file_object_ends_a_reader_in_another_thread():
    reader, writer = os.pipe()
    file = FileObject(reader, "rb")
    caught, reads = [], threading.Event()

    def read():
        spawn(reads.set)
        try:
            file.readline()
        except OSError as error:
            caught.append(error.errno)

    thread = threading.Thread(target=read)
    thread.start()
    until(reads.is_set)
    file.close()
    thread.join()
    assert caught == [errno.EBADF] and file.closed
    os.close(writer)


@pytest.mark.parametrize("what", ["end_reading", "close"])
def test_a_file_that_another_thread_closes_when_a_reader_is_about_to_wait(what, monkeypatch):
    reader, writer = os.pipe()
    file = fileobject.PipeIO(reader)

    def nothing_yet(*args, **options):
        thread = threading.Thread(target=getattr(file, what))
        thread.start()
        thread.join()
        raise BlockingIOError

    monkeypatch.setattr(fileobject, "readv_now", nothing_yet)
    with Timeout(10), pytest.raises(OSError) as caught:
        file.readinto(bytearray(1))
    assert caught.value.errno == errno.EBADF
    file.close()
    os.close(writer)


def test_a_file_that_another_thread_closes_when_a_writer_is_about_to_wait(monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, bytes(PIPE_SIZE))
    file = fileobject.PipeIO(writer, "w")

    def no_room(*args, **options):
        thread = threading.Thread(target=file.close)
        thread.start()
        thread.join()
        raise BlockingIOError

    monkeypatch.setattr(fileobject, "writev_now", no_room)
    with Timeout(10), pytest.raises(OSError) as caught:
        file.write(b"more")
    assert caught.value.errno == errno.EBADF
    os.close(reader)


def test_closing_a_file_object_waits_for_its_writer():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        file = FileObject(os.dup(ours.fileno()), "r+b")
        data = b"x" * 1_000_000
        writing = waiting_in(file.write, data)
        reading = waiting_in(file.readline)
        closing = waiting_in(file.close)
        assert reading.ready() and reading.exception.errno == errno.EBADF
        received = 0
        while received < len(data):
            received += len(theirs.recv(1 << 20))
        assert writing.get(timeout=5) == len(data)
        closing.get(timeout=5)
        assert file.closed


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("kind", ["pipe", "own pipe", "socket"])
def test_writers_into_a_full_file_write_whole_pieces(kind, mode):
    if kind == "socket":
        ours, theirs = socket.socketpair()
        with ours:
            file, reader = ours.makefile(mode), theirs.detach()
    else:
        reader, writer = os.pipe()
        file = open_pipe(writer, mode, own=kind == "own pipe")
    pieces = [letter * 300_000 for letter in (b"a", b"b", b"c")]

    def write(piece):
        file.write(piece if mode == "wb" else piece.decode())
        file.flush()

    jobs = [waiting_in(write, piece) for piece in pieces]
    with open_pipe(reader, "rb") as source:
        assert source.read(900_000) == b"".join(pieces)
        joinall(jobs, raise_error=True, timeout=5)
        file.close()


def full_writer(kind, mode):
    """Return a file with data in its buffer that it cannot write, as its descriptor is full, and one to read from."""
    if kind == "pipe":
        reader, writer = os.pipe()
        os.write(writer, bytes(PIPE_SIZE))
        file = open_pipe(writer, mode)
    else:
        ours, theirs = socket.socketpair()
        with ours:
            with Timeout(0.01, False):
                ours.sendall(bytes(10_000_000))
            file, reader = ours.makefile(mode), theirs.detach()
    file.write(b"left" if "b" in mode else "left")
    return file, reader


def assert_closing_is_ended(file, how):
    """Close a file in a greenlet, which has to wait. It is "killed" or "out of time", and gets just that exception."""
    thrown = Timeout(None) if how == "killed" else Timeout(0.01)

    def close():
        with thrown:
            file.close()

    if how == "killed":
        closing = waiting_in(close)
        closing.kill(thrown, block=False)
    else:
        closing = spawn(close)  # it may have ended before until_waiting() sees it
        closing.reports_errors = False
    closing.join(timeout=5)
    assert closing.exception is thrown


@pytest.mark.parametrize(
    "kind, mode", [("pipe", "wb"), ("pipe", "w"), *(("socket", mode) for mode in ("wb", "w", "rwb"))]
)
@pytest.mark.parametrize("how", ["killed", "out of time"])
def test_closing_a_file_that_cannot_be_flushed_can_be_ended(kind, mode, how):
    file, reader = full_writer(kind, mode)
    assert_closing_is_ended(file, how)
    assert file.closed
    file.close()
    os.close(reader)


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("how", ["killed", "out of time"])
def test_closing_that_is_ended_while_another_greenlet_writes_leaves_the_file_open(mode, how):
    file, reader = full_writer("pipe", mode)
    piece = bytes(300_000)
    writing = waiting_in(lambda: (file.write(piece if mode == "wb" else piece.decode()), file.flush()))
    assert_closing_is_ended(file, how)
    assert not file.closed and not writing.ready()
    with open_pipe(reader, "rb") as source:
        assert source.read(PIPE_SIZE) == bytes(PIPE_SIZE)
        assert source.read(4 + len(piece)) == b"left" + piece
        writing.get(timeout=5)
        file.write(b"more" if mode == "wb" else "more")
        file.close()
        assert source.read() == b"more"


def test_an_exception_thrown_into_close_comes_before_an_error_of_closing():
    class Raw(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            raise Timeout(None)

        def close(self):
            if not self.closed:
                super().close()
                raise OSError("of the raw file")

    for file in (buffered.BufferedWriter(Raw()), buffered.TextIOWrapper(buffered.BufferedWriter(Raw()))):
        file.write("text" if isinstance(file, io.TextIOWrapper) else b"data")
        with pytest.raises(Timeout) as caught:
            file.close()
        assert str(caught.value.__cause__) == "of the raw file"
        assert file.closed


def test_a_text_file_closes_a_buffer_of_another_kind():
    below = io.BytesIO()
    file = buffered.TextIOWrapper(below)
    file.write("text")
    file.flush()
    assert below.getvalue() == b"text"
    file.close()
    assert below.closed


def test_a_reader_does_not_hold_up_a_writer():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for mode, word in (("rwb", b"x\n"), ("rw", "x\n")):
            with ours.makefile(mode) as file:
                reading = waiting_in(file.readline)
                file.write(word)
                file.flush()
                theirs.sendall(theirs.recv(10))
                assert reading.get(timeout=5) == word


def test_greenlets_of_several_threads_read_one_file():
    """A thread's other greenlets run while one waits for a greenlet of another thread."""
    file, writer = of_pipe("rb")
    lines, turns = [], []

    def work():
        def read():
            for _ in range(50):
                lines.append(file.readline())

        def look():
            while not all(job.ready() for job in jobs):
                turns.append(threading.get_ident())
                sleep(0.001)

        jobs = [spawn(read), spawn(read)]
        spawn(look).join(timeout=30)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        os.write(writer, b"%d\n" % number)
        if number % 10 == 0:
            sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert sorted(map(int, lines)) == list(range(300))
    assert {thread.ident for thread in threads} <= set(turns)
    file.close()
    os.close(writer)


@pytest.mark.parametrize("own", [False, True])
def test_a_reader_whose_file_is_closed_when_it_is_about_to_read(own):
    """The number may belong to another file by then."""
    file, writer = of_pipe("rb", own)
    raw = file.raw
    reading = waiting_in(raw.read, 10)
    os.write(writer, b"x")
    other_reader, other_writer = os.pipe()
    os.write(other_writer, b"of another file")

    def close_when_it_is_woken():
        raw.close()
        os.dup2(other_reader, number)

    number = raw.fileno()
    spawn(close_when_it_is_woken)
    reading.join(timeout=5)
    assert reading.value in (None, b"x")
    for each in (number, writer, other_reader, other_writer):
        os.close(each)


def test_wrong_use_raises_the_standard_errors():
    """Wrong use raises the errors of the standard library's files."""
    file, writer = of_pipe("rb")
    os.close(writer)
    assert isinstance(file, io.BufferedReader)
    with pytest.raises(TypeError):
        file.read("x")
    with pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    file.close()
    file.close()
    for call in (file.read, file.readline, file.peek, file.read1):
        with pytest.raises(ValueError):
            call()


# --- processes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"text": True}, {"bufsize": 0}], ids=str)
def test_communicate_ends_when_another_greenlet_kills_the_process(options):
    with Popen(["sleep", "60"], stdout=PIPE, **options) as process:
        communicating = waiting_in(process.communicate)
        process.kill()
    assert process.returncode == -9
    communicating.join(timeout=5)
    if options == {"bufsize": 0}:  # a file without a buffer has no lock, and is closed under its reader
        assert communicating.exception.errno == errno.EBADF
    else:
        assert communicating.value == ("" if options else b"", None)


def test_closing_a_pipe_waits_for_its_reader():
    with Popen(["cat"], stdin=PIPE, stdout=PIPE) as process:
        reading = waiting_in(process.stdout.readline)
        closing = waiting_in(process.stdout.close)
        process.stdin.write(b"line\n")
        process.stdin.flush()
        assert reading.get(timeout=5) == b"line\n"
        closing.get(timeout=5)
        assert process.stdout.closed


def test_communicate_does_not_read_a_pipe_that_is_closed_meanwhile():
    selector = subprocess._PipeSelector()
    with selector:
        file, writer = of_pipe("rb")
        selector.register(file, 1)
        os.write(writer, b"x")
        assert selector.select()
        os.close(writer)
        file.close()
        with pytest.raises(FileObjectClosed):
            selector.select(0)
