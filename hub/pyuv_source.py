"""Gets pyuv's source distribution, checks it and unpacks it; used by setup.py and nothing else.

pyuv is compiled into the hub's extension from the one archive named here. A source distribution of greenio
carries the archive. In a checkout it comes from the user's own package index through pip, or from the file
that HUB_PYUV_SDIST names. Either way its SHA-256 must be the one below: a build never compiles C code that
nobody here has seen.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

VERSION = "1.4.0"
SHA256 = "caea2004d1125fe17cbde3c211c8abc72844e9b8dd7dfa007711e98fbc96fbc2"
ARCHIVE = f"pyuv-{VERSION}.tar.gz"


class SourceError(Exception):
    """pyuv's source distribution is missing, or is not the expected file. The message says what to do."""


def unpacked_source(top: str | PathLike[str]) -> Path:
    """Return the folder with pyuv's unpacked source, fetching and unpacking it at the first call.

    `top` is the folder with greenio's setup.py. Its folder `build` keeps the archive and the unpacked files between
    builds. Raises SourceError.
    """
    build = Path(top).absolute() / "build"
    folder = build / f"pyuv-{VERSION}"
    finished = folder / ".unpacked"
    if not finished.exists():
        found = archive(top)
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(found) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(build, filter="data")
            else:
                tar.extractall(build)
        finished.touch()
    return folder


def archive(top: str | PathLike[str]) -> Path:
    """Return the path of pyuv's archive, which has been checked, fetching it if `top` has none. Raises SourceError."""
    named = os.environ.get("HUB_PYUV_SDIST")
    if named:
        path = Path(named)
        if not path.is_file():
            raise SourceError(f"HUB_PYUV_SDIST={named}: there is no such file; give the path of {ARCHIVE}")
        _check(path)
        return path
    path = Path(top).absolute() / "vendor" / ARCHIVE
    if path.is_file():
        _check(path)
        return path
    build = Path(top).absolute() / "build"
    path = build / ARCHIVE
    if path.is_file() and _sha256(path) == SHA256:
        return path
    _download(build)
    _check(path)
    return path


def _download(build_directory):
    build_directory.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-build-isolation", "--no-binary", "pyuv",
        "--dest", str(build_directory), f"pyuv=={VERSION}",
    ]  # fmt: skip
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode == 0 and (build_directory / ARCHIVE).is_file():
        return
    reason = next((line for line in reversed(result.stdout.splitlines()) if "ERROR" in line), "pip gave no reason")
    raise SourceError(
        f"pyuv {VERSION}'s source distribution could not be downloaded with pip ({reason.strip()}); "
        f"fetch {ARCHIVE} by other means and set HUB_PYUV_SDIST=/path/to/{ARCHIVE}"
    )


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(path):
    found = _sha256(path)
    if found != SHA256:
        raise SourceError(
            f"{path} is not the pyuv {VERSION} source distribution this build is pinned to: its SHA-256 is "
            f"{found}, expected {SHA256}; get the released {ARCHIVE} and set HUB_PYUV_SDIST to its path"
        )
