"""Classes for the environments of requests, which keep secrets of clients out of reports.

By default an application is called with a plain dictionary, as PEP 3333 demands. A server uses these classes if its
`environ_class` or `secure_environ` says so.

What does not belong here: what a request puts into an environment (parser.pyx, request.pyx).
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
        """Return a new dictionary of the same class with the same contents."""
        return type(self)(self)


class SecureEnviron(Environ):
    """A dictionary whose repr() and str() hide its contents, so that reports of errors do not show them.

    Each setting is an attribute of one dictionary, with a class attribute for its default:
    `secure_repr`, `default_secure_repr`: whether the contents are hidden (bool).
    `whitelist_keys`, `default_whitelist_keys`: keys whose values are shown nevertheless.
    `print_masked_keys`, `default_print_masked_keys`: whether the other keys are shown (bool), with "<MASKED>" for a
    value.

    As gevent's.
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
    """The environment of a server with `secure_environ`. It shows the client's address and the host, and no more."""

    __slots__ = ()

    default_whitelist_keys = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST")
    default_print_masked_keys = False
