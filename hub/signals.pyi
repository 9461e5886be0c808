from collections.abc import Callable

from hub.scheduler import Scheduler

__all__ = ["call_on_main", "handle_signals"]

def call_on_main(self: Scheduler, function: Callable[[], object]) -> None: ...
def handle_signals(hub: Scheduler) -> None: ...
