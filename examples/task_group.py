"""Task groups and deadlines: children that do not outlive their block, and errors that are not lost.

python examples/task_group.py
"""

import greenio
from greenio.taskgroup import ExceptionGroup


def fetch(name, seconds):
    """A stand-in for a request."""
    try:
        greenio.sleep(seconds)
    except greenio.GreenletExit:
        print(f"{name}: cancelled")
        raise
    if name.startswith("bad"):
        raise ConnectionError(f"{name}: no answer")
    return f"{name}: answered"


def main():
    # All succeed: leaving the block waits for them.
    with greenio.TaskGroup() as group:
        jobs = [group.spawn(fetch, name, 0.01) for name in ("one", "two")]
    print(*(job.value for job in jobs), sep="\n")

    # One fails: the others are cancelled, and the error comes out.
    try:
        with greenio.TaskGroup() as group:
            group.spawn(fetch, "slow", 10)
            group.spawn(fetch, "bad", 0.01)
    except ExceptionGroup as errors:
        print(*errors.exceptions, sep="\n")

    # None is quick enough: the deadline cancels them all.
    with greenio.move_on_after(0.05) as deadline:
        with greenio.TaskGroup() as group:
            group.spawn(fetch, "late", 10)
    print(f"deadline expired: {deadline.expired}")


if __name__ == "__main__":
    main()
