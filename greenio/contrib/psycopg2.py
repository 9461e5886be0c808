"""psycopg2: a callback waits for the server, and lets greenlets run meanwhile.

See https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries.
"""

from greenio.socket import wait_read, wait_write

__all__ = ["adapt", "wait_callback"]


def adapt(extensions):
    """Let the connections of psycopg2 wait cooperatively. `extensions`: the module psycopg2.extensions."""
    extensions.set_wait_callback(wait_callback)


def wait_callback(connection, timeout=None):
    """Wait until a connection has done what it was asked. Switches. Raises what psycopg2 raises, and TimeoutError.

    `timeout` in seconds (float), for each time it waits.
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
