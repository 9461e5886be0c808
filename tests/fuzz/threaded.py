"""A random threaded program as source: some scenes, in the main thread, in other ones, in executors at once."""

import random
from textwrap import indent

import scenes

PRELUDE = '''
import asyncio, concurrent.futures, contextvars, decimal, functools, logging, os, queue, select, signal, socket, sys
import threading, time

logging.disable()


class Own(Exception):
    pass


def outcome(function, *arguments):
    """Return what a call returns, or the type of what it raises, with the text of an Own exception."""
    try:
        return function(*arguments)
    except Own as error:
        return f"Own {error}"
    except BaseException as error:
        return type(error).__name__


def start(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def together(functions):
    threads = [start(function) for function in functions]
    for thread in threads:
        thread.join()


def start_for_outcome(function):
    found = []
    thread = start(lambda: found.append(outcome(function)))
    return lambda: (thread.join(), found[0])[1]


def runs_of(functions):
    return [wait() for wait in [start_for_outcome(function) for function in functions]]


def in_turns(number, script):
    """Call each function in the thread that its number says, one after the other; the outcomes."""
    found, mine, done = [], [queue.SimpleQueue() for _ in range(number)], queue.SimpleQueue()

    def serve(calls):
        while (call := calls.get()) is not None:
            done.put(str(outcome(call)))

    threads = [start(functools.partial(serve, calls)) for calls in mine]
    for who, call in script:
        mine[who].put(call)
        found.append(done.get())
    for calls in mine:
        calls.put(None)
    for thread in threads:
        thread.join()
    return found


def settle():
    """Handlers of signals that are on their way run."""
    for _ in range(3):
        try:
            time.sleep(0.001)
        except Own:
            pass
'''

PLACES = ["main", "main", "thread", "thread", "executor", "to_thread"]

ENDS = [
    "",
    "",
    "sys.exit(3)",
    'raise LookupError("the end")',
    'atexit = __import__("atexit"); atexit.register(print, "at exit"); atexit.register(threading.Lock().acquire)',
    "threading.Thread(target=threading.Event().wait, daemon=True).start()",
    'threading.Thread(target=lambda: (time.sleep(0.002), print("last"))).start()',
    "os.kill(os.getpid(), signal.SIGKILL)",
]


def source(seed):
    """Return the program of a seed (text)."""
    chance = random.Random(seed)
    text, plan = [f"# seed {seed}", PRELUDE], []
    for number in range(chance.randrange(2, 8)):
        kind = chance.choice(scenes.KINDS)
        body = kind(chance).strip("\n")
        text.append(f"\ndef {kind.__name__}_{number}():\n{indent(body, '    ')}\n")
        place = "main" if kind in scenes.ONLY_IN_MAIN else chance.choice(PLACES)
        plan.append((f"{kind.__name__}_{number}", place))
    text.append(main(plan, chance))
    return "\n".join(text)


def main(plan, chance):
    lines = ["\nwaiting = {}", f"executor = concurrent.futures.ThreadPoolExecutor({chance.randrange(1, 4)})"]
    for name, place in plan:
        if place == "thread":
            lines.append(f'waiting["{name}"] = start_for_outcome({name})')
        elif place == "executor":
            lines.append(f'waiting["{name}"] = functools.partial(outcome, executor.submit({name}).result)')
        elif place == "to_thread":
            run = f"lambda: asyncio.run(asyncio.to_thread({name}))"
            lines.append(f'waiting["{name}"] = start_for_outcome({run})')
        else:
            lines.append(f'waiting["{name}"] = lambda found=outcome({name}): found')
    lines.append("for name, wait in waiting.items():\n    print(name, wait())")
    lines.append("sys.stdout.flush()")
    lines.append(chance.choice(["executor.shutdown()", ""]))
    lines.append(chance.choice(ENDS))
    return "\n".join(lines) + "\n"
