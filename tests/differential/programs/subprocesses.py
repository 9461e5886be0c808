"""subprocess: outputs, statuses, signals, times, pipes that break, wrong use, several at once."""

import io
import os
import signal
import subprocess
import sys
import threading

from _tell import tell, tell_kind

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


def sh(script, **named):
    return subprocess.run(["sh", "-c", script], **named)


tell("run", lambda: sh("echo out; echo err >&2; exit 3", capture_output=True).returncode)
tell("outputs", lambda: sh("echo out; echo err >&2", stdout=PIPE, stderr=STDOUT, text=True).stdout)
tell("input", lambda: sh("tr a-z A-Z", input="text", capture_output=True, text=True).stdout)
tell("large", lambda: len(sh("cat", input=b"x" * 500_000, stdout=PIPE).stdout))
tell("check", sh, "exit 4", check=True)
tell("killed", sh, "kill -9 $$", check=True)
tell("killed", lambda: sh("kill -TERM $$").returncode)
tell_kind("too long", subprocess.run, ["sleep", "1000"], timeout=0.005)


def outputs_so_far():
    try:
        sh("echo so far; exec sleep 1000", timeout=0.05, stdout=PIPE)
    except subprocess.TimeoutExpired as error:
        return error.output


tell("so far", outputs_so_far)
tell("check_output", subprocess.check_output, ["echo", "x"])
tell("check_call", subprocess.check_call, ["false"])
tell("getstatusoutput", subprocess.getstatusoutput, "echo x; exit 2")
tell("not there", subprocess.run, ["/nonesuch"])
tell("no folder", subprocess.run, ["true"], cwd="/nonesuch")
tell("not to be executed", subprocess.run, ["/dev/null"])
tell("nothing", subprocess.run, [])
tell("number", subprocess.run, 5)
tell("zero", subprocess.run, ["a\0b"])
tell("unknown", subprocess.run, ["true"], nonesuch=1)
tell("both", subprocess.run, ["true"], stdout=PIPE, capture_output=True)
tell("input twice", subprocess.run, ["true"], stdin=PIPE, input=b"")
tell("no descriptor", subprocess.run, ["true"], stdout=900)
tell("negative buffer", subprocess.Popen, ["true"], bufsize="x")
tell("environment", lambda: sh("echo $A", env={"A": "b"}, stdout=PIPE).stdout)
tell("before the exec", lambda: sh("echo", preexec_fn=lambda: os.write(1, b"before"), stdout=PIPE).stdout)
tell("before it fails", sh, "echo", preexec_fn=lambda: 1 / 0)
tell("a session", lambda: sh("exit 0", start_new_session=True).returncode)

process = subprocess.Popen(["cat"], stdin=PIPE, stdout=PIPE)
print(process.poll(), process.returncode, process.args, process.stdin.writable(), process.stdout.readable())
process.stdin.write(b"line\n")
process.stdin.flush()
print(process.stdout.readline())
tell("not yet", process.wait, 0.001)
process.send_signal(signal.SIGINT)
print(process.wait(), process.poll())
process.send_signal(signal.SIGKILL)
process.kill()
process.terminate()
process.stdin.close()
process.stdout.close()
with subprocess.Popen(["sh", "-c", "exec 0<&-; sleep 0.01"], stdin=PIPE) as process:
    tell("breaks", lambda: process.stdin.write(b"x" * 1_000_000))
    tell("communicate", lambda: process.communicate(b"x" * 10))
with subprocess.Popen("cat", stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
    print(process.stdin.write("text\n"), repr(process.stdout.readline()), type(process.stdout).__name__)
    process.stdin.close()
    print(repr(process.stdout.read()))
with subprocess.Popen(["echo", "raw"], stdout=PIPE, bufsize=0) as process:
    print(isinstance(process.stdout, io.RawIOBase), process.stdout.readall(), process.stdout.read(1))
with subprocess.Popen("cat", stdin=PIPE, stdout=PIPE) as process:
    tell("communicate", process.communicate, b"all")
    tell("again", process.communicate, b"all")
    print(process.returncode)
print(repr(subprocess.Popen(["true"])).partition("args")[2][:9] == ": ['true'" or "")

# Pipelines, groups, descriptors.
first = subprocess.Popen(["sh", "-c", "for i in 3 1 2; do echo $i; done"], stdout=PIPE)
second = subprocess.Popen(["sort"], stdin=first.stdout, stdout=PIPE)
first.stdout.close()
print(second.communicate()[0], first.wait())
reading, writing = os.pipe()
sh(f"echo passed >&{writing}", pass_fds=[writing])
print(os.read(reading, 20))
tell("not passed", lambda: sh(f"echo x >&{writing}", stderr=DEVNULL).returncode != 0)
results = []
threads = [
    threading.Thread(target=lambda n=n: results.append(sh(f"sleep 0.00{n}; echo {n}; exit {n}", stdout=PIPE)))
    for n in range(6)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted((each.returncode, each.stdout) for each in results))
child = "import sys, os; print(sys.stdin.read(), os.get_blocking(0), os.get_blocking(1))"
tell("python", lambda: subprocess.run([sys.executable, "-Sc", child], input=b"in", stdout=PIPE).stdout)
sys.stdout.flush()
