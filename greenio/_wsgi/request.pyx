"""What the head of a request means: its target, the length of its body, and whether the connection goes on.

Rules
    1. Where RFC 9112 says that a server must or may refuse a request, it is refused. The server does not guess.
    2. llhttp has checked the bytes of the head already (parser.pyx). This module checks what llhttp leaves to its user.

What does not belong here: collecting the fields (parser.pyx), bodies (body.pyx).
"""

import re
from urllib.parse import unquote_to_bytes

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp

from greenio._wsgi.errors import Refused
from greenio._wsgi.grammar import TOKEN
from greenio._wsgi.parser import BAD_REQUEST

__all__ = ["CHUNKED", "check_host", "check_sizes", "complete_environ", "is_method", "largest_unchecked"]

#: Stands for the length of a chunked body.
CHUNKED = -1

_HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9\-._~]+)?\])(?::[0-9]{0,5})?")
_METHOD = re.compile(TOKEN.pattern.encode())
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
cdef dict methods = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
}
# A cache: hosts that are valid.
cdef set hosts = set()
_MAX_HOSTS = 1024


def is_method(bytes text not None):
    """Whether a text begins as a request does, with a method that may be unknown (bool)."""
    return _METHOD.fullmatch(text.split(b" ", 1)[0]) is not None


def check_host(str host not None):
    """Raise Refused if a text is not a valid value for the field Host."""
    if not _HOST.fullmatch(host):
        raise Refused(BAD_REQUEST, "the Host field is invalid")
    if len(hosts) < _MAX_HOSTS and len(host) < 256:
        hosts.add(host)


def check_sizes(bytes head not None, limits):
    """Raise Refused if a head exceeds the limits."""
    cdef Py_ssize_t size = len(head)
    cdef Py_ssize_t line = length_before(PyBytes_AS_STRING(head), size, b"\r")
    if line > limits.max_request_line:
        raise Refused("414 URI Too Long", "the request line is too long")
    if size - line > limits.max_header_bytes:
        raise Refused("431 Request Header Fields Too Large", "the fields are too large")
    if head.count(b"\r\n") - 2 > limits.max_headers:
        raise Refused("431 Request Header Fields Too Large", "there are too many fields")


def largest_unchecked(limits):
    """Return the size up to which no head can exceed the limits (int)."""
    # The shortest field has four bytes.
    return min(limits.max_request_line, limits.max_header_bytes, 4 * limits.max_headers)


def complete_environ(bytes head not None, environ_of_any_kind, str script_name not None, limits):
    """Check a request, and complete its environment, which has the fields already.

    `environ_of_any_kind`: a dict, or of a class that derives from it.
    Returns (whether it is HTTP/1.1, whether the connection may go on, the length of the body or CHUNKED).
    Raises Refused.
    """
    cdef const char *start = PyBytes_AS_STRING(head)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(head)
    cdef Py_ssize_t line = length_before(start, size, b"\r")
    cdef Py_ssize_t first, second
    cdef bint is_11, keep_alive
    cdef dict environ = <dict> environ_of_any_kind
    first = length_before(start, line, b" ")
    second = first + 1 + length_before(start + first + 1, line - first - 1, b" ")
    if second >= line or memchr(start + second + 1, 0x20, line - second - 1) != NULL:
        raise Refused(BAD_REQUEST, "the request line does not have three parts")
    host = environ.get("HTTP_HOST")
    if line - second == 9 and memcmp(start + second, b" HTTP/1.1", 9) == 0:
        is_11 = keep_alive = True
        environ["SERVER_PROTOCOL"] = "HTTP/1.1"
        if host is None:
            raise Refused(BAD_REQUEST, "there is no Host field")
    elif line - second == 9 and memcmp(start + second, b" HTTP/1.0", 9) == 0:
        is_11 = keep_alive = False
        environ["SERVER_PROTOCOL"] = "HTTP/1.0"
    else:
        _refuse_version(head[:first], head[second + 1 : line])
    if host is not None and host not in hosts:
        check_host(host)
    if first == 3 and memcmp(start, b"GET", 3) == 0:
        method = "GET"
    else:
        method = methods.get(head[:first]) or _other_method(head[:first])
    environ["REQUEST_METHOD"] = method
    target = PyUnicode_DecodeLatin1(start + first + 1, second - first - 1, NULL)
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    if start[first + 1] == b"/" and memchr(start + first + 1, b"#", second - first - 1) == NULL:
        path = set_target(start + first + 1, second - first - 1, target, environ)
    else:
        path, _, environ["QUERY_STRING"] = _other_target(target, head[:first], environ).partition("?")
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
    if script_name:
        path = _below(path, script_name)
    environ["PATH_INFO"] = path
    connection = environ.get("HTTP_CONNECTION")
    if connection is not None:
        keep_alive = _keeps_alive(connection, keep_alive)
    length = 0
    if "HTTP_TRANSFER_ENCODING" in environ:
        _check_coding(environ["HTTP_TRANSFER_ENCODING"], is_11)
        length = CHUNKED
    elif "CONTENT_LENGTH" in environ:
        length = _length_of(environ["CONTENT_LENGTH"])
        if length > limits.max_body:
            raise Refused("413 Content Too Large", "the body is too large")
    return is_11, keep_alive, length


cdef Py_ssize_t length_before(const char *text, Py_ssize_t length, char mark) noexcept:
    """Return how many characters stand before the first `mark`; `length` if there is none."""
    cdef const char *found = <const char *> memchr(text, mark, length) if length > 0 else NULL
    return length if found == NULL else found - text


cdef set_target(const char *text, Py_ssize_t length, str target, dict environ):
    """Put the query of a target that is a path into an environment. Returns the path."""
    cdef Py_ssize_t end = length_before(text, length, b"?")
    environ["QUERY_STRING"] = "" if end >= length else PyUnicode_DecodeLatin1(text + end + 1, length - end - 1, NULL)
    if memchr(text, b"%", end) != NULL:
        return unquote_to_bytes(text[:end]).decode("latin-1")
    return target if end == length else PyUnicode_DecodeLatin1(text, end, NULL)


def _below(path, script_name):
    """Return a path without the application's own, which it must begin with."""
    if not path.startswith(script_name) or path[len(script_name) : len(script_name) + 1] not in ("", "/"):
        raise Refused("404 Not Found", "there is nothing at this path")
    return path[len(script_name) :]


def _refuse_version(method, version):
    if version.startswith(b"HTTP/2") and method != b"PRI":
        raise Refused("505 HTTP Version Not Supported", "this server supports HTTP/1.1 and 1.0")
    raise Refused(BAD_REQUEST, "the version is neither HTTP/1.1 nor HTTP/1.0")


def _other_method(method):
    if method == b"CONNECT":
        raise Refused("501 Not Implemented", "this server is not a proxy")
    return method.decode("latin-1")


def _other_target(text, method, environ):
    """Return the path and query of a target that is not just a path."""
    if "#" in text:
        raise Refused(BAD_REQUEST, "the target has a fragment")
    if text == "*":
        if method != b"OPTIONS":
            raise Refused(BAD_REQUEST, "the target * is for OPTIONS")
        return text
    if method == b"CONNECT":
        _other_method(method)
    found = _ABSOLUTE.fullmatch(text)
    if found is None:
        raise Refused(BAD_REQUEST, "the target is neither a path nor a URL")
    host, rest = found.groups()
    check_host(host)
    if not host or host.startswith(":"):
        raise Refused(BAD_REQUEST, "the target's URL has no host")
    # The target's host takes precedence over the Host field (RFC 9112, 3.2.2).
    environ["HTTP_HOST"] = host
    return rest if rest.startswith("/") else f"/{rest}"


def _keeps_alive(connection, keep_alive):
    options = [each.strip(" \t") for each in connection.lower().split(",")]
    if "close" in options:
        return False
    return keep_alive or "keep-alive" in options


def _check_coding(value, is_11):
    codings = [each.strip(" \t") for each in value.lower().split(",")]
    if not is_11:
        raise Refused(BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding")
    if codings[-1] != "chunked" or "chunked" in codings[:-1] or not all(map(TOKEN.fullmatch, codings)):
        raise Refused(BAD_REQUEST, "the Transfer-Encoding is invalid")
    if len(codings) > 1:
        raise Refused("501 Not Implemented", "the server knows no Transfer-Encoding but chunked")


def _length_of(value):
    if not (value.isascii() and value.isdigit()) or len(value) > 4000:
        raise Refused(BAD_REQUEST, "the Content-Length is invalid")
    return int(value)
