"""Condition: notifications, times, wait_for, wrong use, other locks."""

import threading

from _tell import tell, tell_kind, until

condition = threading.Condition()
tell("wait without the lock", condition.wait)
tell("notify without the lock", condition.notify)
tell("notify_all without the lock", condition.notify_all)
tell("wait_for without the lock", condition.wait_for, lambda: False, 0.001)
tell("wait_for what is true, without the lock", condition.wait_for, lambda: 5)
tell_kind("release without the lock", condition.release)
with condition:
    tell("wait for a time", condition.wait, 0.001)
    tell("wait for no time", condition.wait, 0)
    tell("wait for a negative time", condition.wait, -1)
    tell("wait for ever so long", condition.wait, 1e30)
    tell("wait for a text", condition.wait, "1")
    tell("wait_for a time", condition.wait_for, list, 0.001)
    tell("wait_for what raises", condition.wait_for, lambda: 1 / 0)
    tell("notify nobody", condition.notify)
    tell("notify a negative number", condition.notify, -1)
    tell("notify text", condition.notify, "x")
tell("what is no lock", threading.Condition, 5)

for kind in (threading.Lock, threading.RLock):
    condition = threading.Condition(kind())
    waiting, woken, items = [], [], []

    def consume(condition=condition, waiting=waiting, woken=woken, items=items):
        with condition:
            waiting.append(1)
            while not items:
                condition.wait()
            woken.append(items.pop())

    threads = [threading.Thread(target=consume) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda waiting=waiting: len(waiting) == 5)
    with condition:
        items.extend("ab")
        condition.notify(2)
    until(lambda woken=woken: len(woken) == 2)
    with condition:
        print(sorted(woken), len(condition._waiters))
        items.extend("cde")
        condition.notify_all()
    for thread in threads:
        thread.join()
    print(sorted(woken), condition.acquire(False))
    condition.release()

# wait() releases a lock that was acquired several times, and acquires it as often again.
condition = threading.Condition()
entered = []


def enters():
    with condition:
        entered.append(1)
        condition.notify()


with condition, condition:
    thread = threading.Thread(target=enters)
    thread.start()
    print(condition.wait(20), entered)
    condition.release()
    print(condition._is_owned())
    condition.acquire()
thread.join()


# Ping-pong.
turn, seen = ["a"], []


def player(name, other):
    for _ in range(20):
        with condition:
            condition.wait_for(lambda: turn[0] == name)
            seen.append(name)
            turn[0] = other
            condition.notify_all()


threads = [threading.Thread(target=player, args=pair) for pair in ("ab", "ba")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("".join(seen))
