from typing import SupportsIndex

__all__ = ["pthread_getcpuclockid", "sleep"]

def pthread_getcpuclockid(thread_id: int, /) -> int: ...
def sleep(seconds: float | SupportsIndex, /) -> None: ...

# Last: what is defined above is not taken from there.
from time import *  # noqa: E402, F403
