import io
from _io import text_encoding  # which typeshed's io does not have before CPython 3.11
from io import DEFAULT_BUFFER_SIZE

__all__ = [
    "DEFAULT_BUFFER_SIZE",
    "BufferedRandom",
    "BufferedReader",
    "BufferedRWPair",
    "BufferedWriter",
    "TextIOWrapper",
    "text_encoding",
]

class BufferedReader(io.BufferedReader): ...
class BufferedWriter(io.BufferedWriter): ...
class BufferedRandom(io.BufferedRandom): ...

class BufferedRWPair(io.BufferedRWPair):
    raw: io.RawIOBase

class TextIOWrapper(io.TextIOWrapper): ...
