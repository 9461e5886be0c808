"""python -m greenio.monkey: scripts, modules, options, errors; and the script of docs/patched_script.md."""

import re
import subprocess
import sys

import pytest
from places import CHECKOUT

PAGE = CHECKOUT / "docs" / "patched_script.md"


@pytest.fixture
def run(tmp_path):
    def run(*args, script=None, cwd=tmp_path):
        if script is not None:
            (tmp_path / "script.py").write_text(script)
        return subprocess.run(
            [sys.executable, "-m", "greenio.monkey", *map(str, args)],
            capture_output=True, text=True, timeout=60, check=False, cwd=cwd, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


LOOK = """
import sys, time
from greenio import monkey
if __name__ == "__main__":
    print(sys.argv, sys.path[0], monkey.is_object_patched("time", "sleep"), monkey.is_module_patched("socket"))
"""


def test_a_script_is_run_patched_with_its_arguments(run, tmp_path):
    result = run(tmp_path / "script.py", "--verbose", "x", script=LOOK, cwd="/")
    path = tmp_path / "script.py"
    assert (result.stdout, result.stderr) == (f"{[str(path), '--verbose', 'x']} {tmp_path} True True\n", "")


def test_a_module_is_run_as_main(run, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text("import sys; print(__name__, __package__, sys.argv[1:])")
    for option in ("-m", "--module"):
        result = run(option, "package", "-x")
        assert (result.stdout, result.stderr) == ("__main__ package ['-x']\n", "")


def test_options_say_what_is_patched(run, tmp_path):
    path = tmp_path / "script.py"
    assert run("--time", path, script=LOOK).stdout.endswith(" True False\n")
    assert run("--no-time", path, script=LOOK).stdout.endswith(" False True\n")
    result = run("--verbose", "--time", path, script=LOOK)
    assert "greenio.monkey: time: pthread_getcpuclockid, sleep\n" in result.stderr
    assert "--verbose" in run("--help").stdout


@pytest.mark.parametrize("args, error", [((), "say what to run"), (("--nonsense", "x"), "no option '--nonsense'")])
def test_misuse_is_reported_in_a_line(run, args, error):
    result = run(*args)
    assert result.returncode == 1 and error in result.stderr and "Traceback" not in result.stderr


def test_the_status_and_errors_are_those_of_the_script(run, tmp_path):
    path = tmp_path / "script.py"
    assert run(path, script="import sys; sys.exit(7)").returncode == 7
    result = run(path, script="def fails():\n    raise ValueError('x')\nfails()\n")
    assert result.returncode == 1
    assert f'File "{path}", line 2, in fails' in result.stderr and result.stderr.endswith("ValueError: x\n")
    result = run(tmp_path / "missing.py")
    assert result.returncode == 1
    assert result.stderr == f"greenio.monkey: cannot read {tmp_path}/missing.py: No such file or directory\n"


def test_the_script_of_the_page_fetches_addresses(tmp_path, run):
    import threading
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        addresses = [f"http://127.0.0.1:{server.server_port}/?{number}" for number in range(5)]
        result = run(tmp_path / "script.py", *addresses, script=script)
        server.shutdown()
        serving.join()
    assert result.returncode == 0, result.stderr
    assert sorted(line.split(": ")[0] for line in result.stdout.splitlines()) == addresses
