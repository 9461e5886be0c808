"""Services for tests: programs with a supervisor and workers, in processes of their own.

A service's output goes to a file, so it never has to wait for a reader.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading

from waiting import until


class Service:
    """A running service. `pid`: its supervisor's number; `address`: where it listens."""

    def __init__(self, process, output_path):
        self.process = process
        self.pid = process.pid
        self._output_path = output_path

    @property
    def output(self):
        """Everything that it has printed so far, on standard output and standard error (str)."""
        return self._output_path.read_text(errors="replace")

    def until(self, pattern):
        """Wait until the output has a match of a regular expression; return the match."""

        def look():
            found = re.search(pattern, self.output)
            assert found or self.process.poll() is None, f"the service ended before it printed {pattern}: {self.output}"
            return found

        return until(look)

    def until_listening(self):
        """Wait until its workers are ready."""
        name = self.until(r"listening on (?:https?://)?(\S+) \(process")[1]
        if name.startswith("unix:"):
            self.address = name.removeprefix("unix:").replace("@", "\0", 1)
        else:
            host, _, port = name.rpartition(":")
            self.address = host.strip("[]"), int(port)
        return self

    def connect(self):
        """Connect to the service with a socket of the standard library."""
        sock = socket.socket(socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX)
        sock.settimeout(60)
        try:
            sock.connect(self.address)
        except BaseException:
            sock.close()
            raise
        return sock

    def ask(self, message=b"pid"):
        """Send a message, and return everything that is answered up to the end of the connection (bytes)."""
        with self.connect() as sock:
            sock.sendall(message)
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b""))

    # --- its status, which the supervisor serves ---

    def status_address(self):
        host, _, port = self.until(r"status at http://(\S+)/healthz")[1].rpartition(":")
        return host, int(port)

    def status(self, path, method="GET"):
        """Return the status (int) and the text of the supervisor's answer."""
        with socket.create_connection(self.status_address(), timeout=60) as sock:
            sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head, _, body = b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def metrics(self):
        """Return the metrics: {family: {labels: value}}."""
        status, text = self.status("/metrics")
        assert status == 200
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = re.fullmatch(r"greenio_(\w+)(\{.*\})? (\S+)", line).groups()
                found.setdefault(name, {})[labels] = float(value)
        return found

    # --- processes ---

    def workers(self):
        """Return the process numbers of its workers (list of int)."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as file:
            return [int(each) for each in file.read().split()]

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        """Send a signal that ends the service; return its exit status."""
        self.send(number)
        return self.wait()

    def wait(self):
        until(lambda: self.process.poll() is not None)
        return self.process.returncode


@contextlib.contextmanager
def serving(folder, arguments, **environment):
    """Run Python with these arguments in a folder until the block ends. Then the service and its workers are killed."""
    output_path = folder / "output.txt"
    with open(output_path, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-u", *map(str, arguments)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        yield Service(process, output_path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also workers that are left: all of its session
        process.wait()


@contextlib.contextmanager
def clients(asking, count=4):
    """Ask a service from native threads until the block ends. Yields their answers and their errors (lists).

    ``asking()`` returns an iterator of answers. Each thread has one, and makes another after an error.
    """
    answers, errors, over = [], [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                with contextlib.closing(asking()) as each:
                    while not over.is_set():
                        answers.append(next(each))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers, errors
    finally:
        over.set()
        for thread in threads:
            thread.join()


def is_alive(pid):
    """Return whether a process runs: it exists, and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
