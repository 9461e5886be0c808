"""psycopg2, whose callback for waiting lets greenlets run while a connection waits for the server.

When a greenlet is killed in the middle of a query, or its time is over, the connection is closed: psycopg2 closes it
when the callback raises. The server goes on with the query until it notices that; its setting
`client_connection_check_interval` says how soon. A greenlet must not close a connection while another one waits for its
answer: psycopg2 holds a lock of the system meanwhile, and close() would stop the thread for ever.

COPY and large objects do not work with a callback:
https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries
"""

from __future__ import annotations

from greenio._descriptors.readiness import wait_read, wait_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Connection(Protocol):
        def poll(self) -> int: ...
        def fileno(self) -> int: ...


__all__ = ["adapt", "wait_callback"]


def adapt(extensions: Any) -> None:
    """Let the connections of psycopg2 wait cooperatively. `extensions`: the module psycopg2.extensions."""
    extensions.set_wait_callback(wait_callback)


def wait_callback(connection: Connection, timeout: float | None = None) -> None:
    """Wait until a connection has finished its request. Switches.

    `timeout`: the most seconds that each wait for the server may take (float; None for ever). Raises TimeoutError after
    that, and psycopg2's errors.
    """
    from psycopg2 import OperationalError, extensions

    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), timeout)
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), timeout)
        else:
            raise OperationalError(f"poll() of {connection!r} returned {state!r}")
