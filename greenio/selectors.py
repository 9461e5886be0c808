"""Selectors that let other greenlets run: the standard library's, on the calls of `greenio.select`."""

import selectors as _standard
from selectors import *  # noqa: F403  (this module offers everything that the standard one does)

from greenio import select as _select

__all__ = ["DefaultSelector", "EpollSelector", "PollSelector", "SelectSelector"]


class SelectSelector(_standard.SelectSelector):
    """As selectors.SelectSelector. Its select() switches."""

    def _select(self, r, w, _, timeout=None):
        return _select.select(r, w, [], timeout)


class PollSelector(_standard.PollSelector):
    """As selectors.PollSelector. Its select() switches."""

    _selector_cls = staticmethod(_select.poll)


class EpollSelector(_standard.EpollSelector):
    """As selectors.EpollSelector. Its select() switches."""

    _selector_cls = _select.epoll


DefaultSelector = EpollSelector
