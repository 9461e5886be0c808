"""Tasks are ended from outside in the turn of the hub in which they end by themselves. Prints celery's callbacks."""

from hub import get_hub

from greenio import sleep
from greenio.contrib.celery import TaskPool
from greenio.event import Event


def run(name, end):
    pool, calls, waited_for = TaskPool(limit=5), [], Event()

    def tell(what):
        def callback(*args):
            sleep(0.001)  # as celery's own do, which write to the broker
            calls.append(what)

        return callback

    task = pool.on_apply(
        waited_for.wait, callback=tell("result"), error_callback=tell("error"), timeout_callback=tell("limit")
    )
    sleep(0)

    def both():
        waited_for.set()
        end(pool, task)

    get_hub().run_callback(both)
    while pool._get_info()["running"]:
        sleep(0.001)
    print(name, *calls)


run("soft", lambda pool, task: task.throw(ValueError("too late")))
run("hard", lambda pool, task: task._hard_limit())
run("signal", lambda pool, task: pool.terminate_job(task.number, 10))
run("ended", lambda pool, task: pool.terminate_job(task.number, 15))
