"""A signal that a thread has blocked, sent to that thread."""
# natively: pending
# patched: handled

import signal
import threading

handled = []
signal.signal(signal.SIGUSR1, lambda *args: handled.append(1))


def block_and_send():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)


thread = threading.Thread(target=block_and_send)
thread.start()
thread.join()
print("handled" if handled else "pending")
