"""A program with breakpoints for a debugger. It patches by itself, unless the program is patched already.

``debugged.py PORT`` lets a debugger connect; ``debugged.py`` is run by a debugger, and so is
``debugged.py fork|subprocess``, which has the breakpoints in a child process.
"""

import sys

from greenio import monkey

monkey.patch_all()

import multiprocessing  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402


def work(number, started, go_on):
    started.release()
    go_on.wait()
    result = number * 2  # a breakpoint
    return result


def main():
    started, go_on = threading.Semaphore(0), threading.Event()
    workers = [
        threading.Thread(target=work, args=(number, started, go_on), name=f"worker {number}") for number in range(3)
    ]
    for each in workers:
        each.start()
    for _ in workers:
        started.acquire()
    go_on.set()
    for each in workers:
        each.join()
    ended = len(workers)
    print(ended, monkey.is_module_patched("threading"), flush=True)  # another


def fork():
    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    process.join()
    print(process.exitcode)


def run_again():
    print(subprocess.run([sys.executable, "-Xfrozen_modules=off", __file__], check=False).returncode)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].isdigit():
        thread = threading.Thread(target=fork if sys.argv[1] == "fork" else run_again)
        thread.start()
        thread.join()
        sys.exit()
    if len(sys.argv) > 1:
        import debugpy

        debugpy.listen(("127.0.0.1", int(sys.argv[1])))
        debugpy.wait_for_client()
    main()
