"""Exceptions: refusals of requests, and the errors that an application gets from its client or a time limit.

What does not belong here: the answers to them (handler.py).
"""

from __future__ import annotations

__all__ = ["BodyError", "ClientGone", "Refused", "RequestTimeout"]


class Refused(Exception):
    """A request that is answered with an error and nothing else (internal).

    `status`: the answer's status, such as "400 Bad Request" (str). `reason`: what is wrong with the request (str).
    `fields`: further lines for the head of the answer (str).
    """

    def __init__(self, status: str, reason: str, fields: str = "") -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.fields = fields


class BodyError(OSError):
    """The body of a request is cut short, malformed, too large or too late. `wsgi.input` raises this.

    `status`: the status of the answer that the client gets (str), whatever the application does with the error, unless
    an answer has begun already. `reason`: what is wrong with the body (str).
    """

    def __init__(self, reason: str, status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ClientGone(BaseException):
    """The client has reset or ended its connection while the application worked for it.

    It is thrown into an application that waits, if the server has `cancel_when_gone`. It derives from BaseException, as
    GreenletExit does, because it should end the application and is not an error.
    """


class RequestTimeout(BaseException):
    """The application has taken longer than the server's `request_timeout`. It is thrown into one that waits.

    It derives from BaseException, as Timeout does, because it should end the application.
    """
