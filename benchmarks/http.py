"""WSGI servers side by side: CPU time a request, and the memory of an idle connection, as a table.

    pip install '.[wsgi,bench-http]' && python benchmarks/http.py [--rounds 5] [--seconds 2] [row ...]

wrk must be installed: it keeps 50 connections busy. The servers are those of http_servers/serve.py that are installed,
each with one process that serves. All servers of a row run at the same time, and are put under load in turn, again and
again. The figures are medians of the rounds. They count the CPU time of all of a server's processes, in their own code
and in the system's.

Idle memory is the growth of a server's processes after each of so many connections has had an answer, divided by their
number. The system's own memory for a connection, which is the same for all servers, is not counted.
"""

import sys

# This file has the name of a standard module. Nothing in this folder is imported.
sys.path.pop(0)

import argparse
import contextlib
import importlib.util
import os
import re
import resource
import runpy
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

SERVE = Path(__file__).parent / "http_servers" / "serve.py"
TOLD = runpy.run_path(str(SERVE), run_name="serve")
CONNECTIONS = 50  # that wrk keeps busy
POST = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\n'
# The name of a row, the kind of server, the path, and further arguments of wrk.
ROWS = {
    "hello": ("hello", "plain", "/", ""),
    "log": ("hello, access log", "log", "/", ""),
    "https": ("hello, HTTPS", "tls", "/", ""),
    "page": ("GET, 10 KB", "plain", "/page", ""),
    "echo": ("POST, 1 KiB back", "plain", "/echo", POST),
    "idle": ("idle connection", "plain", "/", ""),
}
#: Aims of greenio in the same run: (row, another server, at most so many times that server's figure).
AIMS = [
    ("hello", "granian", 0.75),
    ("hello", "bjoern", 1.3),
    ("hello", "gevent.pywsgi", 1 / 8),
    ("https", "granian", 1.3),
    ("https", "gevent.pywsgi", 1 / 9),
    ("page", "granian", 1),
    ("echo", "granian", 1),
]
LOG_COSTS, IDLE_COSTS = 3.0, 10.0  # µs of an access log; KB of an idle connection


def installed():
    """Return the names of the servers that can be run."""
    names = []
    for name in TOLD["SERVERS"]:
        modules = ["httptools"] if name == "greenio" else TOLD["MODULES"].get(name, [name])
        if all(importlib.util.find_spec(module) for module in modules):
            names.append(name)
    return names


def tree(pid):
    """Return a process and all its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def cpu_clock(pid):
    """Return the clock of another process's CPU time, for time.clock_gettime(); see clock_getcpuclockid(3)."""
    return ~pid << 3 | 2


class Server:
    """A server in processes of its own, until it is closed."""

    def __init__(self, name, kind, log):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.name = name
        command = [sys.executable, str(SERVE), name, kind, str(self.port), log]
        with open(f"{log}.told", "a") as told:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True
            )
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{name} does not accept connections:\n{Path(f'{log}.told').read_text()}")
            time.sleep(0.05)

    def cpu(self):
        """Return the CPU time of all its processes, in seconds."""
        return sum(time.clock_gettime(cpu_clock(pid)) for pid in tree(self.process.pid))

    def memory(self):
        """Return the memory of all its processes, in bytes."""
        total = 0
        for pid in tree(self.process.pid):
            total += int(re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        return total * 1024

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def load(server, kind, path, script, seconds):
    """Have wrk put a server under load; return microseconds of CPU time a request."""
    scheme = "https" if kind == "tls" else "http"
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s"]
    if script:
        command += ["-s", script]
    before = server.cpu()
    done = subprocess.run(
        [*command, f"{scheme}://127.0.0.1:{server.port}{path}"], capture_output=True, text=True, check=False
    )
    used = server.cpu() - before
    count = re.search(r"(\d+) requests in", done.stdout)
    if done.returncode or not count or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"{server.name} has failed:\n{done.stdout}{done.stderr}")
    return used / int(count[1]) * 1e6


def idle(server, count):
    """Return the kilobytes for each of so many idle connections."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    socks = []

    def ask(number):
        for _ in range(number):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall(request)
            data = b""
            while not data.endswith(b"World!"):
                more = sock.recv(65536)
                if not more:
                    raise ConnectionError("it closes idle connections")
                data += more
            socks.append(sock)

    try:
        ask(100)  # now the server has made all that it makes only once
        before = server.memory()
        ask(count)
        return (server.memory() - before) / count / 1000
    except OSError as error:
        print(f"{server.name}, {len(socks)} connections: {error}", file=sys.stderr)
        return float("nan")
    finally:
        for sock in socks:
            sock.close()


def measure(row, names, options, folder):
    """Return the figures of a row, by server."""
    title, kind, path, script = ROWS[row]
    without = TOLD["WITHOUT_TLS"] if kind == "tls" else TOLD["WITHOUT_LOG"] if kind == "log" else set()
    file = Path(folder, "script.lua")
    file.write_text(script)
    servers = []
    try:
        for name in names:
            if name not in without:
                servers.append(Server(name, kind, str(Path(folder, "log"))))
        if row == "idle":
            return {server.name: idle(server, options.idle) for server in servers}
        figures = {server.name: [] for server in servers}
        for server in servers:
            load(server, kind, path, str(file) if script else "", 1)
        for _ in range(options.rounds):
            for server in servers:
                figures[server.name].append(load(server, kind, path, str(file) if script else "", options.seconds))
        return {name: statistics.median(each) for name, each in figures.items()}
    finally:
        for server in servers:
            server.close()


def print_table(results, names):
    width = max(len(title) for title, *_ in ROWS.values()) + 8
    print(" " * width + "".join(f"{name:>18}" for name in names))
    for row, figures in results.items():
        unit = "KB" if row == "idle" else "µs"
        cells = "".join(f"{figures[name]:18.1f}" if name in figures else f"{'-':>18}" for name in names)
        print(f"{f'{ROWS[row][0]} ({unit})':{width}}{cells}")


def print_aims(results):
    """Print greenio's figures beside the others', and its aims."""
    lines = []
    for row, name, most in AIMS:
        if row in results and name in results[row] and "greenio" in results[row]:
            lines.append((f"{ROWS[row][0]}: of {name}'s", results[row]["greenio"] / results[row][name], most))
    if {"hello", "log"} <= results.keys():
        lines.append(("an access log, µs", results["log"]["greenio"] - results["hello"]["greenio"], LOG_COSTS))
    if "idle" in results:
        lines.append(("an idle connection, KB", results["idle"]["greenio"], IDLE_COSTS))
    for text, figure, most in lines:
        print(f"{text:34} {figure:6.2f}   at most {most:.2f}   {'' if figure <= most else 'MISSED'}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="row", help=f"which to measure: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of load in each round")
    parser.add_argument("--idle", type=int, default=2000, help="how many idle connections")
    parser.add_argument("--servers", nargs="*", help="only these, instead of all that are installed")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed")
    if wrong := set(options.rows) - set(ROWS):
        raise SystemExit(f"no rows: {', '.join(sorted(wrong))}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [name for name in installed() if not options.servers or name in options.servers]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for row in options.rows or ROWS:
            results[row] = measure(row, names, options, folder)
    print_table(results, names)
    print()
    print_aims(results)


if __name__ == "__main__":
    main()
