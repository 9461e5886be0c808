"""Checking the arguments of a handshake before anything is sent: fields, subprotocols, an origin, a URI.

Rules
    1. A wrong argument raises TypeError or ValueError, with a text of ours and not of a library's.
    2. No argument can end a line of the handshake, or begin a field.
    3. A program cannot give the handshake's own fields.

What does not belong here: limits (_wsgi/limits.py). Nothing here switches.
"""

from __future__ import annotations

import re

from greenio._wsgi.grammar import CONTROL, TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["checked_fields", "checked_origin", "checked_subprotocols", "checked_uri"]

_NOT_IN_URIS = re.compile("[\x00-\x20\x7f]")
#: The fields of the handshake itself, and those that say where a message ends: a handshake has no body.
_OWN_FIELDS = frozenset(["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"])


def checked_fields(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Check fields that are added to a handshake, and return them as pairs. Raises TypeError or ValueError."""
    pairs = []
    for pair in headers.items() if hasattr(headers, "items") else headers:
        if isinstance(pair, (str, bytes)) or len(pair) != 2:
            raise TypeError(f"fields are pairs of a name and a value, not {pair!r}")
        name, value = pair
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a field is a name and a value (str), not {name!r}: {value!r}")
        if not TOKEN.fullmatch(name):
            raise ValueError(f"this is not the name of a field: {name!r}")
        if name.lower() in _OWN_FIELDS or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"the field {name} is the handshake's own")
        if CONTROL.search(value) or not _is_latin_1(value):
            raise ValueError(f"the value of the field {name} must be latin-1, without control characters: {value!r}")
        pairs.append((name, value))
    return pairs


def checked_subprotocols(names: Iterable[str] | None) -> list[str] | None:
    """Check the subprotocols that a client offers, and return them as a list. Raises TypeError or ValueError."""
    if names is None:
        return None
    if isinstance(names, (str, bytes)):
        raise TypeError(f"subprotocols are a list of names (str), not {names!r}")
    checked = list(names)
    for name in checked:
        if not isinstance(name, str):
            raise TypeError(f"a subprotocol is a name (str), not {name!r}")
        if not TOKEN.fullmatch(name):
            raise ValueError(f"this is not the name of a subprotocol: {name!r}")
    if len(set(checked)) < len(checked):
        raise ValueError(f"a subprotocol is offered twice: {checked}")
    return checked


def checked_origin(origin: str | None) -> str | None:
    """Check the value for the field Origin, and return it. Raises TypeError or ValueError."""
    if origin is None:
        return None
    if not isinstance(origin, str):
        raise TypeError(f"an origin is a text such as 'https://example.com', not {origin!r}")
    if not origin.isascii() or _NOT_IN_URIS.search(origin):
        raise ValueError(f"an origin must be ASCII, without spaces and control characters: {origin!r}")
    return origin


def checked_uri(uri: Any) -> str:
    """Check a URI, and return it. Raises TypeError or ValueError."""
    if not isinstance(uri, str):
        raise TypeError(f"a URI is a text such as 'ws://example.com/', not {uri!r}")
    if _NOT_IN_URIS.search(uri):
        raise ValueError(f"a URI must not have spaces or control characters: {uri!r}")
    return uri


def _is_latin_1(text):
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
