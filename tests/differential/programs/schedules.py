"""sched: order, priorities, cancelling, errors, several threads."""

import sched
import threading
import time

from _tell import tell

done = []
scheduler = sched.scheduler()
print(scheduler.empty(), scheduler.run())
scheduler.enter(0.05, 1, done.append, ("late",))
scheduler.enter(0, 2, done.append, ("second",))
scheduler.enter(0, 1, done.append, argument=("first",))
cancelled = scheduler.enter(0.001, 1, done.append, ("never",))
print([event.priority for event in scheduler.queue])
scheduler.cancel(cancelled)
tell("cancel again", scheduler.cancel, cancelled)
print(scheduler.run(blocking=False) is not None, done)
print(scheduler.run(), done, scheduler.empty())
scheduler.enter(0, 1, lambda: 1 / 0)
scheduler.enter(0, 2, done.append, ("after",))
tell("an error", scheduler.run)
print(len(scheduler.queue), scheduler.run(), done[-1])


def again(count):
    done.append(count)
    if count:
        scheduler.enter(0.0005, 1, again, (count - 1,))


scheduler.enter(0, 1, again, (3,))
scheduler.run()
print(done[-4:])
thread = threading.Thread(target=lambda: [scheduler.enter(0.001 * n, 1, done.append, (f"t{n}",)) for n in range(3)])
thread.start()
thread.join()
running = [threading.Thread(target=scheduler.run) for _ in range(2)]
for each in running:
    each.start()
for each in running:
    each.join()
print(sorted(done[-3:]))
tell("what cannot be called", lambda: (scheduler.enter(0, 1, 5), scheduler.run()))
custom = sched.scheduler(lambda: len(done), lambda delay: done.append("slept"))
custom.enterabs(len(done) + 2, 1, done.append, ("custom",))
custom.run()
print(done[-4:], time.monotonic() > 0)
