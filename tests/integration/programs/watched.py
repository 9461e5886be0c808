"""A program that is watched while it runs: patched by itself or by what runs it.

``watched.py`` runs a few threads. ``watched.py computes|waits`` starts a thread that prints "ready", and then computes
or waits until standard input has a line.
"""

import sys

from greenio import monkey

monkey.patch_all()

import threading  # noqa: E402
import time  # noqa: E402


def work():
    time.sleep(0.001)
    return len("worked")


def computes(ended):
    print("ready", flush=True)
    while not ended.is_set():
        sum(range(1000))


def waits(ended):
    print("ready", flush=True)
    while not ended.is_set():
        time.sleep(0.01)


def run_until_a_line_comes(function):
    def wait_for_a_line():
        sys.stdin.readline()
        ended.set()

    ended = threading.Event()
    monkey.get_original("threading", "Thread")(target=wait_for_a_line).start()
    threading.Thread(target=function, args=(ended,)).start()
    ended.wait()


def main():
    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_until_a_line_comes(globals()[sys.argv[1]])
    else:
        main()
    print("end")
