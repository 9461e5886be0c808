"""Semaphore and BoundedSemaphore: values, wrong use, times, several at once."""

import threading

from _tell import tell, until

for kind in (threading.Semaphore, threading.BoundedSemaphore):
    print(kind.__name__)
    tell("negative", kind, -1)
    tell("text", kind, "a")
    semaphore = kind(2)
    print(repr(semaphore).partition(" at ")[0], hasattr(semaphore, "_value"), semaphore._value)
    tell("acquire", semaphore.acquire)
    tell("acquire", semaphore.acquire, timeout=1)
    tell("at once", semaphore.acquire, False)
    tell("for a time", semaphore.acquire, timeout=0.001)
    tell("for a negative time", semaphore.acquire, timeout=-1)
    tell("at once with a time", semaphore.acquire, False, 1)
    tell("release", semaphore.release)
    tell("release none", semaphore.release, 0)
    tell("release negative", semaphore.release, -1)
    tell("release text", semaphore.release, "a")
    tell("release two", semaphore.release, 2)
    tell("release one", semaphore.release)
    tell("release one too many", semaphore.release)
    print(semaphore._value)
    with semaphore as entered:
        print(entered, semaphore._value)
    semaphore.note = 1
    inside, most, lock = 0, 0, threading.Lock()
    limit = kind(3)

    def work(limit=limit, lock=lock):
        global inside, most
        for _ in range(5):
            with limit:
                with lock:
                    inside += 1
                    most = max(most, inside)
                threading.Event().wait(0.0002)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(1 <= most <= 3, inside, limit._value)

# release(n) wakes n.
semaphore, got = threading.Semaphore(0), []
threads = [threading.Thread(target=lambda: got.append(semaphore.acquire())) for _ in range(4)]
for thread in threads:
    thread.start()
semaphore.release(3)
until(lambda: len(got) == 3)
print(got, semaphore.acquire(timeout=0.001))
semaphore.release()
for thread in threads:
    thread.join()
print(got)
tell("zero", threading.Semaphore(0).acquire, False)
tell("a time that is text", threading.Semaphore(0).acquire, True, "1")
