"""Patched: processes of multiprocessing that a fork server starts, and a pool of them."""

from greenio import monkey

monkey.patch_all()

import multiprocessing  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402


def double(number):
    return 2 * number


def answer(connection):
    connection.send(connection.recv() + ["answered"])


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    ours.send(["asked"])
    print(ours.recv())
    process.join()
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(list(pool.map(double, range(5))), process.exitcode)
