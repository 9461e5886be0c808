"""The stacks of a worker's threads and greenlets, as text.

A fork copies the greenlets of the supervisor too. They never run in the worker, so they are left out.
"""

from __future__ import annotations

import sys
import traceback
from _thread import get_ident

from greenio.greenlet import Greenlet
from greenio.util import GreenletTree

__all__ = ["SupervisorGreenlet", "describe"]


class SupervisorGreenlet(Greenlet):  # type: ignore[type-arg]
    """A greenlet of the supervisor."""


def describe() -> list[str]:
    """Return all stacks as lines (list of str). Slow, because it visits every Python object. Does not switch."""
    lines = []
    for ident, frame in sys._current_frames().items():
        if ident != get_ident():
            lines.append(f"Thread {ident:#x}")
            lines += "".join(traceback.format_stack(frame)).splitlines()
    for tree in GreenletTree.forest():
        if not isinstance(tree.greenlet, SupervisorGreenlet):
            _prune(tree)
            lines += tree.format_lines({"running_stacks": True, "running_stack_limit": None})
    return lines


def _prune(tree):
    tree.child_trees = [each for each in tree.child_trees if not isinstance(each.greenlet, SupervisorGreenlet)]
    for each in tree.child_trees:
        _prune(each)
