"""Queue, semaphore and pool against simple models, with random interleavings (hypothesis)."""

from collections import deque

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import in_thread

from greenio import GreenletExit, getcurrent, kill, sleep, spawn
from greenio.lock import Lock, Semaphore
from greenio.pool import Pool
from greenio.queue import Empty, LifoQueue, PriorityQueue, Queue, ShutDown

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def settle(elsewhere):
    """Let every greenlet run as far as it can. `elsewhere`: another thread has handed something over, in the loop."""
    if elsewhere:
        sleep(0.0001)
    for _ in range(4):
        sleep(0)


class QueueModel:
    """A queue made of lists."""

    def __init__(self, kind, maxsize):
        self.kind = kind
        self.maxsize = maxsize
        self.items = []
        self.getters = deque()  # numbers of jobs
        self.putters = deque()  # (number of a job, item)
        self.results = {}

    def take(self):
        if self.kind is LifoQueue:
            return self.items.pop()
        if self.kind is PriorityQueue:
            self.items.sort()
        return self.items.pop(0)

    def run(self):
        while True:
            if self.items and self.getters:
                self.results[self.getters.popleft()] = self.take()
            elif self.putters and (self.maxsize is None or len(self.items) < self.maxsize):
                job, item = self.putters.popleft()
                self.items.append(item)
                self.results[job] = "put"
            else:
                break

    def put(self, job, item):
        self.putters.append((job, item))
        self.run()

    def get(self, job):
        self.getters.append(job)
        self.run()

    def kill(self, job):
        if job in self.getters:
            self.getters.remove(job)
        else:
            self.putters = deque(pair for pair in self.putters if pair[0] != job)


def get_or_time_out(queue):
    try:
        return queue.get(timeout=0)
    except Empty:
        return "empty"


@quick
@given(
    st.sampled_from([Queue, LifoQueue, PriorityQueue]),
    st.sampled_from([None, 1, 2]),
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 9), st.booleans()),
            st.tuples(st.just("get"), st.just(0), st.booleans()),
            st.tuples(st.just("get or time out"), st.just(0), st.just(False)),
            st.tuples(st.just("kill"), st.integers(0, 30), st.just(False)),
        ),
        max_size=30,
    ),
)
def test_queues_behave_as_their_model(kind, maxsize, steps):
    queue, model = kind(maxsize), QueueModel(kind, maxsize)
    jobs = []
    for name, number, elsewhere in steps:
        job = len(jobs)
        if name == "kill":
            if number < len(jobs) and number not in model.results and jobs[number] is not None:
                model.kill(number)
                jobs[number].kill()
        elif elsewhere:
            # A call in another thread that does not wait, if the model says that it can be done at once.
            if name == "put" and (model.maxsize is None or len(model.items) < model.maxsize):
                jobs.append(None)
                model.put(job, number)
                in_thread(queue.put_nowait, number)
            elif name == "get" and model.items:
                jobs.append(None)
                got = []
                model.get(job)
                in_thread(lambda got=got: got.append(queue.get_nowait()))
                assert got == [model.results[job]]
        elif name == "put":
            model.put(job, number)
            jobs.append(spawn(lambda number=number: (queue.put(number), "put")[1]))
        elif name == "get":
            model.get(job)
            jobs.append(spawn(queue.get))
        else:
            model.get(job)
            if job not in model.results:
                model.kill(job)
                model.results[job] = "empty"
            jobs.append(spawn(get_or_time_out, queue))
            jobs[-1].join()
        settle(elsewhere)
        assert len(queue) == len(model.items)
        for other, made in enumerate(jobs):
            if made is None:
                continue
            if other in model.results:
                assert made.ready() and made.value == model.results[other]
            else:
                assert not made.ready() or isinstance(made.value, GreenletExit)
    assert queue.unfinished_tasks == sum(result == "put" for result in model.results.values())
    remaining = sorted(model.items)
    for made in jobs:
        if made is not None:
            made.kill()
    queue.shutdown()
    left = []
    try:
        while True:
            left.append(queue.get())
    except ShutDown:
        assert sorted(left) == remaining


@quick
@given(
    st.integers(0, 3),
    st.lists(st.one_of(st.just("acquire"), st.just("release"), st.just("thread"), st.integers(0, 20)), max_size=40),
)
def test_a_semaphore_behaves_as_its_model(value, steps):
    semaphore = Semaphore(value)
    counter, line, jobs, done = value, deque(), [], set()
    for step in steps:
        if step == "acquire":
            jobs.append(spawn(semaphore.acquire))
            if counter:
                counter -= 1
                done.add(len(jobs) - 1)
            else:
                line.append(len(jobs) - 1)
        elif step in ("release", "thread"):
            if line:
                done.add(line.popleft())
            else:
                counter += 1
            if step == "release":
                semaphore.release()
            else:
                in_thread(semaphore.release)
        elif step < len(jobs):
            if step in line:
                line.remove(step)
            kill(jobs[step])
        settle(step == "thread")
        assert semaphore.counter == counter
        assert {index for index, job in enumerate(jobs) if job.ready() and job.value is True} == done
    for job in jobs:
        job.kill()


@quick
@given(st.integers(1, 4), st.lists(st.one_of(st.just("spawn"), st.integers(0, 20)), max_size=30))
def test_a_pool_behaves_as_its_model(size, steps):
    """Jobs run until their gate opens or they are killed. Then the next job that waits gets the place."""
    pool = Pool(size)
    gates, spawners, inside = [], [], []

    def work(index):
        gate = gates[index]
        inside.append(index)
        try:
            gate.acquire()
        finally:
            inside.remove(index)

    running, waiting = [], deque()
    for step in steps:
        if step == "spawn":
            index = len(gates)
            gate = Lock()
            gate.acquire()
            gates.append(gate)
            spawners.append(spawn(pool.spawn, work, index))
            if len(running) < size:
                running.append(index)
            else:
                waiting.append(index)
        elif step < len(gates):
            if step in running:
                running.remove(step)
                if step % 2:
                    gates[step].release()
                else:
                    spawners[step].value.kill()
                if waiting:
                    running.append(waiting.popleft())
            elif step in waiting:
                waiting.remove(step)
                spawners[step].kill()
        settle(False)
        assert sorted(inside) == sorted(running) and len(pool) == len(running)
        assert pool.free_count() == size - len(running)
    for spawner in spawners:
        spawner.kill()
    pool.kill()
    assert not inside and pool.free_count() == size and getcurrent() not in pool
