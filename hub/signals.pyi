from collections.abc import Callable

from hub.scheduler import Scheduler

__all__ = ["SignalledHub", "after_fork_in_child", "handle_signals"]

class SignalledHub(Scheduler):
    def call_on_main(self, function: Callable[[], object]) -> None: ...

def after_fork_in_child(hub: Scheduler) -> None: ...
def handle_signals(hub: Scheduler) -> None: ...
