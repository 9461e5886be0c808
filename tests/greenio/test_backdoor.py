"""BackdoorServer: prompts, several at once with their own output, how they end, warnings of open addresses."""

import os
import sys
import warnings
from contextlib import closing, suppress

import pytest
from waiting import until, until_waiting

import greenio
from greenio import sleep, spawn
from greenio.backdoor import BackdoorServer
from greenio.event import Event
from greenio.socket import AF_UNIX, SHUT_WR, create_connection, socket


class Terminal:
    """A client of a backdoor."""

    def __init__(self, server):
        if server.family == AF_UNIX:
            self.sock = socket(AF_UNIX)
            self.sock.connect(server.address)
            self.sock.settimeout(30)
        else:
            self.sock = create_connection(server.address, timeout=30)

    def send(self, text):
        self.sock.sendall(text.encode())

    def read_to(self, end=">>> "):
        """Return everything that is received up to the next prompt (str)."""
        got = b""
        while not got.endswith(end.encode()):
            more = self.sock.recv(1000)
            assert more, f"the prompt has ended: {got!r}"
            got += more
        return got.decode().removesuffix(end)

    def ask(self, line):
        self.send(f"{line}\n")
        return self.read_to()

    def rest(self):
        got = b""
        while more := self.sock.recv(1000):
            got += more
        return got.decode()

    def close(self):
        self.sock.close()


@pytest.fixture
def server():
    with BackdoorServer(("127.0.0.1", 0), {"secret": 7}, banner="hello") as server:
        yield server


@pytest.fixture
def terminal(server):
    with closing(Terminal(server)) as terminal:
        assert terminal.read_to() == "hello\n"
        yield terminal


def no_prompts_left(server):
    until(lambda: not server._handlers.running)
    assert sys.stdout is not None and type(sys.stdout).__name__ != "_Stream"


class TestAPrompt:
    def test_lines_are_run_and_values_printed(self, terminal):
        assert terminal.ask("secret + 1") == "8\n"
        assert terminal.ask("_ * 2") == "16\n"
        assert terminal.ask("None") == ""
        assert terminal.ask("__name__") == "'__console__'\n"

    def test_blocks_of_several_lines(self, terminal):
        terminal.send("def double(x):\n")
        assert terminal.read_to("... ") == ""
        terminal.send("    return 2 * x\n")
        assert terminal.read_to("... ") == ""
        assert terminal.ask("") == ""
        assert terminal.ask("double(21)") == "42\n"

    def test_errors_are_told_and_the_prompt_goes_on(self, terminal):
        printed = terminal.ask("1 / 0")
        assert printed.startswith("Traceback") and printed.endswith("ZeroDivisionError: division by zero\n")
        assert "backdoor.py" not in printed
        assert "SyntaxError" in terminal.ask("1 +* 2")
        assert "KeyboardInterrupt" in terminal.ask("raise KeyboardInterrupt")
        assert "zu viel" in terminal.ask("raise BaseException('zu viel')")
        assert terminal.ask("1") == "1\n"

    def test_lines_may_end_as_those_of_telnet(self, terminal):
        assert terminal.ask("secret\r") == "7\n"

    def test_any_text_and_malformed_bytes_are_read(self, terminal):
        assert terminal.ask("'é' * 2") == "'éé'\n"
        assert terminal.ask(r"print('\ud800')") == "\\ud800\n"
        terminal.sock.sendall(b"ord('\xff') == 0xfffd\n")
        assert terminal.read_to() == "True\n"

    def test_a_line_may_read_and_write_the_streams(self, terminal):
        terminal.send("name = input('who? ')\nsomebody\n")
        assert terminal.read_to() == "who? "
        assert terminal.ask("name") == "'somebody'\n"
        terminal.send("import sys; line = next(sys.stdin); rest = sys.stdin.readline()\none\ntwo\n")
        assert terminal.read_to() == ""
        assert terminal.ask("line, rest") == "('one\\n', 'two\\n')\n"
        terminal.ask("import contextlib, io; text = io.StringIO()")
        terminal.send("with contextlib.redirect_stdout(text): print('caught')\n\n")
        assert terminal.read_to() == "... "
        assert terminal.ask("text.getvalue()") == "'caught\\n'\n"
        assert "own" in terminal.ask("sys.stdout")

    def test_help_comes_without_a_pager(self, terminal):
        assert "sleep(" in terminal.ask("import greenio; help(greenio.sleep)")

    def test_a_line_can_print_what_all_greenlets_do(self, terminal):
        waiting = spawn(sleep, 1000)
        until_waiting(waiting)
        assert "sleep" in terminal.ask("import greenio.util; greenio.util.print_run_info()")
        waiting.kill()

    def test_a_line_that_waits_lets_others_run(self):
        done = Event()
        with BackdoorServer(("127.0.0.1", 0), {"done": done}) as server, closing(Terminal(server)) as terminal:
            terminal.read_to()
            terminal.send("done.wait(); 'woken'\n")
            until(lambda: done.linkcount())
            with closing(Terminal(server)) as other:
                other.read_to()
                assert other.ask("done.set()") == ""
            assert terminal.read_to() == "True\n'woken'\n"

    def test_the_default_banner_is_the_version(self):
        with BackdoorServer(("127.0.0.1", 0)) as server, closing(Terminal(server)) as terminal:
            assert terminal.read_to() == f"Python {sys.version} on {sys.platform}\n"

    def test_an_empty_banner_is_none(self):
        with BackdoorServer(("127.0.0.1", 0), banner="") as server, closing(Terminal(server)) as terminal:
            assert terminal.read_to() == ""


class TestSeveralPrompts:
    def test_each_prompt_has_names_of_its_own(self, server, terminal):
        with closing(Terminal(server)) as other:
            other.read_to()
            terminal.ask("secret = 8")
            assert other.ask("secret") == "7\n"
            assert terminal.ask("'mine'") == "'mine'\n"
            assert "NameError" in Terminal.ask(other, "mine") and other.ask("_") == "7\n"
        assert server.locals["secret"] == 7

    def test_output_goes_to_its_own_prompt(self, server, terminal, capsys):
        """Two prompts print in turns, and so does the program."""
        with closing(Terminal(server)) as other:
            other.read_to()
            for each in (terminal, other):
                each.ask("import greenio, sys")
            lines = "for i in range(20): print({0!r}, i); greenio.sleep(0); print({0!r}, i, file=sys.stderr)\n\n"
            terminal.send(lines.format("a"))
            other.send(lines.format("b"))
            for i in range(20):
                print("program", i)
                sleep(0)
            for each, name in ((terminal, "a"), (other, "b")):
                assert each.read_to() == "... " + "".join(f"{name} {i}\n{name} {i}\n" for i in range(20))
            assert capsys.readouterr().out == "".join(f"program {i}\n" for i in range(20))

    def test_greenlets_that_a_line_starts_print_where_the_program_does(self, terminal, capsys):
        terminal.ask("import greenio")
        assert terminal.ask("greenio.spawn(print, 'from a greenlet').join()") == ""
        assert capsys.readouterr().out == "from a greenlet\n"

    def test_the_streams_are_restored_when_the_last_prompt_ends(self, server, terminal):
        before = sys.stdout
        with closing(Terminal(server)) as other:
            other.read_to()
            other.send("quit()\n")
            assert other.rest() == ""
            until(lambda: len(server._handlers.running) == 1)
            assert terminal.ask("print(1)") == "1\n"
            assert sys.stdout is not before
        terminal.close()
        no_prompts_left(server)
        assert sys.stdout is before and sys.displayhook is sys.__displayhook__

    def test_a_stream_that_the_program_sets_meanwhile_stays(self, server, terminal, monkeypatch):
        terminal.ask("1")
        with open(os.devnull, "w") as mine:
            monkeypatch.setattr(sys, "stdout", mine)
            terminal.close()
            until(lambda: not server._handlers.running)
            assert sys.stdout is mine
            monkeypatch.undo()
        sys.stdout = sys.stdout._original

    def test_a_prompt_prints_though_the_program_has_set_another_stream(self, terminal, monkeypatch):
        monkeypatch.setattr(sys, "stdout", None)
        assert terminal.ask("print(1)") == "1\n"
        terminal.close()

    def test_a_prompt_prints_in_a_process_without_standard_streams(self, server, terminal, monkeypatch):
        terminal.close()
        no_prompts_left(server)
        monkeypatch.setattr(sys, "stdout", None)
        with closing(Terminal(server)) as other:
            other.read_to()
            print("to nowhere")
            assert other.ask("print(1)") == "1\n"
        until(lambda: not server._handlers.running)
        assert sys.stdout is None


class TestEnds:
    @pytest.mark.parametrize("line", ["quit()", "exit()", "raise SystemExit", "import sys; sys.exit(3)"])
    def test_a_line_ends_the_prompt_only(self, server, terminal, line):
        terminal.send(f"{line}\n")
        assert terminal.rest() == ""
        no_prompts_left(server)
        with closing(Terminal(server)) as other:
            assert other.read_to() == "hello\n"

    @pytest.mark.parametrize("line", ["sys.stdout.detach()", "sys.stdin.detach()", "sys.stdout.close()"])
    def test_a_line_that_closes_its_streams_ends_its_prompt(self, server, terminal, line, capfd):
        terminal.ask("import sys")
        terminal.send(f"{line}\n")
        with suppress(AssertionError):  # the prompt may end before it has printed the next ">>> "
            terminal.read_to()
        terminal.close()
        no_prompts_left(server)
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("name", ["stdout", "stderr", "stdin", "displayhook"])
    def test_a_line_that_deletes_the_streams_of_sys_ends_nothing(self, server, terminal, monkeypatch, name):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # has it restored at the end of the test
        terminal.ask(f"import sys; del sys.{name}")
        assert terminal.ask("1 + 1") == "2\n"
        assert terminal.ask("print(3)") == "3\n"

    def test_the_end_of_input_ends_the_prompt(self, server, terminal):
        """Lines that were sent before the end are run, as of `echo ... | nc`."""
        terminal.send("import greenio; greenio.sleep(0.01); print('late')\nif True: print('last')")
        terminal.sock.shutdown(SHUT_WR)
        assert terminal.rest() == "late\n>>> ... last\n"
        no_prompts_left(server)

    @pytest.mark.parametrize("unix", [False, True])
    def test_a_client_that_leaves_ends_its_prompt(self, tmp_path, unix):
        address = f"unix:{tmp_path}/socket" if unix else ("127.0.0.1", 0)
        with BackdoorServer(address) as server:
            Terminal(server).close()
            sleep(0)
            no_prompts_left(server)
            waiting = Terminal(server)
            waiting.read_to()
            # The line never ends. A Unix socket notices the end at once, a TCP socket when it sends.
            often = "" if unix else "print(1); "
            waiting.ask("import greenio")
            waiting.send(f"while True: {often}greenio.sleep({1000 if unix else 0.001})\n\n")
            assert waiting.sock.recv(4) == b"... "
            waiting.close()
            no_prompts_left(server)

    def test_a_kill_ends_a_line_that_waits(self, server, terminal):
        terminal.ask("import greenio")
        terminal.send("try: greenio.sleep(1000)\nfinally: print('cleaned')\n\n")
        terminal.read_to("... ... ")
        (handler,) = server._handlers.running
        handler.kill()
        assert terminal.rest() == "cleaned\n"
        no_prompts_left(server)

    def test_stopping_the_server_ends_all(self, server, terminal):
        server.stop(timeout=0)
        assert terminal.rest() == ""
        no_prompts_left(server)

    def test_the_streams_are_restored_when_the_program_ends(self, run_script):
        assert run_script("backdoor_at_the_end.py") == "the end\n"


class TestWhoCanConnect:
    @pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
    def test_addresses_on_loopback_are_not_warned_of(self, address):
        with BackdoorServer(address):
            pass

    def test_a_unix_socket_is_for_its_owner(self, tmp_path):
        with BackdoorServer(f"unix:{tmp_path}/socket") as server:
            assert os.stat(server.address).st_mode & 0o777 == 0o600
            with closing(Terminal(server)) as terminal:
                terminal.read_to()
                assert terminal.ask("1 + 1") == "2\n"

    @pytest.mark.parametrize("address", ["0.0.0.0:0", ":0"])
    def test_addresses_of_all_interfaces_are_warned_of(self, address):
        with pytest.warns(RuntimeWarning, match="everybody who can reach this machine can run any code"):
            server = BackdoorServer(address)
            server.start()
        server.stop()

    def test_abstract_unix_sockets_are_warned_of(self):
        with pytest.warns(RuntimeWarning, match="every user of this machine"):
            server = BackdoorServer(f"unix:@greenio-test-{os.getpid()}")
            server.start()
        server.stop()

    def test_the_warning_names_the_line_that_starts_the_server(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            server = BackdoorServer(":0")
            server.start()
        server.stop()
        assert caught[0].filename == __file__


def test_it_has_gevents_names():
    server = BackdoorServer(("127.0.0.1", 0), locals={"a": 1}, banner="text", spawn=5)
    assert server.locals["a"] == 1 and server.banner == "text" and not server.started
    assert issubclass(BackdoorServer, greenio.server.StreamServer)
