"""psycopg 3, whose compiled wait function would block the thread.

It has one in Python as well, on `select.poll`, which is cooperative when that is patched. What psycopg does on Ctrl-C
it does when a greenlet is killed, or its time is over, in the middle of a query, too: it cancels the query in the
server and leaves a connection that can be used again; if the server does not answer within five seconds, a closed one.

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
    # Where there is no such tuple, connections are left in the middle of the query: they have to be closed.
    if isinstance(interrupted, tuple):
        connection._INTERRUPTED = (*interrupted, GreenletExit, Timeout)
