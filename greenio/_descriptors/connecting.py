"""Connecting to the first of a host's addresses that answers: one after the other, or side by side (RFC 8305).

What does not belong here: how a connection is made. The functions take a function that connects to an address, as
getaddrinfo() returns them, and returns a socket or raises.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket
    from typing import Any, TypeVar

    Socket = TypeVar("Socket", bound=socket)
    Found = TypeVar("Found", bound=tuple[object, ...])  # what getaddrinfo() returns for an address

__all__ = ["in_turn", "interleaved", "side_by_side"]


def in_turn(attempt: Callable[[Found], Socket], addresses: Iterable[Found]) -> tuple[Socket | None, list[OSError]]:
    """Try one address after the other. Switches.

    Returns the socket, or None if no address answered, and the list of the OSErrors that were raised.
    """
    errors: list[OSError] = []
    for found in addresses:
        try:
            return attempt(found), errors
        except OSError as error:
            errors.append(error)
    return None, errors


def interleaved(addresses: Iterable[Found]) -> list[Found]:
    """The first of each family, then the second of each, and so on; the family that comes first stays first."""
    families: dict[object, list[Found]] = {}
    for found in addresses:
        families.setdefault(found[0], []).append(found)
    ordered = []
    while any(families.values()):
        ordered += [members.pop(0) for members in families.values() if members]
    return ordered


def side_by_side(
    attempt: Callable[[Found], Socket], addresses: Iterable[Found], delay: float
) -> tuple[Socket | None, list[OSError]]:
    """Try the next address when one fails, or has not answered for `delay` seconds (float). Switches.

    Returns as in_turn() does. All connections but the first are closed, also when the greenlet is killed.
    """
    # Imported here, because few programs need these modules, and they are large.
    from greenio.pool import Group
    from greenio.queue import Empty, SimpleQueue

    results: SimpleQueue[Any] = SimpleQueue()  # sockets, and exceptions
    attempts = Group()
    errors: list[OSError] = []
    addresses = list(addresses)
    running, winner, over = 0, None, False

    def run(found):
        result: Any
        try:
            result = attempt(found)
        except Exception as error:
            result = error
        if over and not isinstance(result, Exception):
            result.close()
        results.put(result)

    try:
        while winner is None and (addresses or running):
            if addresses:
                attempts.spawn(run, addresses.pop(0))
                running += 1
            try:
                result = results.get(timeout=delay if addresses else None)
            except Empty:
                continue
            running -= 1
            if isinstance(result, OSError):
                errors.append(result)
            elif isinstance(result, Exception):
                raise result
            else:
                winner = result
        return winner, errors
    finally:
        over = True  # connections that succeed from now on are closed
        while len(results):
            late = results.get_nowait()  # does not switch, as there is a result
            if not isinstance(late, Exception):
                late.close()
        try:
            attempts.kill()
        except BaseException:
            if winner is not None:
                winner.close()
            raise
