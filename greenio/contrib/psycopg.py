"""psycopg 3: its wait function is compiled and blocks the thread; the one in Python, on `select.poll`, does not.

See https://www.psycopg.org/psycopg3/docs/ for what it waits for.
"""

__all__ = ["adapt"]


def adapt(waiting):
    """Let the connections of psycopg wait cooperatively. `waiting`: the module psycopg.waiting."""
    waiting.wait = waiting.wait_poll
