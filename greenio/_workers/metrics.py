"""The counters of the workers, as text for Prometheus.

See https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from greenio._servers.counts import CLOSED, CONNECTIONS, DONE, LAG, REQUESTS, SIZE, STATUS, STATUSES, TIMEOUTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["render"]


def render(supervisor: Any) -> str:
    """Return the page `/metrics` (str). Does not switch."""
    slots = [(slot, _total(slot, supervisor.processes)) for slot in supervisor.slots]
    lines: list[str] = []

    def family(name, kind, text, samples):
        lines.append(f"# HELP greenio_{name} {text}")
        lines.append(f"# TYPE greenio_{name} {kind}")
        lines.extend(f"greenio_{name}{labels} {value}" for labels, value in samples)

    def of_slots(name, kind, text, value):
        family(name, kind, text, [(_labels(slot), value(slot, numbers)) for slot, numbers in slots])

    ready = [slot.worker is not None and slot.worker.is_ready for slot in supervisor.slots]
    family("workers", "gauge", "Workers that are meant to serve.", [("", len(slots))])
    family("workers_ready", "gauge", "Workers that serve.", [("", sum(ready))])
    family("draining", "gauge", "Whether the service ends.", [("", int(supervisor.is_ending))])
    of_slots("connections_total", "counter", "Connections accepted.", lambda slot, n: n[CONNECTIONS])
    of_slots("connections", "gauge", "Connections that are open.", lambda slot, n: _open(slot, supervisor, CONNECTIONS))
    of_slots("requests_total", "counter", "Requests that have begun.", lambda slot, n: n[REQUESTS])
    of_slots("requests_in_flight", "gauge", "Requests under way.", lambda slot, n: _open(slot, supervisor, REQUESTS))
    family("responses_total", "counter", "Answers by their status.", [
        (_labels(slot, status=status), numbers[STATUS + status])
        for slot, numbers in slots for status in STATUSES if numbers[STATUS + status]
    ])  # fmt: skip
    of_slots("timeouts_total", "counter", "Clients and applications that were too slow.", lambda slot, n: n[TIMEOUTS])
    of_slots("worker_restarts_total", "counter", "Workers started after the first.", lambda slot, n: slot.restarts)
    of_slots("hub_lag_seconds", "gauge", "How late the hub of a worker is.", lambda slot, n: _lag(slot, supervisor))
    of_slots("worker_resident_bytes", "gauge", "Memory of a worker.",
             lambda slot, n: slot.worker.resident_bytes() if slot.worker is not None else 0)  # fmt: skip
    return "\n".join(lines) + "\n"


def _labels(slot, **others):
    pairs = {"worker": slot.number, **others}
    return "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"


def _total(slot, processes):
    """Return the counters of a slot, those of workers that have ended included."""
    numbers = list(slot.past) if slot.past is not None else [0] * SIZE
    for worker in processes:
        if worker.slot == slot.number and not worker.ended.is_set():
            numbers = [a + b for a, b in zip(numbers, worker.counts.numbers, strict=True)]
    return numbers


#: The counter of beginnings -> the counter of ends.
_ENDS = {CONNECTIONS: CLOSED, REQUESTS: DONE}


def _open(slot, supervisor, begun):
    """Return how many connections or requests have begun and not ended, in the living workers of a slot."""
    ended = _ENDS[begun]
    return sum(
        worker.counts.numbers[begun] - worker.counts.numbers[ended]
        for worker in supervisor.processes
        if worker.slot == slot.number and not worker.ended.is_set()
    )


def _lag(slot, supervisor):
    worker = slot.worker
    if worker is None or worker.ended.is_set():
        return 0.0
    # A worker that is stuck does not update LAG, so the time since its last beat counts.
    return max(worker.counts.numbers[LAG] / 1e9, worker.silent_for - 2 * supervisor.options.tick)
