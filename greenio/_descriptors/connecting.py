"""Connecting to the first of a host's addresses that answers: one after the other, or side by side (RFC 8305).

What does not belong here: how a connection is made. The functions are given one that makes it for an address, as
getaddrinfo() returns them, and that returns a socket or raises.
"""

__all__ = ["in_turn", "interleaved", "side_by_side"]


def in_turn(attempt, addresses):
    """Try one address after the other. Switches.

    Returns the socket, or None if there was no connection, and a list of what was raised: of OSErrors.
    """
    errors = []
    for found in addresses:
        try:
            return attempt(found), errors
        except OSError as error:
            errors.append(error)
    return None, errors


def interleaved(addresses):
    """The first of each family, then the second of each, and so on; the family that comes first stays first."""
    families = {}
    for found in addresses:
        families.setdefault(found[0], []).append(found)
    ordered = []
    while any(families.values()):
        ordered += [members.pop(0) for members in families.values() if members]
    return ordered


def side_by_side(attempt, addresses, delay):
    """Try the next address when one fails, or has not answered for `delay` seconds. Returns as in_turn(). Switches.

    The connections that lose are closed, also when the greenlet is killed.
    """
    # Here, as few need it: it is much to import.
    from greenio.pool import Group
    from greenio.queue import Empty, SimpleQueue

    results, attempts, errors = SimpleQueue(), Group(), []
    addresses = list(addresses)
    running, winner, over = 0, None, False

    def run(found):
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
        over = True  # who connects from now on closes its socket
        while len(results):
            late = results.get_nowait()  # which does not switch, as there is one
            if not isinstance(late, Exception):
                late.close()
        try:
            attempts.kill()
        except BaseException:
            if winner is not None:
                winner.close()
            raise
