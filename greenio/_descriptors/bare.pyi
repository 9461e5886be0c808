from collections.abc import Callable

__all__ = ["wait_descriptor"]

def wait_descriptor(
    fd: int,
    events: int,
    timeout: float | None,
    timeout_exc: BaseException | type[BaseException] | None,
    check: Callable[[], object] | None = None,
) -> None: ...
