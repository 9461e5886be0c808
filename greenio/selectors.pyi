import selectors as _standard
from selectors import EVENT_READ as EVENT_READ
from selectors import EVENT_WRITE as EVENT_WRITE
from selectors import BaseSelector as BaseSelector
from selectors import SelectorKey as SelectorKey

__all__ = ["DefaultSelector", "EpollSelector", "PollSelector", "SelectSelector"]

class SelectSelector(_standard.SelectSelector): ...
class PollSelector(_standard.PollSelector): ...
class EpollSelector(_standard.EpollSelector): ...

DefaultSelector = EpollSelector
