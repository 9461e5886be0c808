from os import PathLike
from pathlib import Path

VERSION: str
ARCHIVE: str
SHA256: str

class SourceError(Exception): ...

def unpacked_source(build_directory: str | PathLike[str]) -> Path: ...
