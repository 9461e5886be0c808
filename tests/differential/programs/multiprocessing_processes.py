"""Processes: starts, ends, statuses, errors, daemons, pipes, wrong use."""

import multiprocessing
import sys
import threading
import time
from multiprocessing import connection

from _tell import tell, tell_kind

context = multiprocessing.get_context("fork")


def exits(status):
    sys.exit(status)


def fails():
    raise LookupError("in a process")


def sends(pipe, *items):
    for item in items:
        pipe.send(item)
    pipe.close()


def run(target, *args, **named):
    process = context.Process(target=target, args=args, **named)
    process.start()
    process.join()
    return process.exitcode


print(run(exits, "text"), run(fails))
process = context.Process(target=time.sleep, args=(1000,), name="sleeper", daemon=True)
print(process.name, process.daemon, process.pid, process.exitcode, process.is_alive())
tell("join before the start", process.join)
tell_kind("terminate before the start", process.terminate)
process.start()
tell("start again", process.start)
tell("daemon", setattr, process, "daemon", False)
print(process.is_alive(), process.join(0.001), process.exitcode, len(multiprocessing.active_children()))
tell("close", process.close)
process.terminate()
process.join()
print(process.exitcode, process.is_alive(), repr(process).partition(" ")[0])
process.close()
tell("closed", process.join)
process = context.Process(target=time.sleep, args=(1000,))
process.start()
print(connection.wait([process.sentinel], 0.001))
process.kill()
print(connection.wait([process.sentinel]) == [process.sentinel])
process.join()
print(process.exitcode)
tell("group", multiprocessing.Process, group=1)

one, other = context.Pipe()
process = context.Process(target=sends, args=(other, 1, "two", [3]))
process.start()
print([one.recv() for _ in range(3)], one.poll(0))
process.join()
other.close()
tell("end", one.recv)
tell("poll at the end", one.poll, 20)
tell("broken", one.send, 1)
one.close()
tell("closed", one.recv)
tell("closed", one.poll)
receiver, sender = context.Pipe(duplex=False)
tell("wrong end", receiver.send, 1)
tell("wrong end", sender.recv)
tell_kind("what cannot be pickled", sender.send, lambda: 1)
tell("for a time", receiver.poll, 0.001)
sender.send_bytes(b"0123456789")
tell("too long", receiver.recv_bytes, 5)
receiver, sender = context.Pipe(duplex=False)
big = b"x" * 1_000_000
thread = threading.Thread(target=sender.send_bytes, args=(big,))
thread.start()
print(receiver.recv_bytes() == big)
thread.join()
buffer = bytearray(3)
sender.send_bytes(b"abc")
print(receiver.recv_bytes_into(buffer), buffer)
threading.Timer(0.001, sender.send, ("late",)).start()
print(receiver.poll(20), receiver.recv())
pipes = [context.Pipe(duplex=False) for _ in range(3)]
pipes[1][1].send(1)
print([pipes.index(pair) for pair in pipes if pair[0] in connection.wait([each[0] for each in pipes], 20)])

with connection.Listener(authkey=b"key") as listener:
    got = []

    def serve():
        for _ in range(2):
            try:
                with listener.accept() as served:
                    got.append(served.recv())
            except multiprocessing.AuthenticationError as error:
                got.append(str(error))

    thread = threading.Thread(target=serve)
    thread.start()
    with connection.Client(listener.address, authkey=b"key") as client:
        client.send("hello")
    tell("wrong key", connection.Client, listener.address, authkey=b"wrong")
    thread.join()
    print(got)


def looks():
    print(threading.active_count(), multiprocessing.parent_process() is not None)


def from_a_thread():
    process = context.Process(target=looks)
    process.start()
    process.join()
    print(process.exitcode)


sys.stdout.flush()
thread = threading.Thread(target=from_a_thread)
thread.start()
thread.join()
print(multiprocessing.active_children(), multiprocessing.current_process().name)
