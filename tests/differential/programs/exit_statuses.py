"""How forked children end: by sys.exit() with anything, in threads, by exceptions, by signals, with hooks."""

import atexit
import os
import signal
import sys
import threading
import time
import warnings

warnings.filterwarnings("ignore", message=".*fork")
parent = os.getpid()
atexit.register(lambda: os.getpid() == parent or print("  at exit in a child", flush=True))


def ends(name, function):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        function()
        sys.exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def handler(number, frame):
    sys.exit(11)


def exits_by_handler():
    signal.signal(signal.SIGTERM, handler)
    threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGTERM)).start()
    threading.Event().wait()


def hook(kind, value, traceback):
    print("  hook", kind.__name__, flush=True)


def with_a_hook():
    sys.excepthook = hook
    raise LookupError


for value in (None, 0, 3, 256 + 4, -1, True, "text", (), 1.5):
    ends(f"sys.exit({value!r})", lambda value=value: sys.exit(value))
ends("nothing", lambda: None)
ends("exception", lambda: [][1])
ends("KeyboardInterrupt", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
ends("GeneratorExit", lambda: (_ for _ in ()).throw(GeneratorExit))
ends("SystemExit(5)", lambda: (_ for _ in ()).throw(SystemExit(5)))
ends("in a thread", lambda: in_thread(lambda: sys.exit(6)))
ends("failing in a thread", lambda: in_thread(lambda: [][1]))
ends("_exit in a thread", lambda: in_thread(lambda: os._exit(7)))
ends("abort", os.abort)
ends("killed", lambda: os.kill(os.getpid(), signal.SIGTERM))
ends("killed in a thread", lambda: in_thread(lambda: os.kill(os.getpid(), signal.SIGKILL)))
ends("SIGINT", lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(1000)))
ends("by a handler", exits_by_handler)
ends("with a hook", with_a_hook)
ends("daemon", lambda: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start())
ends("a last thread", lambda: threading.Thread(target=lambda: (time.sleep(0.002), print("  last", flush=True))).start())
ends("execs", lambda: os.execlp("sh", "sh", "-c", "exit 8"))
