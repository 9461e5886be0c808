"""What a request is refused with, and what an application gets when its client fails.

What does not belong here: how they are answered (handler.py).
"""

from __future__ import annotations

__all__ = ["BodyError", "ClientGone", "Refused", "RequestTimeout"]


class Refused(Exception):
    """A request that is answered with an error and nothing else (internal).

    `status` is the status line's text, `reason` says what is wrong with the request, `fields` are lines of the answer's
    head besides.
    """

    def __init__(self, status: str, reason: str, fields: str = "") -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.fields = fields


class BodyError(OSError):
    """The body of a request is cut short, malformed, too large or too late: `wsgi.input` raises this.

    `status`: what the client is answered if no answer has begun, whatever the application makes of the error (str).
    """

    def __init__(self, reason: str, status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ClientGone(BaseException):
    """The client has reset or ended its connection while the application worked for it.

    An application gets it where it waits, if the server has `cancel_when_gone`. Derives from BaseException, as
    GreenletExit does: it is no error of the application, and should end it.
    """


class RequestTimeout(BaseException):
    """The application has taken longer than the server's `request_timeout`. It gets this where it waits.

    Derives from BaseException, as Timeout does: it should end the application.
    """
