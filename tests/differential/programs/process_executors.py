"""ProcessPoolExecutor: results, errors with their cause, workers that die, wrong use."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor

from _tell import tell


def fails(text):
    raise LookupError(text)


def dies(how):
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


def is_child(parent):
    return os.getppid() == parent or os.getpid() != parent


context = multiprocessing.get_context("fork")
tell("no workers", ProcessPoolExecutor, 0)
with ProcessPoolExecutor(2, mp_context=context) as executor:
    print(executor.submit(is_child, os.getpid()).result())
    print(list(executor.map(pow, range(6), [3] * 6, chunksize=2)))
    future = executor.submit(fails, "there")
    tell("failed", future.result)
    print(type(future.exception().__cause__).__name__)
    tell("what cannot be pickled", executor.submit(lambda: 1).exception().__class__.__name__.endswith, "Error")
    tell("chunks of nothing", lambda: executor.map(pow, [1], [1], chunksize=0))
tell("after the shutdown", executor.submit, pow, 1, 2)
for how in ("exit", "kill"):
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        tell(how, lambda executor=executor, how=how: type(executor.submit(dies, how).exception()).__name__)
        tell("then", lambda executor=executor: type(executor.submit(int).exception()).__name__)
