"""A queue with hooks of its own, as programs write them."""

from greenio.queue import Queue


class HookedQueue(Queue):
    """A queue that keeps its items in a list of its own, by the standard library's hooks."""

    def _init(self, maxsize):
        self.items = []

    def _put(self, item):
        self.items.append(item)

    def _get(self):
        return self.items.pop(0)

    def _peek(self):
        return self.items[0]

    def _qsize(self):
        return len(self.items)
