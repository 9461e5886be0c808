"""kombu and celery, in programs that send tasks and wait for results.

Both ask for the environment in which they run, such as eventlet or gevent. This adds an environment of our own. In it
kombu waits with `select.select`, and celery reads the results in one greenlet for all others.

What does not belong here: celery's worker (celery.py).
"""

from __future__ import annotations

import select
import sys

from greenio._tasks.spawning import spawn
from greenio.event import Event
from greenio.hub import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ENVIRONMENT", "adapt", "adapt_eventio", "adapt_results"]

#: What kombu.utils.compat.detect_environment() returns.
ENVIRONMENT = "greenio"


def adapt(compat: Any) -> None:
    """Tell kombu and celery their environment. `compat`: the module kombu.utils.compat."""
    detect = compat._detect_environment
    compat._environment = ENVIRONMENT
    compat._detect_environment = detect_environment
    # Modules that were imported earlier have imported the function by name.
    for name in ("kombu.transport", "kombu.transport.mongodb", "celery.worker.consumer.consumer"):
        module: Any = sys.modules.get(name)
        if getattr(module, "_detect_environment", None) is detect:
            module._detect_environment = detect_environment


def detect_environment() -> str:
    """Return the name of this environment for kombu and celery (str)."""
    return ENVIRONMENT


def adapt_eventio(eventio: Any) -> None:
    """Let kombu's poller wait cooperatively. `eventio`: the module kombu.utils.eventio.

    That module imports `select.select` by name. If it was imported before patching, it has the function that blocks.
    """
    eventio._selectf = select.select


def adapt_results(asynchronous: Any) -> None:
    """Let AsyncResult.get() wait cooperatively. `asynchronous`: the module celery.backends.asynchronous."""

    @asynchronous.register_drainer(ENVIRONMENT)
    class GreenletDrainer(asynchronous.greenletDrainer):  # type: ignore[misc,name-defined]  # whatever celery has
        """Reads results in one greenlet, for all greenlets that wait for them."""

        def spawn(self, function):
            started = spawn(function)
            sleep(0)
            return started

        def _event(self):
            return Event()
