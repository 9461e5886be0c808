"""Future by itself: results, cancelling, callbacks, wrong use, wait() and as_completed()."""

import concurrent.futures
import logging
import sys
import threading
from concurrent.futures import Future

from _tell import tell

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
logging.getLogger("concurrent.futures").addFilter(lambda record: not setattr(record, "exc_info", None))

future = Future()
tell("result for a time", future.result, 0.001)
tell("exception for a time", future.exception, timeout=0)
print(future.done(), future.running(), future.cancelled())
tell("start", future.set_running_or_notify_cancel)
tell("cancel a running one", future.cancel)
called = []
future.add_done_callback(lambda done: called.append(done.result()))
future.add_done_callback(lambda done: 1 / 0)
future.add_done_callback(lambda done: called.append("after"))
tell("set", future.set_result, 5)
print(called)
tell("set again", future.set_result, 6)
tell("exception", future.exception)
tell("result", future.result, -1)
future.add_done_callback(called.append)
print(called[-1] is future)
tell("cancel", future.cancel)

future = Future()
tell("cancel", future.cancel)
tell("cancel again", future.cancel)
tell("result of a cancelled one", future.result)
tell("exception of a cancelled one", future.exception)
tell("start of a cancelled one", future.set_running_or_notify_cancel)
tell("set a cancelled one", future.set_result, 1)

future = Future()
future.set_exception(LookupError("nothing"))
tell("failed", future.result)
tell("its exception", future.exception)

futures = [Future() for _ in range(5)]
waiting = []


def wait(how):
    done, left = concurrent.futures.wait(futures, timeout=20, return_when=how)
    waiting.append((how, len(done) + len(left)))


threads = [
    threading.Thread(target=wait, args=(how,)) for how in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION")
]
for thread in threads:
    thread.start()
futures[0].set_result(0)
futures[1].cancel()
futures[1].set_running_or_notify_cancel()
futures[2].set_exception(KeyError(2))
futures[3].set_result(3)
tell("not all", lambda: [len(each) for each in concurrent.futures.wait(futures, timeout=0.001)])
tell("as they come", lambda: list(concurrent.futures.as_completed(futures, timeout=0.001))[5])
futures[4].set_result(4)
for thread in threads:
    thread.join()
print(sorted(waiting))
tell("nothing to wait for", concurrent.futures.wait, [])
tell("no such way", lambda: len(concurrent.futures.wait(futures, return_when="x").done))
tell("the same twice", lambda: len(list(concurrent.futures.as_completed([futures[0], futures[0]]))))
print(concurrent.futures.TimeoutError.__name__, concurrent.futures.CancelledError.__mro__[1].__name__)

# Several threads wait for the same futures.
future, got = Future(), []
threads = [threading.Thread(target=lambda: got.append(future.result(20))) for _ in range(5)]
for thread in threads:
    thread.start()
future.set_result("all")
for thread in threads:
    thread.join()
print(got)
