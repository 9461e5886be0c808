"""Two greenlets take turns: each sleep(0) lets the other run.

python examples/interleave.py
"""

import greenio


def foo():
    print("Running in foo")
    greenio.sleep(0)
    print("Explicit context switch to foo again")


def bar():
    print("Explicit context to bar")
    greenio.sleep(0)
    print("Implicit context switch back to bar")


greenio.joinall([greenio.spawn(foo), greenio.spawn(bar)])
