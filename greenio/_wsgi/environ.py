"""Dictionaries for `environ_class` of WSGIServer, which keep their contents out of reports.

An application is called with a plain dictionary unless the server has one of these: PEP 3333 asks for that.

What does not belong here: what a request puts into them (parser.pyx, request.pyx).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar

__all__ = ["Environ", "SecureEnviron", "WSGISecureEnviron"]


class Environ(dict):  # type: ignore[type-arg]
    """A dictionary whose copies are of its own class."""

    __slots__ = ()

    def copy(self) -> Environ:
        """A new one with the same contents."""
        return type(self)(self)


class SecureEnviron(Environ):
    """A dictionary whose repr() and str() do not show what is in it, as reports of errors might.

    `default_secure_repr` (class attribute, bool), or `secure_repr` of one: whether the contents are hidden.
    `default_whitelist_keys`, `whitelist_keys`: keys whose values are shown all the same.
    `default_print_masked_keys`, `print_masked_keys`: whether the other keys are shown, with "<MASKED>" for a value.

    WSGISecureEnviron has settings of its own, in its class attributes. As gevent's.
    """

    __slots__ = ("print_masked_keys", "secure_repr", "whitelist_keys")

    default_secure_repr: ClassVar[bool] = True
    default_whitelist_keys: ClassVar[Iterable[str]] = ()
    default_print_masked_keys: ClassVar[bool] = True

    secure_repr: bool
    whitelist_keys: Iterable[str]
    print_masked_keys: bool

    def __getattr__(self, name: str) -> Any:
        if name in SecureEnviron.__slots__:
            return getattr(type(self), f"default_{name}")
        raise AttributeError(name)

    def __repr__(self) -> str:
        if not self.secure_repr:
            return dict.__repr__(self)
        whitelist, shows_keys = self.whitelist_keys, self.print_masked_keys
        shown = {
            key: value if key in whitelist else "<MASKED>"
            for key, value in self.items()
            if shows_keys or key in whitelist
        }
        hidden = "" if shows_keys else f" (hidden keys: {len(self) - len(shown)})"
        return f"{shown!r}{hidden}"

    __str__ = __repr__


class WSGISecureEnviron(SecureEnviron):
    """The environments of a server with `secure_environ`: they show what is no secret of the client's."""

    __slots__ = ()

    default_whitelist_keys = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST")
    default_print_masked_keys = False
