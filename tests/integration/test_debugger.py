"""debugpy on patched programs: a client of the debug adapter protocol sets breakpoints in greenlets."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("debugpy", reason="debugpy is not installed")

PROGRAM = Path(__file__).parent / "programs" / "debugged.py"
LINES = {
    text: number
    for number, line in enumerate(PROGRAM.read_text().splitlines(), 1)
    for text in ("# a breakpoint", "# another")
    if line.endswith(text)
}
LIMIT = 15  # seconds for each step


class Client:
    """A debugger's front end, with no more than the tests use."""

    def __init__(self, port):
        end = time.monotonic() + LIMIT
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end, "the debugger does not accept connections"
                time.sleep(0.05)
        self.file = self.sock.makefile("rb")
        self.asked = 0
        self.answers, self.events = {}, []

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, command, **arguments):
        self.asked += 1
        request = {"seq": self.asked, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        self.sock.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        return self.asked

    def read(self):
        length = None
        while (line := self.file.readline().strip()) or length is None:
            name, _, value = line.partition(b":")
            assert line, "the debugger has closed the connection"
            if name == b"Content-Length":
                length = int(value)
        message = json.loads(self.file.read(length))
        if message["type"] == "event":
            self.events.append(message)
        elif message["type"] == "response":
            self.answers[message["request_seq"]] = message

    def answer(self, number):
        while number not in self.answers:
            self.read()
        answer = self.answers.pop(number)
        assert answer["success"], answer
        return answer.get("body")

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def event(self, name):
        while True:
            for each in self.events:
                if each["event"] == name:
                    self.events.remove(each)
                    return each.get("body")
            self.read()

    def attach(self, *lines, **arguments):
        """Set breakpoints, and let the program go on."""
        self.ask("initialize", adapterID="tests", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
        attached = self.send("attach", **{"justMyCode": True, **arguments})
        self.event("initialized")
        found = self.ask(
            "setBreakpoints", source={"path": str(PROGRAM)}, breakpoints=[{"line": each} for each in lines]
        )
        assert all(each["verified"] for each in found["breakpoints"])
        self.ask("configurationDone")
        self.answer(attached)

    def stopped(self, reason="breakpoint"):
        """Wait until a thread stops. Returns its number, and functions and lines, innermost first."""
        event = self.event("stopped")
        assert event["reason"] == reason, event
        return event["threadId"], self.stack(event["threadId"])

    def stack(self, thread):
        self.frames = self.ask("stackTrace", threadId=thread)["stackFrames"]
        return [(each["name"], each["line"]) for each in self.frames]

    def variables(self):
        """Return the variables of the innermost frame of the last stack."""
        scopes = self.ask("scopes", frameId=self.frames[0]["id"])["scopes"]
        found = self.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
        return {each["name"]: each["value"] for each in found}

    def threads(self):
        return {each["id"]: each["name"] for each in self.ask("threads")["threads"]}


@contextlib.contextmanager
def debugging(*arguments, output):
    """Run a program, and be the client of its debugger. `PORT` stands for the port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    # With frozen modules, CPython hides its own modules from debuggers, and pydevd warns of that.
    command = [sys.executable, "-Xfrozen_modules=off", *(str(each).replace("PORT", str(port)) for each in arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=PROGRAM.parent, start_new_session=True, env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    ) as process:  # fmt: skip
        client = None
        try:
            client = Client(port)
            yield client
            client.event("terminated")
            client.close()
            printed = process.communicate(timeout=LIMIT)
            assert (process.returncode, *printed) == (0, output, "")
        except BaseException:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            if client is not None:
                client.close()  # ends the adapter too, which the debugger has started and which has the same pipes
            print(*process.communicate(timeout=LIMIT), file=sys.stderr)
            raise
        finally:
            if client is not None:
                client.close()


WAYS = {
    "by the debugger": ("-m", "debugpy", "--listen", "127.0.0.1:PORT", "--wait-for-client", PROGRAM),
    "by greenio.monkey, and that by the debugger": (
        "-m", "debugpy", "--listen", "127.0.0.1:PORT", "--wait-for-client", "-m", "greenio.monkey", PROGRAM,
    ),
    "and lets the debugger in": (PROGRAM, "PORT"),
    "by greenio.monkey, and lets the debugger in": ("-m", "greenio.monkey", PROGRAM, "PORT"),
}  # fmt: skip


@pytest.mark.parametrize("command", WAYS.values(), ids=WAYS)
def test_breakpoints_in_greenlets_and_in_the_main_one(command):
    with debugging(*command, output="3 True\n") as client:
        client.attach(*LINES.values())
        main = None
        for number in range(3):
            thread, stack = client.stopped()
            assert stack[0] == ("work", LINES["# a breakpoint"])
            assert (client.variables()["number"], client.threads()[thread]) == (str(number), f"worker {number}")
            # Everything stands still, and can be looked at: the main thread joins, the others have not gone on.
            left = {*(f"worker {each}" for each in range(number, 3)), "MainThread"}
            assert set(client.threads().values()) == left
            (main,) = (each for each, name in client.threads().items() if name == "MainThread")
            assert "main" in [name for name, _line in client.stack(main)]
            client.ask("next", threadId=thread)
            assert client.stopped("step") == (thread, [("work", LINES["# a breakpoint"] + 1)] + stack[1:])
            assert client.variables()["result"] == str(number * 2)
            client.ask("continue", threadId=thread)
        thread, stack = client.stopped()
        assert thread == main and stack[0] == ("main", LINES["# another"])
        assert client.variables()["ended"] == "3"
        client.ask("continue", threadId=thread)


@pytest.mark.parametrize("method", ["fork", "subprocess"])
def test_breakpoints_in_a_child_process(method):
    if method == "fork" and sys.version_info >= (3, 13):
        pytest.skip("there the debugger does not stop in a child that a greenlet has forked; docs/libraries.md says so")
    command = ("-m", "debugpy", "--listen", "127.0.0.1:PORT", "--wait-for-client", PROGRAM, method)
    with debugging(*command, output="3 True\n0\n") as client:
        client.attach(subProcess=True)
        child = client.event("debugpyAttach")
        with contextlib.closing(Client(child["connect"]["port"])) as second:
            second.attach(*LINES.values(), **child)
            for function, text in [("work", "# a breakpoint")] * 3 + [("main", "# another")]:
                thread, stack = second.stopped()
                assert stack[0] == (function, LINES[text])
                second.ask("continue", threadId=thread)
            second.event("terminated")
