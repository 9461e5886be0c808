"""logging: handlers from threads, queues and listeners, sockets, errors of handlers, rotations."""

import logging
import logging.handlers
import os
import pickle
import queue
import socketserver
import struct
import sys
import tempfile
import threading

from _tell import tell, until

records = []


class Keeps(logging.Handler):
    def emit(self, record):
        records.append((record.levelname, record.getMessage(), record.threadName))


root = logging.getLogger()
root.setLevel(logging.DEBUG)
keeps = Keeps()
root.addHandler(keeps)
threads = [
    threading.Thread(target=lambda n=n: [root.info("%d of %d", step, n) for step in range(3)], name=f"t{n}")
    for n in range(3)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(records))
del records[:]

listener = logging.handlers.QueueListener(queue.SimpleQueue(), keeps, respect_handler_level=True)
root.removeHandler(keeps)
handler = logging.handlers.QueueHandler(listener.queue)
root.addHandler(handler)
listener.start()
threads = [threading.Thread(target=root.warning, args=("number %d", n), name=f"t{n}") for n in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
listener.stop()
print(sorted(records))
bounded = logging.handlers.QueueHandler(queue.Queue(1))
logging.raiseExceptions = False
bounded.handle(logging.makeLogRecord({"msg": "one"}))
bounded.handle(logging.makeLogRecord({"msg": "two"}))
print(bounded.queue.qsize())
logging.raiseExceptions = True
root.removeHandler(handler)

# A handler that fails.
sys.stderr = open(os.devnull, "w")  # noqa: SIM115
failing = logging.StreamHandler(None)
failing.setFormatter(logging.Formatter("%(nonesuch)s"))
root.addHandler(failing)
tell("a handler that fails", root.error, "x")
root.removeHandler(failing)
sys.stderr.close()
sys.stderr = sys.__stderr__

# A socket.
received = []


class Receives(socketserver.StreamRequestHandler):
    def handle(self):
        while size := self.rfile.read(4):
            received.append(pickle.loads(self.rfile.read(struct.unpack(">L", size)[0]))["msg"])


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Receives) as server:
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    handler = logging.handlers.SocketHandler(*server.server_address)
    root.addHandler(handler)
    for number in range(3):
        root.error("socket %d", number)
    until(lambda: len(received) == 3)
    root.removeHandler(handler)
    handler.close()
    server.shutdown()
    serving.join()
print(received)
handler = logging.handlers.SocketHandler("127.0.0.1", 1)
handler.handleError = lambda record: print("cannot be sent")
handler.handle(logging.makeLogRecord({"msg": "x"}))
print(handler.sock)

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "log")
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=50, backupCount=2)
    root.addHandler(handler)
    threads = [threading.Thread(target=root.info, args=("0123456789" * 2,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    root.removeHandler(handler)
    handler.close()
    names = sorted(os.listdir(folder))
    print(names, [os.path.getsize(os.path.join(folder, name)) for name in names])
memory = logging.handlers.MemoryHandler(3, flushLevel=logging.ERROR, target=keeps)
del records[:]
for level in (logging.INFO, logging.INFO, logging.ERROR, logging.INFO):
    memory.handle(logging.makeLogRecord({"msg": "memory", "levelno": level, "levelname": str(level)}))
print(len(records))
memory.close()
print(len(records), logging.Handler().lock is not None, logging.getLogger("a.b").parent is root)
lock = keeps.lock
keeps.acquire()
thread = threading.Thread(target=keeps.handle, args=(logging.makeLogRecord({"msg": "waited"}),))
thread.start()
thread.join(0.001)
print(thread.is_alive())
keeps.release()
thread.join()
print(records[-1][1])
