"""Give descriptors to other programs, in every way, and print whether the programs find them blocking.

Without arguments nothing is patched; with ``patched`` all is. Further arguments choose scenarios.
"""

import sys

if sys.argv[1:2] == ["patched"]:
    from greenio import monkey

    monkey.patch_all()

import contextlib
import multiprocessing
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
import warnings

PYTHON = [sys.executable, "-S", "-E", "-c"]
# A child that waits for a line of input, prints it, and prints which of the child's descriptors are blocking.
SAYS = """
import os
line = os.read(0, 99).decode().strip()
os.write(1, f"{line} {[os.get_blocking(n) for n in %s]}\\n".encode())
"""
# A child that accepts two connections from a listener, and answers each.
ACCEPTS = """
import os, socket
with socket.socket(fileno=%d) as listener:
    for _ in range(2):
        with listener.accept()[0] as sock:
            sock.sendall(sock.recv(99) + str(os.get_blocking(listener.fileno())).encode())
"""


def tell(*what):
    print(*what, flush=True)


def says(descriptors="range(3)"):
    return [*PYTHON, SAYS % descriptors]


@contextlib.contextmanager
def pair(timeout=None):
    ours, theirs = socket.socketpair()
    theirs.settimeout(timeout)
    with ours, theirs:
        yield ours, theirs


def talk(ours, data=b"hello\n"):
    """Let the child wait, then send it something. Returns its answer."""
    time.sleep(0.02)
    ours.sendall(data)
    return ours.recv(999).decode().strip()


@contextlib.contextmanager
def used_listener():
    """A listener from which this process has accepted a connection before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        socket.create_connection(listener.getsockname()).close()
        thread.join()
        yield listener


def connects(listener):
    for _ in range(2):
        time.sleep(0.02)
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"hello ")
            tell(client.makefile().read())


def reap(pid):
    tell("status", os.waitpid(pid, 0)[1])


def executes(descriptors, command):
    """Fork and execute a command that has these as its first descriptors, as inetd does. Returns the child's number."""
    pid = os.fork()
    if pid == 0:
        try:
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            os.execv(command[0], command)
        finally:
            os._exit(99)
    return pid


# --- connections ---------------------------------------------------------------------------------------------------


def as_standard_files():
    for timeout in (None, 5):
        with pair(timeout) as (ours, theirs):
            process = subprocess.Popen(says(), stdin=theirs, stdout=theirs, stderr=theirs)
            if timeout is None:
                tell(talk(ours), process.wait())
            else:  # a socket with a timeout is non-blocking
                process.wait()
                tell(b"BlockingIOError" in ours.recv(9999))


def to_pass_on():
    with pair() as (ours, theirs), pair() as (other, passed):
        process = subprocess.Popen(
            says(f"[0, 1, {passed.fileno()}]"), stdin=theirs, stdout=theirs, pass_fds=[passed.fileno()]
        )
        tell(talk(ours).replace(str(passed.fileno()), "n"), process.wait())
        del other


def inherited():
    with pair() as (ours, theirs):
        theirs.set_inheritable(True)
        code = f"import os; n = {theirs.fileno()}; os.write(n, os.read(n, 99) + str(os.get_blocking(n)).encode())"
        process = subprocess.Popen([*PYTHON, code], close_fds=False)
        tell(talk(ours), process.wait())


def by_dup2_and_exec():
    with pair() as (ours, theirs):
        pid = executes([theirs.fileno()] * 3, says())
        tell(talk(ours))
        reap(pid)


def by_a_thread():
    with pair() as (ours, theirs):
        pids = []
        thread = threading.Thread(target=lambda: pids.append(executes([theirs.fileno()] * 3, says())))
        thread.start()
        tell(talk(ours))
        thread.join()
        reap(*pids)


def while_another_waits_for_it():
    """A thread of the parent has received from the socket that the child gets."""
    with pair() as (ours, theirs):
        got = []
        thread = threading.Thread(target=lambda: got.append(theirs.recv(2)))
        thread.start()
        time.sleep(0.02)
        ours.sendall(b"x\n")
        thread.join()
        process = subprocess.Popen(says(), stdin=theirs, stdout=theirs)
        tell(got, talk(ours), process.wait())


def by_posix_spawn():
    with pair() as (ours, theirs):
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), number) for number in range(2)]
        command = says()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        tell(talk(ours))
        reap(pid)


def pipes():
    with subprocess.Popen(says(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as first:
        second = subprocess.Popen(says(), stdin=first.stdout, stdout=subprocess.PIPE)
        time.sleep(0.02)
        first.stdin.write(b"hello\n")
        tell(second.communicate()[0])


def as_inetd_does():
    """Each connection is a child's standard input and output; a last child has the listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        statuses = []

        def serves():
            for _ in range(2):
                select.select([listener], [], [])
                with listener.accept()[0] as sock:
                    statuses.append(os.waitpid(executes([sock.fileno()] * 3, says()), 0)[1])

        thread = threading.Thread(target=serves)
        thread.start()
        for _ in range(2):
            with socket.create_connection(listener.getsockname()) as client:
                tell(talk(client))
        thread.join()
        tell(statuses)
        pid = executes([listener.fileno()], [*PYTHON, ACCEPTS % 0])
        connects(listener)
        reap(pid)


# --- listeners -----------------------------------------------------------------------------------------------------


def a_listener_by_exec():
    with used_listener() as listener:
        pid = executes([listener.fileno()], [*PYTHON, ACCEPTS % 0])
        connects(listener)
        reap(pid)


def a_listener_by_exec_of_who_accepted():
    with used_listener() as listener:
        pid = os.fork()
        if pid == 0:
            listener.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                listener.accept()
            listener.settimeout(None)
            socket.create_connection(listener.getsockname())
            listener.accept()
            os.dup2(listener.fileno(), 0)
            os.execve(sys.executable, [*PYTHON, ACCEPTS % 0], os.environ)
        time.sleep(0.1)
        connects(listener)
        reap(pid)


def a_listener_by_posix_spawn():
    with used_listener() as listener:
        for spawn in (os.posix_spawn, os.posix_spawnp):
            actions = [(os.POSIX_SPAWN_DUP2, listener.fileno(), 0)]
            pid = spawn(sys.executable, [*PYTHON, ACCEPTS % 0], os.environ, file_actions=actions)
            connects(listener)
            reap(pid)


def a_listener_in_a_message():
    with used_listener() as listener, pair() as (ours, theirs):
        code = "import os, socket\nos.dup2(socket.recv_fds(socket.socket(fileno=9), 9, 1)[1][0], 0)"
        process = subprocess.Popen([*PYTHON, "import os\nos.dup2(0, 9)\n" + code + ACCEPTS % 0], stdin=theirs)
        time.sleep(0.02)
        socket.send_fds(ours, [b"x"], [listener.fileno()])
        connects(listener)
        tell(process.wait())


def a_listener_of_multiprocessing():
    with used_listener() as listener:
        process = multiprocessing.get_context("spawn").Process(target=accepts, args=(listener,))
        process.start()
        connects(listener)
        process.join()
        tell(process.exitcode)


def accepts(listener):
    # Before the first accept(), which makes the listener non-blocking when this child is patched too.
    blocking = os.get_blocking(listener.fileno())
    for _ in range(2):
        with listener.accept()[0] as sock:
            sock.sendall(sock.recv(99) + str(blocking).encode())


# --- a server of the standard library --------------------------------------------------------------------------------


def cgi():
    import http.client
    import http.server

    if not hasattr(http.server, "CGIHTTPRequestHandler"):
        return
    http.server.nobody_uid = os.getuid
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "cgi-bin"))
        path = os.path.join(folder, "cgi-bin", "script")
        with open(path, "w") as file:
            file.write(
                f"#!{sys.executable} -S\nimport os, sys\nlength = int(os.environ.get('CONTENT_LENGTH') or 0)\n"
                "body = sys.stdin.read(length)\nprint('Content-Type: text/plain\\n')\n"
                "print(os.environ['REQUEST_METHOD'], body, [os.get_blocking(n) for n in range(2)])\n"
            )
        os.chmod(path, 0o755)
        os.chdir(folder)

        class Handler(http.server.CGIHTTPRequestHandler):
            def log_message(self, *args):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            for method, body in (("GET", None), ("POST", b"x" * 10), ("POST", b"y" * 50)):
                connection = http.client.HTTPConnection(*server.server_address, timeout=20)
                connection.putrequest(method, "/cgi-bin/script")
                if body:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders()
                time.sleep(0.02)
                if body:
                    connection.send(body)
                response = connection.getresponse()
                tell(response.status, response.read().decode().strip())
                connection.close()
            server.shutdown()
            thread.join()
        os.chdir("/")


SCENARIOS = [
    as_standard_files, to_pass_on, inherited, by_dup2_and_exec, by_a_thread, while_another_waits_for_it, by_posix_spawn,
    pipes, as_inetd_does, a_listener_by_exec, a_listener_by_exec_of_who_accepted, a_listener_by_posix_spawn,
    a_listener_in_a_message, a_listener_of_multiprocessing, cgi,
]  # fmt: skip

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, and of CGI
    for each in SCENARIOS:
        if each.__name__ in sys.argv[2:] or not sys.argv[2:]:
            tell(f"--- {each.__name__}")
            each()
