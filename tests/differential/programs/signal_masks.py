"""Signals that are blocked, waited for, pending, sent to threads; descriptors that tell of them."""

import os
import signal
import socket
import threading

from _tell import tell, until

got = []
signal.signal(signal.SIGUSR1, lambda *args: got.append("handled"))
tell("block", signal.pthread_sigmask, signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
print(got, signal.SIGUSR1 in signal.sigpending())
tell("unblock", lambda: signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1]))
print(got, signal.SIGUSR1 in signal.sigpending())
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
tell("sigwait", signal.sigwait, [signal.SIGUSR1, signal.SIGUSR2])
tell("sigtimedwait", signal.sigtimedwait, [signal.SIGUSR1], 0.001)
tell("sigtimedwait at once", signal.sigtimedwait, [signal.SIGUSR1], 0)
tell("sigtimedwait negative", signal.sigtimedwait, [signal.SIGUSR1], -1)
timer = threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGUSR1))
timer.start()
tell("sigwaitinfo", lambda: signal.sigwaitinfo([signal.SIGUSR1]).si_signo == signal.SIGUSR1)
timer.join()
os.kill(os.getpid(), signal.SIGUSR1)
tell("sigtimedwait", lambda: signal.sigtimedwait([signal.SIGUSR1], 20).si_pid == os.getpid())
tell("no such signal", signal.sigwait, [1000])
tell("not to be waited for", signal.pthread_sigmask, signal.SIG_BLOCK, [1000])
tell("no such way", signal.pthread_sigmask, 99, [])
tell("what is no set", signal.sigwait, 5)
print(len(got))
signal.pthread_sigmask(signal.SIG_SETMASK, [])

told = []


def in_thread():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    told.append(signal.SIGUSR2 in before)
    told.append(signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    told.append(signal.sigtimedwait([signal.SIGUSR2], 0.001))


thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
print(told, signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, []))
tell("to itself", signal.pthread_kill, threading.main_thread().ident, signal.SIGUSR1)
print(got)
tell("to nobody", signal.pthread_kill, threading.main_thread().ident, 1000)
go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()
tell("to a thread", signal.pthread_kill, thread.ident, signal.SIGUSR1)
until(lambda: len(got) == 3)
print(len(got))
go_on.set()
thread.join()

# A wakeup descriptor gets each signal.
reading, writing = socket.socketpair()
writing.setblocking(False)
tell("set", signal.set_wakeup_fd, writing.fileno())
signal.raise_signal(signal.SIGUSR1)
reading.settimeout(20)
print(list(reading.recv(10)) == [signal.SIGUSR1])
tell("unset", lambda: signal.set_wakeup_fd(-1) == writing.fileno())
tell("unset again", signal.set_wakeup_fd, -1)
tell("closed", signal.set_wakeup_fd, 10000)
reading.setblocking(True)
blocking = os.pipe()
try:
    signal.set_wakeup_fd(blocking[1])
except ValueError as error:
    print(str(error).partition("fd")[0])
print(len(signal.valid_signals()) > 30)
