"""signal.pause() in a thread of a patched program, which is a greenlet, lets the others run."""

import faulthandler

from greenio import monkey

monkey.patch_all()
faulthandler.dump_traceback_later(30, exit=True)

import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

told = []
signal.signal(signal.SIGUSR1, lambda *args: told.append("handled"))
thread = threading.Thread(target=lambda: (signal.pause(), told.append("went on")))
thread.start()
time.sleep(0.01)
told.append("others run")
os.kill(os.getpid(), signal.SIGUSR1)
thread.join()
print(told)
