"""A pipeline: its stages hand their work on through queues of limited size, so that none runs far ahead.

python examples/pipeline.py [text ...]
"""

import sys

import greenio
from greenio.queue import Queue, ShutDown

TEXT = """plain blocking code
that waits in one place while
others go on elsewhere""".splitlines()


def read(lines, output):
    for line in lines:
        greenio.sleep(0.001)  # as if it came over a network
        output.put(line)
    output.shutdown()  # its items can still be got


def split(source, output):
    for line in source:  # ends when the queue is shut down and empty
        for word in line.split():
            output.put(word)
    output.shutdown()


def count(source):
    lengths = {}
    try:
        while True:
            word = source.get()
            lengths[len(word)] = lengths.get(len(word), 0) + 1
    except ShutDown:
        return lengths


def main():
    lines, words = Queue(2), Queue(2)
    with greenio.TaskGroup() as group:
        group.spawn(read, sys.argv[1:] or TEXT, lines)
        group.spawn(split, lines, words)
        counting = group.spawn(count, words)
    for length, number in sorted(counting.value.items()):
        print(f"{number} words of {length} letters")


if __name__ == "__main__":
    main()
