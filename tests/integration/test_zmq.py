"""pyzmq in patched programs, and a kernel of Jupyter, which is built on it."""

import pytest

pytest.importorskip("zmq", reason="pyzmq is not installed")


@pytest.mark.parametrize(
    "function",
    [
        "waits_for_messages", "waits_for_room", "timeouts", "polls", "one_sends_and_another_receives",
        "closed_and_ended_while_others_wait", "proxies", "with_asyncio",
    ],
)  # fmt: skip
def test_sockets_let_other_greenlets_run(run_program, function):
    assert run_program("zmq_sockets", function) == "done\n"


def test_sockets_of_a_package_that_was_imported_before_patching(run_program):
    for function in ("waits_for_messages", "proxies"):
        assert run_program("zmq_sockets", function, options=["--import=zmq"]) == "done\n"


@pytest.mark.parametrize("function", ["runs_code", "is_interrupted", "asks_for_a_line"])
def test_a_kernel_of_jupyter(run_program, tmp_path, function):
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    folders = {name: str(tmp_path) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    assert run_program("jupyter", function, env={**folders, "JUPYTER_PLATFORM_DIRS": "1"}) == "done\n"
