"""The buffered files of `io`, for greenlets: greenlets that use the same file take turns, as threads do.

CPython's own files let native threads take turns. They refuse a greenlet that meets another one of its thread inside.
If it meets a greenlet of another thread, its whole thread waits. Each file here has a lock for greenlets around it, so
that CPython's lock is always free.

Rules
    1. close() waits for its turn first. An exception that comes before it has the turn changes nothing.
    2. Then close() closes the file, even if the last data cannot be written. CPython's close() would try to write that
       data again. For that time, or for good, it would hold back an exception that was thrown at it.

What does not belong here: how the raw file waits.
"""

import io
from io import DEFAULT_BUFFER_SIZE, text_encoding

from greenio._sync.mutex cimport RLock
from greenio._descriptors.holding import Held

__all__ = [
    "DEFAULT_BUFFER_SIZE", "BufferedRandom", "BufferedReader", "BufferedRWPair", "BufferedWriter", "TextIOWrapper",
    "text_encoding",
]


cdef int take_holding(RLock lock, args) except -1:
    """Take a lock. While the greenlet waits for it, the buffers among the arguments cannot be resized."""
    if lock.take(False, None):
        return 0
    with Held(args):
        lock.take(True, None)
    return 0


def in_turn(RLock lock, function, args):
    take_holding(lock, args[1:])
    try:
        return function(*args)
    finally:
        lock.give()


def close_flushed(file, close, raws):
    """Flush `file`, and close it with CPython's method `close`.

    If it cannot be flushed, the raw files `raws` below it are closed, and the data in the buffer is lost.
    """
    if file.closed:
        return
    try:
        file.flush()
    except BaseException as thrown:
        cause = thrown.__cause__
        for raw in raws:
            try:
                raw.close()
            except Exception as also:
                cause = also
        raise thrown from cause
    close(file)


# CPython's methods, looked up once.
cdef object reader_read = io.BufferedReader.read
cdef object reader_read1 = io.BufferedReader.read1
cdef object reader_readline = io.BufferedReader.readline
cdef object writer_write = io.BufferedWriter.write
cdef object writer_flush = io.BufferedWriter.flush
cdef object text_readline = io.TextIOWrapper.readline


class OneBuffer:
    """A file with one lock, `_lock`, and one raw file below."""

    @property
    def _raws(self):
        return (self.raw,)

    def _alone(self, function, *args):
        return in_turn(self._lock, function, args)


class BufferedReader(OneBuffer, io.BufferedReader):
    """As io.BufferedReader. Its methods switch while another greenlet uses it, and where the raw file does."""

    def __init__(self, *args, **kwargs):
        self._lock = RLock()
        super().__init__(*args, **kwargs)

    def read(self, size=-1, /):
        """As io.BufferedReader.read(). May switch."""
        cdef RLock lock = self._lock
        lock.take(True, None)
        try:
            return reader_read(self, size)
        finally:
            lock.give()

    def read1(self, size=-1, /):
        """As io.BufferedReader.read1(). May switch."""
        cdef RLock lock = self._lock
        lock.take(True, None)
        try:
            return reader_read1(self, size)
        finally:
            lock.give()

    def readline(self, size=-1, /):
        """As io.BufferedReader.readline(). May switch."""
        cdef RLock lock = self._lock
        lock.take(True, None)
        try:
            return reader_readline(self, size)
        finally:
            lock.give()

    def readinto(self, buffer, /):
        """As io.BufferedReader.readinto(). May switch."""
        return in_turn(self._lock, io.BufferedReader.readinto, (self, buffer))

    def readinto1(self, buffer, /):
        """As io.BufferedReader.readinto1(). May switch."""
        return in_turn(self._lock, io.BufferedReader.readinto1, (self, buffer))

    def peek(self, size=0, /):
        """As io.BufferedReader.peek(). May switch."""
        return in_turn(self._lock, io.BufferedReader.peek, (self, size))

    def seek(self, target, whence=0, /):
        """As io.BufferedReader.seek(). May switch."""
        return in_turn(self._lock, io.BufferedReader.seek, (self, target, whence))

    def close(self):
        """As io.BufferedReader.close(): waits for a reader to finish. May switch."""
        self._alone(close_flushed, self, io.BufferedReader.close, self._raws)


class BufferedWriter(OneBuffer, io.BufferedWriter):
    """As io.BufferedWriter. Its methods switch while another greenlet uses it, and where the raw file does."""

    def __init__(self, *args, **kwargs):
        self._lock = RLock()
        super().__init__(*args, **kwargs)

    def write(self, buffer, /):
        """As io.BufferedWriter.write(). May switch."""
        cdef RLock lock = self._lock
        take_holding(lock, (buffer,))
        try:
            return writer_write(self, buffer)
        finally:
            lock.give()

    def flush(self):
        """As io.BufferedWriter.flush(). May switch."""
        cdef RLock lock = self._lock
        lock.take(True, None)
        try:
            return writer_flush(self)
        finally:
            lock.give()

    def seek(self, target, whence=0, /):
        """As io.BufferedWriter.seek(). May switch."""
        return in_turn(self._lock, io.BufferedWriter.seek, (self, target, whence))

    def truncate(self, pos=None, /):
        """As io.BufferedWriter.truncate(). May switch."""
        return in_turn(self._lock, io.BufferedWriter.truncate, (self, pos))

    def close(self):
        """As io.BufferedWriter.close(): waits for a writer to finish. May switch."""
        self._alone(close_flushed, self, io.BufferedWriter.close, self._raws)


class BufferedRandom(OneBuffer, io.BufferedRandom):
    """As io.BufferedRandom. Its methods switch while another greenlet uses it, and where the raw file does."""

    def __init__(self, *args, **kwargs):
        self._lock = RLock()
        super().__init__(*args, **kwargs)

    def read(self, size=-1, /):
        """As io.BufferedRandom.read(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.read, (self, size))

    def read1(self, size=-1, /):
        """As io.BufferedRandom.read1(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.read1, (self, size))

    def readline(self, size=-1, /):
        """As io.BufferedRandom.readline(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.readline, (self, size))

    def readinto(self, buffer, /):
        """As io.BufferedRandom.readinto(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.readinto, (self, buffer))

    def readinto1(self, buffer, /):
        """As io.BufferedRandom.readinto1(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.readinto1, (self, buffer))

    def peek(self, size=0, /):
        """As io.BufferedRandom.peek(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.peek, (self, size))

    def write(self, buffer, /):
        """As io.BufferedRandom.write(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.write, (self, buffer))

    def flush(self):
        """As io.BufferedRandom.flush(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.flush, (self,))

    def seek(self, target, whence=0, /):
        """As io.BufferedRandom.seek(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.seek, (self, target, whence))

    def truncate(self, pos=None, /):
        """As io.BufferedRandom.truncate(). May switch."""
        return in_turn(self._lock, io.BufferedRandom.truncate, (self, pos))

    def close(self):
        """As io.BufferedRandom.close(): waits until no other greenlet uses it. May switch."""
        self._alone(close_flushed, self, io.BufferedRandom.close, self._raws)


class BufferedRWPair(io.BufferedRWPair):
    """As io.BufferedRWPair. A reader and a writer do not wait for each other. Its methods switch.

    `raw` is the raw file that it reads. The files inside are CPython's, so only the locks here keep greenlets apart.
    """

    def __init__(self, reader, writer, /, *args, **kwargs):
        self._reading = RLock()
        self._writing = RLock()
        self.raw = reader
        self._raws = (reader, writer)
        super().__init__(reader, writer, *args, **kwargs)

    def read(self, size=-1, /):
        """As io.BufferedRWPair.read(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.read, (self, size))

    def read1(self, size=-1, /):
        """As io.BufferedRWPair.read1(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.read1, (self, size))

    def readline(self, size=-1, /):
        """As io.BufferedRWPair.readline(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.readline, (self, size))

    def readinto(self, buffer, /):
        """As io.BufferedRWPair.readinto(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.readinto, (self, buffer))

    def readinto1(self, buffer, /):
        """As io.BufferedRWPair.readinto1(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.readinto1, (self, buffer))

    def peek(self, size=0, /):
        """As io.BufferedRWPair.peek(). May switch."""
        return in_turn(self._reading, io.BufferedRWPair.peek, (self, size))

    def write(self, buffer, /):
        """As io.BufferedRWPair.write(). May switch."""
        return in_turn(self._writing, io.BufferedRWPair.write, (self, buffer))

    def flush(self):
        """As io.BufferedRWPair.flush(). May switch."""
        return in_turn(self._writing, io.BufferedRWPair.flush, (self,))

    def close(self):
        """As io.BufferedRWPair.close(): waits for a writer, then for a reader, to finish. May switch."""
        self._alone(close_flushed, self, io.BufferedRWPair.close, self._raws)

    def _alone(self, function, *args):
        return in_turn(self._writing, in_turn, (self._reading, function, args))


class TextIOWrapper(io.TextIOWrapper):
    """As io.TextIOWrapper, but several greenlets may read lines at once, and none is lost. Its methods may switch.

    Writing needs no lock of its own: CPython hands all text to the buffer below in one call.
    """

    def __init__(self, *args, **kwargs):
        self._reading = RLock()
        super().__init__(*args, **kwargs)

    def read(self, size=-1, /):
        """As io.TextIOWrapper.read(). May switch."""
        return in_turn(self._reading, io.TextIOWrapper.read, (self, size))

    def readline(self, size=-1, /):
        """As io.TextIOWrapper.readline(). May switch."""
        cdef RLock lock = self._reading
        lock.take(True, None)
        try:
            return text_readline(self, size)
        finally:
            lock.give()

    def close(self):
        """As io.TextIOWrapper.close(): waits until no other greenlet uses the buffer below. May switch."""
        below = self.buffer
        if isinstance(below, (OneBuffer, BufferedRWPair)):
            below._alone(close_flushed, self, io.TextIOWrapper.close, below._raws)
        else:
            io.TextIOWrapper.close(self)
