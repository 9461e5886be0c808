"""Child processes, signals, multiprocessing."""

import multiprocessing
import os
import signal
import subprocess
import time
from multiprocessing import connection, managers
from multiprocessing.pool import ThreadPool

from measuring import call, later, measured

WHILE = "0.03"
LARGE = bytes(1_000_000)


def sleeper():
    """A child that ends when the measured call has waited for it for a while."""
    pid = os.posix_spawnp("sleep", ["sleep", "60"], os.environ)
    later(os.kill, pid, signal.SIGTERM)
    return pid


call("os.wait")(lambda: (sleeper(), measured(os.wait)))
call("os.wait3")(lambda: (sleeper(), measured(os.wait3, 0)))
call("os.wait4")(lambda: measured(os.wait4, sleeper(), 0))
call("os.waitpid")(lambda: measured(os.waitpid, sleeper(), 0))
call("os.waitid")(lambda: measured(os.waitid, os.P_PID, sleeper(), os.WEXITED))
call("os.system")(lambda: measured(os.system, f"sleep {WHILE}"))


@call("os.waitpid(-1)")
def wait_for_any():
    sleeper()
    measured(os.waitpid, -1, 0)


@call("os.popen")
def popen():
    with os.popen(f"sleep {WHILE}; echo x") as lines:
        assert measured(lines.read) == "x\n"


@call("subprocess.Popen.wait")
def popen_wait():
    with subprocess.Popen(["sleep", WHILE]) as process:
        measured(process.wait)


@call("subprocess.Popen.communicate")
def popen_communicate():
    with subprocess.Popen(f"sleep {WHILE}; cat", shell=True, stdin=-1, stdout=-1) as process:
        assert measured(process.communicate, b"x")[0] == b"x"


@call("subprocess.Popen.stdout.read")
def popen_read():
    with subprocess.Popen(f"sleep {WHILE}; echo x", shell=True, stdout=-1) as process:
        assert measured(process.stdout.read) == b"x\n"


@call("subprocess.Popen.stdin.write")
def popen_write():
    with subprocess.Popen(f"sleep {WHILE}; cat > /dev/null", shell=True, stdin=-1) as process:
        measured(process.stdin.write, LARGE)


call("subprocess.run")(lambda: measured(subprocess.run, ["sleep", WHILE]))
call("subprocess.call")(lambda: measured(subprocess.call, ["sleep", WHILE]))
call("subprocess.check_call")(lambda: measured(subprocess.check_call, ["sleep", WHILE]))
call("subprocess.check_output")(lambda: measured(subprocess.check_output, ["sleep", WHILE]))
call("subprocess.getoutput")(lambda: measured(subprocess.getoutput, f"sleep {WHILE}"))
call("subprocess.getstatusoutput")(lambda: measured(subprocess.getstatusoutput, f"sleep {WHILE}"))


# --- signals ------------------------------------------------------------------------------------------------------


signal.signal(signal.SIGUSR1, lambda *_: None)  # here, as a thread may not


@call("signal.pause")
def pause():
    later(os.kill, os.getpid(), signal.SIGUSR1)
    measured(signal.pause)


def waiting_for_signal(name, *args):
    def make_call():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        later(os.kill, os.getpid(), signal.SIGUSR2)
        assert measured(getattr(signal, name), [signal.SIGUSR2], *args)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])

    call(f"signal.{name}")(make_call)


waiting_for_signal("sigwait")
waiting_for_signal("sigwaitinfo")
waiting_for_signal("sigtimedwait", 10)


# --- multiprocessing ----------------------------------------------------------------------------------------------


@call("multiprocessing.Queue.get")
def queue_get():
    queue = multiprocessing.Queue()
    later(queue.put, 1)
    assert measured(queue.get) == 1
    queue.close()
    queue.join_thread()


@call("multiprocessing.Queue.put")
def queue_put():
    queue = multiprocessing.Queue(1)
    queue.put(1)
    later(queue.get)
    measured(queue.put, 2)
    assert queue.get() == 2
    queue.close()
    queue.join_thread()


@call("multiprocessing.JoinableQueue.join")
def queue_join():
    queue = multiprocessing.JoinableQueue()
    queue.put(1)
    queue.get()
    later(queue.task_done)
    measured(queue.join)
    queue.close()
    queue.join_thread()


@call("multiprocessing.SimpleQueue.get")
def simple_queue_get():
    queue = multiprocessing.SimpleQueue()
    later(queue.put, 1)
    assert measured(queue.get) == 1
    queue.close()


@call("multiprocessing.SimpleQueue.put")
def simple_queue_put():
    queue = multiprocessing.SimpleQueue()
    later(queue.get)
    measured(queue.put, LARGE)
    queue.close()


def on_pipe(name, act, wait):
    def make_call():
        ours, theirs = multiprocessing.Pipe()
        with ours, theirs:
            later(act, theirs)
            measured(wait, ours)

    call(name)(make_call)


on_pipe("multiprocessing.Pipe: recv", lambda end: end.send(1), lambda end: end.recv())
on_pipe("multiprocessing.Pipe: send", lambda end: end.recv(), lambda end: end.send(LARGE))
on_pipe("multiprocessing.Pipe: poll", lambda end: end.send(1), lambda end: end.poll(None))
on_pipe("multiprocessing.connection.wait", lambda end: end.send(1), lambda end: connection.wait([end]))


@call("multiprocessing.connection.Listener.accept")
def listener_accept():
    with connection.Listener(authkey=b"key") as listener:
        later(lambda: connection.Client(listener.address, authkey=b"key").close())
        measured(listener.accept).close()


@call("multiprocessing.connection.Client")
def client():
    with connection.Listener(authkey=b"key") as listener:
        later(lambda: listener.accept().close())
        measured(connection.Client, listener.address, authkey=b"key").close()


@call("multiprocessing.Process.join")
def process_join():
    process = multiprocessing.Process(target=time.sleep, args=(0.03,))
    process.start()
    measured(process.join)
    process.close()


def on_pool(name, make_pool, wait):
    def make_call():
        with make_pool(1) as pool:
            measured(wait, pool)
            pool.close()
            pool.join()

    call(name)(make_call)


on_pool("multiprocessing.Pool.apply", multiprocessing.Pool, lambda pool: pool.apply(time.sleep, (0.03,)))
on_pool("multiprocessing.Pool.map", multiprocessing.Pool, lambda pool: pool.map(time.sleep, [0.03]))
on_pool("multiprocessing.Pool.imap", multiprocessing.Pool, lambda pool: list(pool.imap(time.sleep, [0.03])))
on_pool("multiprocessing.pool.ThreadPool.map", ThreadPool, lambda pool: pool.map(time.sleep, [0.03]))


@call("multiprocessing.Pool.join")
def pool_join():
    with multiprocessing.Pool(1) as pool:
        pool.apply_async(time.sleep, (0.03,))
        pool.close()
        measured(pool.join)


@call("multiprocessing.Manager")
def manager():
    started = managers.SyncManager()
    measured(started.start, time.sleep, (0.03,))
    started.shutdown()


@call("multiprocessing.Manager: calls of what it manages")
def managed():
    with multiprocessing.Manager() as started:
        event = started.Event()
        later(event.set)
        assert measured(event.wait)
