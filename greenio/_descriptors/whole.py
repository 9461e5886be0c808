"""MSG_WAITALL for the calls that return more than data: they are repeated until all the data is there.

As in the system, an end or an error in the middle ends the call with the data that came before, and the next call
reports it. Data that comes with something else, such as descriptors, ends the call as well. If the greenlet is killed,
the data that it has received is in its buffers, or lost. The same happens natively if a signal handler raises.

What does not belong here: recv() and recv_into(), which are compiled (see transfer.pyx).
"""

from __future__ import annotations

from socket import MSG_PEEK

from greenio._descriptors.holding import Held
from greenio._descriptors.transfer import wait_for_peek

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from typing_extensions import Buffer

    from greenio._descriptors.endpoint import Endpoint

__all__ = ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"]


def recvfrom(endpoint: Endpoint, receive: Callable[..., Any], bufsize: int, flags: int) -> tuple[bytes, Any]:
    """As socket.recvfrom(). `receive`: as in recvfrom_into(). Switches while data is missing."""
    buffer = bytearray(bufsize)
    count, address = recvfrom_into(endpoint, receive, buffer, bufsize, flags)
    return bytes(buffer[:count]), address


def recvfrom_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffer: Buffer, nbytes: int, flags: int
) -> tuple[int, Any]:
    """As socket.recvfrom_into(). `receive`: such a method, which may receive less. Switches while data is missing."""
    with Held([buffer]):
        _wait_for_peek(endpoint, [buffer], flags, nbytes)
        first = receive(buffer, nbytes, flags)
        with memoryview(buffer) as view, view.cast("B") as whole, whole[: nbytes or None] as wanted:
            return _all_of(endpoint, lambda rest: receive(rest[0], 0, flags), [wanted], first, flags)


def recvmsg(
    endpoint: Endpoint, receive: Callable[..., Any], bufsize: int, ancbufsize: int, flags: int
) -> tuple[bytes, list[Any], int, Any]:
    """As socket.recvmsg(). `receive`: as in recvmsg_into(). Switches while data is missing."""
    buffer = bytearray(bufsize)
    count, *others = recvmsg_into(endpoint, receive, [buffer], ancbufsize, flags)
    return bytes(buffer[:count]), *others


def recvmsg_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffers: Sequence[Buffer], ancbufsize: int, flags: int
) -> tuple[int, list[Any], int, Any]:
    """As socket.recvmsg_into(). `receive`: such a method, which may receive less. Switches while data is missing."""
    with Held([buffers]) as held:
        (buffers,) = held.args
        _wait_for_peek(endpoint, buffers, flags)
        first = receive(buffers, ancbufsize, flags)
        return _all_of(endpoint, lambda rest: receive(rest, ancbufsize, flags), buffers, first, flags)


def _wait_for_peek(endpoint, buffers, flags, nbytes=0):
    if flags & MSG_PEEK:
        size = sum(memoryview(buffer).nbytes for buffer in buffers)
        wait_for_peek(endpoint, min(nbytes or size, size), flags)


def _all_of(endpoint, receive, buffers, result, flags):
    """Repeat a call that receives into buffers until they are full. Returns the results of all calls as one.

    `result`: that of the first call. `receive`: called with the buffers that are left.
    """
    count, *others = result
    rest = _rest_of(buffers, count)
    try:
        while result[0] and rest and not flags & MSG_PEEK and not (len(result) == 4 and result[1]):
            try:
                result = receive(rest)
            except OSError as error:
                endpoint.leave(error)
                break
            count += result[0]
            done, rest = rest, _rest_of(rest, result[0])
            _release(done)
            if len(result) == 4:
                others[:2] = result[1:3]
        return count, *others
    finally:
        _release(rest)


def _release(views):
    for view in views:  # now, as a traceback may keep them
        view.release()


def _rest_of(buffers, done):
    """The rest of the buffers after their first `done` bytes: a list of memoryviews, none of them empty."""
    left = []
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        if done < len(view):
            left.append(view[done:])
        done = max(done - len(view), 0)
    return left
