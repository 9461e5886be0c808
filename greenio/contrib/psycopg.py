"""psycopg 3, whose compiled function for waiting would block the thread.

psycopg has the same function in Python, with `select.poll`, which is cooperative when `select` is patched. On Ctrl-C
psycopg cancels the query in the server. With this adapter it also does so when a greenlet is killed, or its time is
over, in the middle of a query. The connection can be used again if the server answers within five seconds; otherwise it
is closed.

See https://www.psycopg.org/psycopg3/docs/.
"""

from __future__ import annotations

from greenlet import GreenletExit

from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adapt", "adapt_connection"]


def adapt(waiting: Any) -> None:
    """Let the connections of psycopg wait cooperatively. `waiting`: the module psycopg.waiting."""
    waiting.wait = waiting.wait_poll


def adapt_connection(connection: Any) -> None:
    """Let psycopg cancel queries whose greenlet is interrupted. `connection`: the module psycopg.connection."""
    interrupted = getattr(connection, "_INTERRUPTED", None)
    # Without such a tuple, connections are left in the middle of the query, and have to be closed.
    if isinstance(interrupted, tuple):
        connection._INTERRUPTED = (*interrupted, GreenletExit, Timeout)
