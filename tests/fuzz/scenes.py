"""The parts of random threaded programs: each function makes the source of one, from a source of chance.

A scene is the body of a function whose result does not depend on the order in which threads ran: sums, sorted lists,
counts, kinds of exceptions. A result has an order only where one thing waits for the other. It is the same natively
and patched.
"""

KINDS = []


def scene(function):
    KINDS.append(function)
    return function


def pause(chance):
    """Return a statement that may let other threads run."""
    return chance.choice(
        ["pass", "pass", "time.sleep(0)", "time.sleep(0.0001)", f"time.sleep({chance.random() / 1000:.4f})"]
    )


LOCKS = ["threading.Lock()", "threading.RLock()", "threading.Semaphore()", "threading.BoundedSemaphore(1)"]
LOCKS += ["threading.Condition()", "threading.Condition(threading.Lock())"]
ERRORS = [
    "ValueError",
    "KeyError",
    "LookupError",
    "ZeroDivisionError",
    "OSError",
    "RuntimeError",
    "Own",
    "StopIteration",
]
QUEUES = ["queue.Queue", "queue.LifoQueue", "queue.PriorityQueue", "queue.SimpleQueue"]


@scene
def counter(chance):
    return f"""
lock, total = {chance.choice(LOCKS)}, [0]

def add():
    for _ in range({chance.randrange(1, 12)}):
        with lock:
            before = total[0]
            {pause(chance)}
            total[0] = before + 1
        {pause(chance)}

together([add] * {chance.randrange(2, 8)})
return total
"""


@scene
def passing(chance):
    kind = chance.choice(QUEUES)
    limit = "" if "Simple" in kind else chance.choice(["", "1", "2", "7"])
    producers, consumers, each = chance.randrange(1, 5), chance.randrange(1, 5), chance.randrange(1, 15)
    ends = {"queue.LifoQueue": "join", "queue.SimpleQueue": "sentinels"}.get(kind) or chance.choice(
        ["sentinels", "join"]
    )
    in_order = producers == consumers == 1 and kind in ("queue.Queue", "queue.SimpleQueue")
    done = "items.task_done()" if ends == "join" else "pass"
    return f"""
items, got = {kind}({limit}), []

def produce(first):
    for number in range(first, first + {each}):
        items.put(number{chance.choice(["", ", True", ", timeout=20"]) if "Simple" not in kind else ""})
        {pause(chance)}

def consume():
    while (item := items.get({chance.choice(["", "True", "timeout=20"])})) < 1000:
        got.append(item)
        {pause(chance)}
        {done}

consuming = [start(consume) for _ in range({consumers})]
together([functools.partial(produce, 100 * n) for n in range({producers})])
{"items.join()" if ends == "join" else "pass"}
for _ in consuming:
    items.put(1000)
for thread in consuming:
    thread.join()
return {"got" if in_order else "sorted(got)"}, items.qsize()
"""


@scene
def bounded(chance):
    limit = chance.randrange(1, 4)
    return f"""
places, inside, most, lock = threading.{chance.choice(["Bounded", ""])}Semaphore({limit}), [0], [0], threading.Lock()

def work():
    for _ in range({chance.randrange(1, 5)}):
        with places:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            {pause(chance)}
            with lock:
                inside[0] -= 1

together([work] * {chance.randrange(1, 8)})
return inside, most[0] <= {limit}
"""


@scene
def rounds(chance):
    parties, breaks = chance.randrange(1, 6), chance.random() < 0.4
    breaking = chance.choice(["barrier.abort()", "barrier.wait(0.001)"]) if breaks else "pass"
    return f"""
barrier, seen, done = threading.Barrier({parties}, {chance.choice(["None", "lambda: done.append(1)"])}), [], []

def meet():
    for turn in range({chance.randrange(1, 5)}):
        {pause(chance)}
        seen.append((turn, barrier.wait(20)))

together([meet] * {parties})
found = sorted(seen), len(done)

def meet_once():
    try:
        barrier.wait(20)
    except threading.BrokenBarrierError:
        seen.append("broken")

def breaks():
    try:
        {breaking}
    except threading.BrokenBarrierError:
        seen.append("broken")

seen.clear()
if {breaks and parties > 2}:
    together([meet_once] * {max(parties - 2, 0)} + [breaks])
return found, seen, barrier.broken
"""


@scene
def chain(chance):
    number = chance.randrange(2, 8)
    return f"""
events, order = [threading.Event() for _ in range({number})], []

def link(n):
    events[n].wait({chance.choice(["", "20"])})
    {pause(chance)}
    order.append(n)
    if n + 1 < len(events):
        events[n + 1].set()

numbers = {chance.sample(range(number), number)}
threads = [start(functools.partial(link, n)) for n in numbers]
{pause(chance)}
events[0].set()
for thread in threads:
    thread.join()
return order, [event.is_set() for event in events]
"""


@scene
def turns(chance):
    players, each = chance.randrange(2, 5), chance.randrange(1, 6)
    wait = chance.choice(["condition.wait_for(lambda: turn[0] == n)", "while turn[0] != n: condition.wait(20)"])
    return f"""
condition, turn, order = threading.Condition({chance.choice(["", "threading.Lock()"])}), [0], []

def play(n):
    for _ in range({each}):
        with condition:
            {wait}
            order.append(n)
            turn[0] = (n + 1) % {players}
            condition.notify_all()
        {pause(chance)}

together([functools.partial(play, n) for n in range({players})])
return order
"""


@scene
def errors(chance):
    kinds = [chance.choice(ERRORS) for _ in range(chance.randrange(1, 6))]
    return f"""
told, lock = [], threading.Lock()

def fail(kind):
    {pause(chance)}
    try:
        raise kind("text")
    finally:
        {pause(chance)}

def guarded(kind):
    try:
        with lock:
            fail(kind)
    except {chance.choice(ERRORS)} as error:
        told.append("caught " + type(error).__name__)
    except Exception as error:
        {pause(chance)}
        told.append((type(error).__name__, type(sys.exc_info()[1]).__name__))

together([functools.partial(guarded, kind) for kind in ({", ".join(kinds)},)])
return sorted(map(str, told)), lock.locked()
"""


@scene
def timed(chance):
    return f"""
ran, threads = [], []
for number in range({chance.randrange(1, 6)}):
    threads.append(threading.Timer({chance.choice(["0", "0.0005", "0.002"])}, ran.append, [number]))
for number in range({chance.randrange(3)}):
    threads.append(threading.Timer(1000, ran.append, ["never"]))
for thread in threads:
    thread.start()
{pause(chance)}
for thread in threads:
    if thread.interval == 1000:
        thread.cancel()
for thread in threads:
    thread.join()
return sorted(ran), [thread.is_alive() for thread in threads]
"""


@scene
def jobs(chance):
    fails_at = chance.choice([-1, chance.randrange(10)])
    gather = chance.choice(
        [
            "[outcome(future.result) for future in futures]",
            "sorted(str(outcome(future.result)) for future in concurrent.futures.as_completed(futures, timeout=20))",
            "[outcome(future.result) for future in futures if concurrent.futures.wait(futures).done]",
            "[repr(future.exception(20)) for future in futures]",
        ]
    )
    return f"""
def job(number):
    {pause(chance)}
    if number == {fails_at}:
        raise {chance.choice(ERRORS)}(number)
    return number * number

called = []
with concurrent.futures.ThreadPoolExecutor({chance.randrange(1, 6)}) as executor:
    futures = [executor.submit(job, number) for number in range({chance.randrange(1, 12)})]
    for future in futures:
        future.add_done_callback(lambda future: called.append(1))
    found = {gather}
    mapped = outcome(lambda: list(executor.map(job, range({chance.randrange(12)}))))
return found, mapped, len(called), outcome(executor.submit, job, 1)
"""


@scene
def loops(chance):
    number = chance.randrange(1, 4)
    return f"""
async def tick(number):
    for _ in range({chance.randrange(1, 4)}):
        await asyncio.sleep({chance.choice(["0", "0.0003"])})
    if number == {chance.randrange(8)}:
        raise {chance.choice([each for each in ERRORS if each != "StopIteration"])}(number)
    return number

async def main(first):
    found = await asyncio.gather(*(tick(n) for n in range({chance.randrange(1, 6)})), return_exceptions=True)
    items, got = asyncio.Queue({chance.choice(["0", "1", "3"])}), []
    async def consume():
        while (item := await items.get()) is not None:
            got.append(item)
    consuming = asyncio.ensure_future(consume())
    for number in [*range({chance.randrange(1, 8)}), None]:
        await items.put(number)
    await consuming
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.0005)
    except asyncio.TimeoutError as error:
        got.append("late")
    waits = asyncio.ensure_future(asyncio.Event().wait())
    await asyncio.sleep(0)
    waits.cancel()
    found += await asyncio.gather(waits, return_exceptions=True)
    found.append(await asyncio.to_thread(pow, first, 2))
    found.append(asyncio.current_task() is not None and asyncio.get_running_loop().is_running())
    return [repr(each) for each in found], got

return runs_of([functools.partial(asyncio.run, main(n)) for n in range({number})])
"""


@scene
def loop_of_another(chance):
    return f"""
loop = asyncio.new_event_loop()
thread = start(loop.run_forever)

async def square(number):
    await asyncio.sleep({chance.choice(["0", "0.0002"])})
    return 1 // (number - {chance.randrange(6)}) + number * number

async def waits():
    await asyncio.Event().wait()

def ask(number):
    return outcome(asyncio.run_coroutine_threadsafe(square(number), loop).result, 20)

found = runs_of([functools.partial(ask, number) for number in range({chance.randrange(1, 6)})])
future = asyncio.run_coroutine_threadsafe(waits(), loop)
found.append(outcome(future.result, 0.0005))
future.cancel()
found.append(outcome(future.result, 20))
called, event = [], threading.Event()
for number in range({chance.randrange(1, 5)}):
    loop.call_soon_threadsafe(called.append, number)
loop.call_soon_threadsafe(event.set)
event.wait(20)
async def stop():
    tasks = asyncio.all_tasks() - {{asyncio.current_task()}}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
return found, called
"""


@scene
def own_state(chance):
    return f"""
local, variable, barrier = threading.local(), contextvars.ContextVar("variable", default=-1), threading.Barrier(4)
local.value = "starter"

def work(number):
    found = [hasattr(local, "value"), variable.get()]
    local.value = number
    variable.set(number)
    decimal.getcontext().prec = number + 3
    barrier.wait()
    {pause(chance)}
    try:
        raise Own(number)
    except Own:
        barrier.wait()
        found.append(sys.exc_info()[1].args[0] == number)
    return found, local.value == number, variable.get() == number, decimal.getcontext().prec == number + 3

return runs_of([functools.partial(work, number) for number in range(4)]), local.value, variable.get()
"""


THINGS = [
    (
        "lock",
        "threading.Lock()",
        ["acquire(False)", "acquire(timeout=0.0003)", "release()", "locked()", "acquire(True, -2)"],
    ),
    (
        "lock",
        "threading.RLock()",
        ["acquire(False)", "acquire(timeout=0.0003)", "release()", "_is_owned()", "acquire(0, 1)"],
    ),
    (
        "condition",
        "threading.Condition()",
        [
            "acquire(False)",
            "release()",
            "notify()",
            "notify_all()",
            "wait(0.0003)",
            "wait_for(int, 0.0003)",
            "notify(-1)",
        ],
    ),
    (
        "semaphore",
        "threading.Semaphore(1)",
        ["acquire(False)", "acquire(timeout=0.0003)", "release()", "release(0)", "release(2)"],
    ),
    ("bounded", "threading.BoundedSemaphore(2)", ["acquire(False)", "release()", "release(2)", "acquire(False, 1)"]),
    ("event", "threading.Event()", ["set()", "clear()", "is_set()", "wait(0)", "wait(0.0003)"]),
    ("barrier", "threading.Barrier(2)", ["wait(0.0003)", "abort()", "reset()", "n_waiting", "broken"]),
    *(
        (
            "items",
            f"{kind}(2)",
            ["put_nowait(1)", "put(2, timeout=0.0003)", "get_nowait()", "get(timeout=0.0003)", "task_done()"]
            + ["qsize()", "empty()", "full()", "unfinished_tasks", "get(True, -1)", "put(0, False)"],
        )
        for kind in QUEUES[:3]
    ),
    ("items", "queue.SimpleQueue()", ["put(1)", "get_nowait()", "get(timeout=0.0003)", "qsize()", "get(False)"]),
    (
        "future",
        "concurrent.futures.Future()",
        ["cancel()", "done()", "running()", "set_result(1)", "set_exception(Own(2))", "result(0.0003)", "exception(0)"]
        + ["cancelled()", "set_running_or_notify_cancel()"],
    ),
    ("thread", "threading.Thread(target=int)", ["start() or thread.join()", "is_alive()", "join(20)", "daemon"]),
    ("timer", "threading.Timer(1000, int)", ["start()", "cancel()", "join(0.0003)", "daemon"]),
]


@scene
def misuse(chance):
    """Threads take turns and call methods of a shared object in a random order: each call has one result."""
    name, made, methods = chance.choice(THINGS)
    script = []
    for _ in range(chance.randrange(5, 25)):
        method = chance.choice(methods)
        script.append(f"    ({chance.randrange(3)}, lambda: {name}.{method}),")
    text = "\n".join(script)
    end = "timer.cancel()" if name == "timer" else "pass"
    return f"""
{name} = {made}
script = [
{text}
]
found = in_turns(3, script)
{end}
return found
"""


PAIRS = [
    # objects, a call that waits, calls that end the wait
    ("lock = threading.Lock(); lock.acquire()", "lock.acquire()", ["lock.release()"]),
    ("lock = threading.Lock(); lock.acquire()", "lock.acquire(timeout=20)", ["lock.release()"]),
    ("event = threading.Event()", "event.wait()", ["event.set()"]),
    ("event = threading.Event()", "event.wait(20)", ["event.set()"]),
    ("items = queue.Queue()", "items.get()", ["items.put(1)", "items.put_nowait([])"]),
    ("items = queue.PriorityQueue()", "items.get(timeout=20)", ["items.put(1)", "items.put('text')"]),
    ("items = queue.SimpleQueue()", "items.get()", ["items.put(None)", "items.put_nowait(5)"]),
    ("items = queue.LifoQueue(1); items.put(0)", "items.put(1)", ["items.get()", "items.get_nowait()"]),
    ("items = queue.Queue(); items.put(0)", "items.join() and None", ["items.task_done()"]),
    ("places = threading.Semaphore(0)", "places.acquire()", ["places.release()"]),
    ("barrier = threading.Barrier(2)", "barrier.wait() in (0, 1)", ["barrier.wait() in (0, 1)", "barrier.abort()"]),
    ("barrier = threading.Barrier(3)", "barrier.wait()", ["barrier.abort()"]),
    (
        "future = concurrent.futures.Future()",
        "future.result()",
        ["future.set_result(1)", "future.set_exception(Own(1))", "future.cancel()"],
    ),
    ("future = concurrent.futures.Future()", "repr(future.exception(20))", ["future.set_exception(KeyError(1))"]),
    ("go_on = threading.Event(); thread = start(go_on.wait)", "thread.join()", ["go_on.set()"]),
    ("reading, writing = os.pipe()", "os.read(reading, 1)", ["os.write(writing, b'x')", "os.close(writing)"]),
    ("one, other = socket.socketpair()", "one.recv(1)", ["other.send(b'x')", "other.close()", "one.shutdown(2)"]),
    (
        "one, other = socket.socketpair()",
        "select.select([one], [], [], 20)[0] == [one]",
        ["other.send(b'x')", "other.close()"],
    ),
]


@scene
def pairs(chance):
    """One thread waits, another ends the wait, by one of several calls; again and again."""
    lines = ["found = []"]
    for _ in range(chance.randrange(1, 6)):
        made, waits, ends = chance.choice(PAIRS)
        made = made.replace("; ", "\n")
        lines.append(f"{made}\nwaiting = start_for_outcome(lambda: {waits})\n{pause(chance)}")
        lines.append(f"found.append(outcome(lambda: {chance.choice(ends)}))\nfound.append(waiting())")
        # Sockets and pipes are closed by the collector, or at the end.
    return "\n" + "\n".join(lines) + "\nreturn [str(each) for each in found]\n"


@scene
def handled(chance):
    """Signals, which only the main thread handles: other scenes go on meanwhile."""
    return f"""
got, number = [], signal.{chance.choice(["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGTERM", "SIGWINCH"])}

def handler(number, frame):
    {pause(chance)}
    got.append((signal.Signals(number).name, threading.current_thread() is threading.main_thread()))
    if {chance.random() < 0.3}:
        raise Own("handler")

def wait():
    while len(got) < turn:
        {chance.choice(["time.sleep(0.001)", "threading.Event().wait(0.001)", "lock.acquire(timeout=0.001)"])}

def send_and_wait(send):
    send()
    wait()
    time.sleep(0.001)  # an exception that came when the wait was over already is raised here

lock, raised = threading.Lock(), []
lock.acquire()
before = signal.signal(number, handler)
for turn in range(1, {chance.randrange(2, 5)}):
    send = [
        lambda: os.kill(os.getpid(), number),
        lambda: signal.raise_signal(number),
        lambda: start(functools.partial(os.kill, os.getpid(), number)).join(),
        lambda: threading.Timer(0.0005, os.kill, (os.getpid(), number)).start(),
        lambda: signal.pthread_kill(threading.main_thread().ident, number),
    ][{chance.randrange(5)}]
    raised.append(outcome(send_and_wait, send))
settle()
after = signal.signal(number, before)
in_a_thread = runs_of([lambda: outcome(signal.signal, number, handler)])
return got, [str(each) for each in raised], after is handler, str(in_a_thread)
"""


ONLY_IN_MAIN = {handled}
