"""kombu and celery over redis: messages, and results that greenlets wait for."""

import kombu
from kombu.utils import compat, eventio
from together import until

import greenio

COUNT = 20


def adapted():
    """Print what the adapter has replaced."""
    import select

    import celery.backends.asynchronous
    import kombu.transport

    print(compat.detect_environment(), compat._detect_environment(), kombu.transport._detect_environment())
    print(eventio.poll().__class__.__name__, eventio._selectf is select.select)
    print("greenio" in celery.backends.asynchronous.drainers)


def queues(port):
    """Every greenlet waits for a message in a queue of its own, over a connection of its own."""
    url = f"redis://127.0.0.1:{port}/1"
    ready = []

    def receive(number):
        with kombu.Connection(url) as connection, connection.SimpleQueue(f"queue-{number}") as queue:
            ready.append(number)
            message = queue.get(timeout=30)
            message.ack()
            return message.payload

    receiving = [greenio.spawn(receive, number) for number in range(COUNT)]
    until(lambda: len(ready) == COUNT)
    with kombu.Connection(url) as connection:
        for number in range(COUNT):
            with connection.SimpleQueue(f"queue-{number}") as queue:
                queue.put({"number": number})
    print([job.get()["number"] for job in receiving] == list(range(COUNT)))
    with kombu.Connection(url) as connection, connection.SimpleQueue("queue-0") as queue:
        try:
            queue.get(timeout=0.05)
        except queue.Empty:
            print("timeout")
        killed = greenio.spawn(queue.get)
        greenio.sleep(0.01)
        killed.kill()
    with kombu.Connection(url) as connection, connection.SimpleQueue("queue-0") as queue:
        queue.put("after")
        print(queue.get(timeout=30).payload)


def results(port):
    """AsyncResult.get() in many greenlets. This program also stores the results, as a worker would."""
    import celery

    app = celery.Celery(broker=f"redis://127.0.0.1:{port}/2", backend=f"redis://127.0.0.1:{port}/3")
    wait_for_results(app)
    app.backend.result_consumer.drainer.stop()
    app.close()


def wait_for_results(app):
    import celery.exceptions

    @app.task
    def task(number):
        return number

    sent = [task.delay(number) for number in range(COUNT)]
    print(len({each.id for each in sent}) == COUNT)
    waiting = [greenio.spawn(each.get, timeout=30) for each in sent]
    greenio.sleep(0.05)
    print(any(job.ready() for job in waiting))
    for number, each in enumerate(sent):
        app.backend.store_result(each.id, number, "SUCCESS")
    print([job.get() for job in waiting] == list(range(COUNT)))

    late = app.AsyncResult("no such task")
    try:
        late.get(timeout=0.05)
    except celery.exceptions.TimeoutError:
        print("timeout")
    killed = greenio.spawn(late.get)
    greenio.sleep(0.01)
    killed.kill()
    # celery keeps abandoned results, and talks to the server when they are collected. At the end it could not wait.
    app.backend.remove_pending_result(late)
    failed = task.delay(1)
    asking = greenio.spawn(failed.get, timeout=30)
    asking.reports_errors = False
    app.backend.store_result(failed.id, ValueError("on purpose"), "FAILURE")
    asking.join()
    print(type(asking.exception).__name__)
