"""Packages that use attributes of the standard library's objects, in patched programs."""

import subprocess
import sys
import textwrap

import pytest


def run(program):
    text = "from greenio import monkey\nmonkey.patch_all()\n" + textwrap.dedent(program)
    # In another folder than the checkout, whose packages may not be compiled.
    result = subprocess.run(
        [sys.executable, "-c", text],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_rich_prints_in_threads():
    pytest.importorskip("rich")
    out = run("""
        import io, threading
        from rich.console import Console
        from rich.progress import Progress
        consoles = [Console(file=io.StringIO(), width=40) for _ in range(2)]
        def use(console, number):
            with console.capture() as captured:
                console.print(f"[bold]{number}[/bold]")
            assert captured.get() == f"{number}\\n", captured.get()
        threads = [threading.Thread(target=use, args=(each, i)) for i in range(3) for each in consoles]
        for each in threads: each.start()
        for each in threads: each.join()
        with Progress(console=consoles[0], refresh_per_second=100) as progress:
            task = progress.add_task("work", total=2)
            for _ in range(2): progress.advance(task)
        assert "100%" in consoles[0].file.getvalue()
        print("done")
    """)
    assert out == "done\n"


def test_posthog_sends_what_it_queues():
    pytest.importorskip("posthog")
    out = run("""
        import http.server, json, threading, gzip
        got = []
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip": body = gzip.decompress(body)
                got.extend(each["event"] for each in json.loads(body)["batch"])
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
            def log_message(self, *args): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        from posthog import Posthog
        client = Posthog("key", host=f"http://127.0.0.1:{server.server_port}", flush_interval=0.05)
        for number in range(3):
            client.capture(f"event {number}", distinct_id="somebody")
        client.flush()
        client.shutdown()
        server.shutdown()
        print(sorted(got))
    """)
    assert out == "['event 0', 'event 1', 'event 2']\n"


def test_watchdog_sees_files():
    pytest.importorskip("watchdog")
    out = run("""
        import os, queue, tempfile, threading, time
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer
        events = queue.Queue()
        class Handler(FileSystemEventHandler):
            def on_created(self, event): events.put(os.path.basename(event.src_path))
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2):
                observer = Observer()
                observer.schedule(Handler(), folder, recursive=True)
                observer.start()
                for name in ("first", "second"):
                    path = os.path.join(folder, name)
                    with open(path, "w") as file: file.write("x")
                    assert events.get(timeout=30) == name
                    os.remove(path)
                observer.stop()
                observer.join(timeout=30)
                assert not observer.is_alive()
        print("done")
    """)
    assert out == "done\n"
