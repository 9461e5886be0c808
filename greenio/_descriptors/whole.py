"""MSG_WAITALL with the calls that return more than data: they are made again until all of it is there.

As in the system, an end or an error in the middle ends the call with the data that came before, and the next call
reports it. Data that comes with something else, such as descriptors, ends the call as well. A greenlet that is killed
gets its exception. The data that it has received is in its buffers, or lost, as with a signal handler that raises.

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
    """As socket.recvfrom(); ``receive()`` as recvfrom_into(). Switches while not all is there."""
    buffer = bytearray(bufsize)
    count, address = recvfrom_into(endpoint, receive, buffer, bufsize, flags)
    return bytes(buffer[:count]), address


def recvfrom_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffer: Buffer, nbytes: int, flags: int
) -> tuple[int, Any]:
    """As socket.recvfrom_into(), which ``receive()`` is like. Switches while not all is there."""
    with Held([buffer]):
        _wait_for_peek(endpoint, [buffer], flags, nbytes)
        first = receive(buffer, nbytes, flags)
        with memoryview(buffer) as view, view.cast("B") as whole, whole[: nbytes or None] as wanted:
            return _all_of(endpoint, lambda rest: receive(rest[0], 0, flags), [wanted], first, flags)


def recvmsg(
    endpoint: Endpoint, receive: Callable[..., Any], bufsize: int, ancbufsize: int, flags: int
) -> tuple[bytes, list[Any], int, Any]:
    """As socket.recvmsg(); ``receive()`` as recvmsg_into(). Switches while not all is there."""
    buffer = bytearray(bufsize)
    count, *others = recvmsg_into(endpoint, receive, [buffer], ancbufsize, flags)
    return bytes(buffer[:count]), *others


def recvmsg_into(
    endpoint: Endpoint, receive: Callable[..., Any], buffers: Sequence[Buffer], ancbufsize: int, flags: int
) -> tuple[int, list[Any], int, Any]:
    """As socket.recvmsg_into(), which ``receive()`` is like. Switches while not all is there."""
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
    """The result of a call that receives into buffers, and of those after it, as one."""
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
    for view in views:  # which a traceback may keep
        view.release()


def _rest_of(buffers, done):
    """What is left of buffers when so many bytes of them are done: memoryviews, none of them empty."""
    left = []
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        if done < len(view):
            left.append(view[done:])
        done = max(done - len(view), 0)
    return left
