"""Standard input, which other processes share: waiting for it never makes it non-blocking, not even for a moment."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from places import SCRIPTS

SCRIPT = SCRIPTS / "read_stdin.py"
WAYS = ["wait_read", "read", "readv", "FileObject", "FileObject beside", "descriptor", "duplicate", "input"]


@contextmanager
def shared(kind):
    """Two descriptors: one for a child to read, which this process has as well, and one that feeds it."""
    theirs, ours = os.pipe() if kind == "pipe" else reversed(pty.openpty())
    try:
        yield theirs, ours
    finally:
        os.close(theirs)
        os.close(ours)


@contextmanager
def waiting(way, stdin):
    """A process that waits for its standard input."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::ResourceWarning", SCRIPT, way],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr.readline() == "waiting\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
@pytest.mark.parametrize("way", WAYS)
def test_the_flag_is_never_set(way, kind):
    with shared(kind) as (theirs, ours):
        with waiting(way, theirs) as process:
            assert os.get_blocking(theirs)  # while it waits
            os.write(ours, b"a line\n")
            assert process.stdout.readline() == "'a line\\n' True\n"
        assert os.get_blocking(theirs)  # after its end


def test_no_system_call_sets_the_flag(tmp_path):
    """A tracer, if there is one, would see the flag being set even for a moment."""
    trace = tmp_path / "trace"
    try:
        subprocess.run(["strace", "-o", trace, "true"], check=True, stderr=subprocess.DEVNULL)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no strace that may trace")
    for way in ("read", "FileObject", "input"):
        subprocess.run(
            ["strace", "-f", "-o", trace, "-e", "trace=fcntl,ioctl", sys.executable, SCRIPT, way], input=b"a line\n",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        lines = [line for line in trace.read_text().splitlines() if "(0, F_SETFL" in line or "(0, FIONBIO" in line]
        assert lines == []


@pytest.mark.parametrize("way", ["read", "FileObject"])
def test_a_killed_reader_takes_no_input(way):
    with shared("terminal") as (theirs, ours):
        with waiting(way, theirs) as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert os.get_blocking(theirs)
        os.write(ours, b"for the next one\n")
        assert os.read(theirs, 100) == b"for the next one\n"
