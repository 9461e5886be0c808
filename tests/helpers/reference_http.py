"""A small and strict reader of HTTP/1.1, which counts how many requests of some data a server may answer at most.

It stops at the first byte that RFC 9112 and 9110 do not allow senders to write. A server may refuse more than this
reader does, for instance a malformed Host field. It must not answer more.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(TOKEN + rb" [\x21-\x7e]+ HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)\r\n")


class _Malformed(Exception):
    pass


def count_requests(data):
    """Count the whole requests in `data`, up to the first malformed one or the last one of the connection (int)."""
    count = 0
    try:
        while data:
            data, goes_on = _read_request(data.removeprefix(b"\r\n"))
            count += 1
            if not goes_on:
                break
    except _Malformed:
        pass
    return count


def _read_request(data):
    """Return the data behind a request, and whether the connection goes on."""
    head, end, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    line = REQUEST_LINE.fullmatch(first)
    if not end or line is None:
        raise _Malformed
    fields = _fields(lines)
    is_11 = line[1] == b"1"
    if len(fields.get(b"host", [])) > 1 or is_11 and b"host" not in fields:
        raise _Malformed
    options = [each.strip(b" \t").lower() for value in fields.get(b"connection", []) for each in value.split(b",")]
    goes_on = b"close" not in options and (is_11 or b"keep-alive" in options)
    return _skip_body(fields, is_11, rest), goes_on


def _fields(lines):
    fields = {}
    for line in lines:
        found = FIELD.fullmatch(line)
        if found is None:
            raise _Malformed
        fields.setdefault(found[1].lower(), []).append(found[2])
    return fields


def _skip_body(fields, is_11, rest):
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if codings:
        if lengths or not is_11 or [each.lower() for each in codings] != [b"chunked"]:
            raise _Malformed
        return _skip_chunks(rest)
    if not lengths:
        return rest
    if len(lengths) > 1 or not lengths[0].isdigit() or int(lengths[0]) > len(rest):
        raise _Malformed
    return rest[int(lengths[0]) :]


def _skip_chunks(rest):
    while True:
        chunk = CHUNK.match(rest)
        if chunk is None:
            raise _Malformed
        size, rest = int(chunk[1], 16), rest[chunk.end() :]
        if not size:
            break
        if rest[size : size + 2] != b"\r\n":
            raise _Malformed
        rest = rest[size + 2 :]
    if rest.startswith(b"\r\n"):
        return rest[2:]
    trailers, end, rest = rest.partition(b"\r\n\r\n")
    if not end or _fields(trailers.split(b"\r\n")).keys() & {b"content-length", b"transfer-encoding", b"host"}:
        raise _Malformed
    return rest
