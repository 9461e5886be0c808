"""fork, waits of every kind, system, popen: statuses, signals, who is there in the child, wrong use."""

import os
import signal
import sys
import threading
import time
import warnings

from _tell import tell, until

warnings.filterwarnings(
    "ignore", message=".*fork"
)  # patched, there is no warning: the system does not see these threads


def child(function):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 77
        try:
            status = function() or 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


print(status_of(child(lambda: 3)), status_of(child(lambda: os.kill(os.getpid(), signal.SIGKILL))))
pid = child(lambda: time.sleep(1000))
tell("not yet", os.waitpid, pid, os.WNOHANG)
os.kill(pid, signal.SIGTERM)
print(status_of(pid))
tell("again", os.waitpid, pid, 0)
tell("no children", os.wait)
tell("no children", os.waitpid, -1, os.WNOHANG)
tell("no such flags", os.waitpid, pid, 1 << 30)
tell("text", os.waitpid, "1", 0)
pid = child(lambda: 5)
tell("wait", lambda: (os.wait()[1] >> 8, pid > 0))
child(lambda: 6)
tell("wait3", lambda: (lambda found: (found[1] >> 8, found[2].ru_utime >= 0))(os.wait3(0)))
pid = child(lambda: 7)
tell("wait4", lambda: os.wait4(pid, 0)[1] >> 8)
pid = child(lambda: 8)
tell("waitid", lambda: (lambda found: (found.si_status, found.si_pid == pid))(os.waitid(os.P_PID, pid, os.WEXITED)))
tell("waitid again", os.waitid, os.P_PID, pid, os.WEXITED)
pid = child(lambda: 9)
tell("left waitable", lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status)
print(status_of(pid))

# Stopped, and continued.
pid = child(lambda: time.sleep(1000))
os.kill(pid, signal.SIGSTOP)
print(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]))
os.kill(pid, signal.SIGCONT)
print(os.WIFCONTINUED(os.waitpid(pid, os.WCONTINUED)[1]))
os.kill(pid, signal.SIGKILL)
print(status_of(pid))

# In the child: one thread, locks that others held, pipes.
go_on, lock = threading.Event(), threading.Lock()
others = [threading.Thread(target=go_on.wait) for _ in range(3)]
for thread in others:
    thread.start()


def looks():
    print(threading.active_count(), threading.current_thread() is threading.main_thread(), others[0].is_alive())
    go_on.set()
    thread = threading.Thread(target=lambda: print("a thread in a child"))
    thread.start()
    thread.join()


print(status_of(child(looks)))
from_thread = []
thread = threading.Thread(target=lambda: from_thread.append(status_of(child(looks))), name="forks")
thread.start()
thread.join()
print(from_thread)
go_on.set()
for thread in others:
    thread.join()
reading, writing = os.pipe()
pid = child(lambda: os.write(writing, b"from a child") and 0)
print(os.read(reading, 100), status_of(pid))
order = []
os.register_at_fork(
    before=lambda: order.append("before"),
    after_in_parent=lambda: order.append("parent"),
    after_in_child=lambda: order.append("child"),
)
print(status_of(child(lambda: print(order))), order)

# Several threads wait for children of their own.
results = []


def waits(status):
    results.append(status_of(child(lambda: (time.sleep(0.001), status)[1])))


threads = [threading.Thread(target=waits, args=(status,)) for status in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))

print(os.system("exit 3") >> 8, os.system("kill -9 $$"), os.system("true"))
tell("system of a number", os.system, 5)
tell("not there", lambda: os.system("/nonesuch 2> /dev/null") >> 8)
with os.popen("echo one; exit 2") as pipe:
    print(pipe.read(), end="")
tell("status", lambda: os.popen("exit 2").close() >> 8)
tell("no status", lambda: os.popen("true").close())
tell("writes", lambda: (lambda pipe: (pipe.write("x"), pipe.close()))(os.popen("cat > /dev/null", "w")))
tell("no such mode", os.popen, "true", "x")
tell("exec", os.execv, "/nonesuch", ["x"])
tell("spawn", os.spawnlp, os.P_WAIT, "sh", "sh", "-c", "exit 4")
until(lambda: threading.active_count() == 1)
sys.stdout.flush()
os.execlp("sh", "sh", "-c", "echo executed; exit 5")
