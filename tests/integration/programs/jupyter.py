"""A client of a Jupyter kernel, and the kernel: both in patched programs."""

import contextlib
import subprocess
import sys
import threading

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

LIMIT = 30  # seconds for each step


@contextlib.contextmanager
def _kernel():
    command = [sys.executable, "-m", "greenio.monkey", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=command, display_name="patched", language="python")
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _execute(client, code):
    """Run code in the kernel; return its output and its status."""
    printed = []

    def output(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=LIMIT, output_hook=output)
    return "".join(printed), reply["content"]["status"]


def runs_code():
    with _kernel() as (manager, client):
        assert client.is_alive() and manager.is_alive()
        assert _execute(client, "import threading, time; print(threading.Lock.__module__)") == (
            "greenio._sync.mutex\n",
            "ok",
        )
        threads = """
            def work(number):
                time.sleep(0.001 * number)
                print(number)
            threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
            for each in threads: each.start()
            for each in threads: each.join()
        """
        assert _execute(client, threads) == ("0\n1\n2\n", "ok")
        assert _execute(client, "1 / 0")[1] == "error"
        assert _execute(client, "import asyncio; await asyncio.sleep(0.001); print('waited')") == ("waited\n", "ok")
    print("done")


def is_interrupted():
    for code in ("time.sleep(100)", "threading.Event().wait()"):
        with _kernel() as (manager, client):
            _execute(client, "import threading, time")
            begun = threading.Event()

            def output(message, begun=begun):
                if message["msg_type"] == "stream":
                    begun.set()

            def interrupts(manager=manager, begun=begun):
                begun.wait()
                manager.interrupt_kernel()

            interrupting = threading.Thread(target=interrupts)
            interrupting.start()
            reply = client.execute_interactive(f"print('begun', flush=True); {code}", timeout=LIMIT, output_hook=output)
            interrupting.join()
            assert reply["content"]["ename"] == "KeyboardInterrupt", reply
            assert _execute(client, "print('goes on')") == ("goes on\n", "ok")
    print("done")


def asks_for_a_line():
    with _kernel() as (_manager, client):
        got = []
        reply = client.execute_interactive(
            "line = input('name? '); print(line)", timeout=LIMIT, allow_stdin=True,
            stdin_hook=lambda message: client.input("greenlet"),
            output_hook=lambda message: got.append(message["content"].get("text")),
        )  # fmt: skip
        assert reply["content"]["status"] == "ok" and "greenlet\n" in got
    print("done")
