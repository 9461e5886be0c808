"""A child that multiprocessing spawns is patched if it patches itself, as an argument says, and not otherwise.

It imports this file anew, under another name.
"""

import multiprocessing
import sys

from greenio import monkey

EVERYWHERE = "everywhere" in sys.argv

if __name__ == "__main__" or EVERYWHERE:
    monkey.patch_all()


def look(connection):
    import threading

    natives = []
    thread = threading.Thread(target=lambda: natives.append(threading.get_native_id()))
    thread.start()
    thread.join()
    in_greenlet = natives == [threading.get_native_id()]
    connection.send((monkey.is_anything_patched(), in_greenlet))


if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        child = context.Process(target=look, args=(theirs,))
        child.start()
        print(method, *ours.recv())
        child.join()
        assert child.exitcode == 0
