"""Messages to systemd: the service is ready, reloads, or ends.

See https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import os
import time
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM
from _socket import socket as _basic

__all__ = ["notify", "notify_ready", "notify_reloading", "notify_stopping"]


def notify(text: str) -> None:
    """Send a text to the socket that NOTIFY_SOCKET names, if it names one. Does not switch.

    Errors are ignored: systemd, or whatever asked for messages, has gone.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    sock = _basic(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        sock.sendto(text.encode(), f"\0{path[1:]}" if path.startswith("@") else path)
    except OSError:
        pass
    finally:
        sock.close()


def notify_ready() -> None:
    """Say that the service is ready, or has reloaded. Does not switch."""
    notify("READY=1")


def notify_reloading() -> None:
    """Say that the service reloads, and since when. Does not switch."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping() -> None:
    """Say that the service ends. Does not switch."""
    notify("STOPPING=1")
