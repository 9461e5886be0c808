"""The files of Unix sockets: making one, replacing one that an ended server left behind, removing it.

Rules
    1. A file that is not a socket is never replaced, and neither is a socket on which anybody listens.
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
    """The file of a Unix socket. `path`: where it is (str). `mode`: its permissions (int)."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self.mode = mode
        self._created: tuple[int, int, int] | None = None  # our file: the process that made it, device, inode

    def bind(self, sock: Any) -> None:
        """Bind a socket to the path. Switches while another process binds a socket in the same folder.

        Raises OSError (EADDRINUSE) if the path is a file of another type, or a socket that may be in use.
        """
        # The file that bind() makes gets the socket's own permissions, less those that the umask forbids.
        os.fchmod(sock.fileno(), self.mode)
        with _locked(os.path.dirname(self.path)):
            try:
                sock.bind(self.path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self._remove_if_stale(sock.type)
                sock.bind(self.path)
            status = os.lstat(self.path)
            self._created = os.getpid(), status.st_dev, status.st_ino
        if stat.S_IMODE(status.st_mode) != self.mode:
            os.chmod(self.path, self.mode)

    def _remove_if_stale(self, kind):
        status = os.lstat(self.path)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.EADDRINUSE, "there is a file that is not a socket", self.path)
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
        """Remove the file, if bind() has made it in this process and it is still there. Does not switch."""
        created, self._created = self._created, None
        if created is None or created[0] != os.getpid():
            return
        with suppress(FileNotFoundError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == created[1:]:
                os.unlink(self.path)


@contextmanager
def _locked(folder):
    """Hold the folder's lock, so that no other server replaces a stale socket at the same time."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield  # nobody can lock a folder that may be written but not read
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
