"""psycopg 3, whose compiled wait function would block the thread.

psycopg has such a function in Python as well, on `select.poll`, which is cooperative once that is patched. On Ctrl-C
psycopg cancels the query in the server. It does the same when a greenlet is killed, or its time is over, in the middle
of a query. The connection can be used again, unless the server does not answer within five seconds: it is closed then.

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
