import io
from io import DEFAULT_BUFFER_SIZE, text_encoding

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
