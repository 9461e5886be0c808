"""Unix sockets that have a path: making the file, replacing one that an ended server left behind, removing it.

Rules
    1. A file that is no socket, and a socket on which anybody listens, are never replaced.
    2. Nobody can connect before the file has its permissions.
    3. Only the process that made the file removes it, and only while it is still the same file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket as _standard
import stat
from contextlib import closing, contextmanager, suppress
from time import monotonic

from hub import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["UnixPath"]

#: Seconds to wait for another process that is making a socket in the same folder.
PATIENCE = 5


class UnixPath:
    """The file of a Unix socket that is bound here. `mode`: its permissions (int)."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self.mode = mode
        self._made: tuple[int, int, int] | None = None  # process, device, inode

    def bind(self, sock: Any) -> None:
        """Bind a socket to the path. Raises OSError (EADDRINUSE) if anything is there that may be in use.

        Switches while another process binds a socket in the same folder.
        """
        # The file that bind() makes takes these permissions over, less what the umask forbids.
        os.fchmod(sock.fileno(), self.mode)
        with _only_one(os.path.dirname(self.path)):
            try:
                sock.bind(self.path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self._remove_if_stale(sock.type)
                sock.bind(self.path)
            status = os.lstat(self.path)
            self._made = os.getpid(), status.st_dev, status.st_ino
        if stat.S_IMODE(status.st_mode) != self.mode:
            os.chmod(self.path, self.mode)

    def _remove_if_stale(self, kind):
        status = os.lstat(self.path)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.EADDRINUSE, "there is a file, which is no socket", self.path)
        with closing(_standard.socket(_standard.AF_UNIX, kind)) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self.path)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
            except FileNotFoundError:
                return
            except OSError as error:
                reason = error.strerror
            else:
                reason = "a server listens there"
        raise OSError(errno.EADDRINUSE, f"the socket may be in use ({reason})", self.path)

    def remove(self) -> None:
        """Remove the file, if it was made here and is still there. Does not switch."""
        made, self._made = self._made, None
        if made is None or made[0] != os.getpid():
            return
        with suppress(FileNotFoundError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == made[1:]:
                os.unlink(self.path)


@contextmanager
def _only_one(folder):
    """Keep others that make sockets here out: what one has found stale, another could have replaced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield  # a folder that may be written to and not be read: nobody can lock it
        return
    try:
        end = monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > end:
                    raise OSError(errno.EBUSY, "another process keeps the folder locked", folder) from None
                sleep(0.001)
        yield
    finally:
        os.close(descriptor)
