"""Servers of other packages, in processes of their own: finding them, starting them on loopback, stopping them.

Data is in temporary folders. A test whose server is not installed is skipped, with the server's name.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

STARTING = 60  # seconds that a server has to start, or to end


def find_program(*names, folders=()):
    """Return the path of the first of these programs that is installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", *folders])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    pytest.skip(f"{names[0]} is not installed")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def user_for(*names):
    """Return the first of these users that exists: servers do not run as root. None if this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in (*names, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip(f"there is no user {' or '.join(names)} to run the server as")


@contextlib.contextmanager
def data_folder(user):
    # Not in pytest's own folder: only its owner may enter that.
    folder = tempfile.mkdtemp(prefix="greenio-test-", dir="/tmp")
    try:
        if user is not None:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(command, port, user, folder, stop_with=signal.SIGTERM):
    """Run a server until the block ends. The block begins when the server accepts connections."""
    log = os.path.join(folder, "log")
    with open(log, "wb") as output:
        server = subprocess.Popen(
            command, user=user, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + STARTING
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} does not accept connections:\n{Path(log).read_text(errors='replace')}")
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(stop_with)
        try:
            server.wait(STARTING)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_ready(command):
    end = time.monotonic() + STARTING
    while subprocess.run(command, check=False).returncode != 0:
        assert time.monotonic() < end, f"the server is not ready: {command} fails"
        time.sleep(0.05)
