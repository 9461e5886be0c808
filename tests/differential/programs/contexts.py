"""contextvars, decimal, warnings, contextlib, exc_info, recursion: what is each thread's own and what is not."""

import contextlib
import contextvars
import decimal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

from _tell import tell

variable = contextvars.ContextVar("variable", default="default")


def run(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


token = variable.set("main")
run(lambda: print(variable.get(), variable.set("thread") is not None))
print(variable.get(), token.old_value is contextvars.Token.MISSING)
context = contextvars.copy_context()
run(lambda: context.run(lambda: (print(variable.get()), variable.set("in a copy"))))
print(context[variable], variable.get(), len(context))
run(lambda: tell("token of another", variable.reset, token))
inside, go_on = threading.Event(), threading.Event()
thread = threading.Thread(target=context.run, args=(lambda: (inside.set(), go_on.wait()),))
thread.start()
inside.wait()
tell("entered already", context.run, int)
go_on.set()
thread.join()
tell("left", context.run, int)
variable.reset(token)
tell("reset twice", variable.reset, token)
print(variable.get())
barrier, seen = threading.Barrier(5), []


def each(number):
    variable.set(number)
    barrier.wait()
    seen.append(variable.get() == number)


run(*(lambda number=number: each(number) for number in range(5)))
print(seen)

decimal.getcontext().prec = 5
digits = []


def divides(precision):
    with decimal.localcontext() as local:
        local.prec = precision
        barrier.wait()
        digits.append(len(str(decimal.Decimal(1) / 3)) - 2 == precision)


run(*(lambda precision=precision: divides(precision) for precision in range(3, 8)))
run(lambda: print("a thread's:", decimal.getcontext().prec))
print(digits, decimal.Decimal(1) / 3, decimal.getcontext().prec)
decimal.DefaultContext.prec = 9
decimal.setcontext(decimal.Context(prec=4, traps=[decimal.Inexact]))
tell("traps", lambda: decimal.Decimal(1) / 3)
run(lambda: tell("not a thread's", lambda: decimal.Decimal(1) / 3))

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    run(lambda: warnings.warn("from a thread", UserWarning, stacklevel=1))
    run(lambda: warnings.warn("from a thread", UserWarning, stacklevel=1))
print([str(each.message) for each in caught])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    run(lambda: tell("error", warnings.warn, "x"))


@contextlib.contextmanager
def holds(lock):
    with lock:
        try:
            yield "held"
        except KeyError:
            print("taken")
        finally:
            print("given up")


lock = threading.Lock()
with holds(lock) as held:
    print(held, lock.locked())
with holds(lock):
    raise KeyError
print(lock.locked())
with contextlib.ExitStack() as stack:
    stack.enter_context(lock)
    stack.callback(print, "called back")
    with contextlib.suppress(RuntimeError):
        lock.acquire(False) or lock.release() or lock.release()
    lock.acquire()
output = __import__("io").StringIO()
with contextlib.redirect_stdout(output):
    run(lambda: print("redirected"))
print(repr(output.getvalue()))

errors = []


def raises(number):
    try:
        raise ValueError(number)
    except ValueError:
        barrier.wait()
        errors.append(sys.exc_info()[1].args[0] == number)
        try:
            raise KeyError(number)
        except KeyError as error:
            barrier.wait()
            errors.append(error.__context__.args[0] == number)
    errors.append(sys.exc_info() == (None, None, None))


run(*(lambda number=number: raises(number) for number in range(5)))
print(errors == [True] * 15)


def deep(depth):
    if depth:
        return deep(depth - 1)
    barrier.wait()
    return 0


with ThreadPoolExecutor(5) as executor:
    print(list(executor.map(deep, [300] * 5)))
    tell("too deep", executor.submit(lambda: deep(10**6)).result)
    print(executor.submit(sys.getrecursionlimit).result() == sys.getrecursionlimit())
