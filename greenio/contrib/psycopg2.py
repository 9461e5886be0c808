"""psycopg2: a callback waits for the server, and lets greenlets run meanwhile.

A greenlet that is killed, or whose time is over, in the middle of a query leaves a closed connection: psycopg2 closes
it when the callback raises. The server goes on with the query until it notices: see its setting
`client_connection_check_interval`. A connection must not be closed by one greenlet while another waits for its answer:
psycopg2 holds a lock of the system for that long, and close() would stop the thread for ever.

See https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries for what does not work then: COPY and
large objects.
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
    """Wait until a connection has done what it was asked. Switches. Raises what psycopg2 raises, and TimeoutError.

    `timeout` in seconds (float), for each time it waits for the server.
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
