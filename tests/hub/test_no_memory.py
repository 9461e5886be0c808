"""Out of memory: only the operation fails, with MemoryError. The hub goes on."""

import importlib.util

import pytest

# How many greenlets an operation makes: the one thing that may end by SIGSEGV, in greenlet itself.
OPERATIONS = {
    "spawning": 1,
    "spawning_raw": 1,
    "spawning_later": 1,
    "killing": 1,
    "sleeping": 0,
    "waiting": 0,
    "queueing": 0,
    "locking": 0,
    "timing_out": 0,
    "exchanging": 0,
    "making_sockets": 0,
    "handing_over": 1,
    "pooling": 3,
    "watching": 0,
}
SWITCHES = {"spawning", "spawning_raw", "spawning_later", "killing", "handing_over", "pooling", "watching"}


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_allocation_of_an_operation_may_fail(run_script, operation):
    name, refused, wrong, segmentation_faults, aborts = run_script("no_memory.py", operation).split()
    assert name == operation and wrong == "0"
    assert int(segmentation_faults) <= OPERATIONS[operation]
    assert int(aborts) <= 20 * (operation in SWITCHES)
    assert int(refused) or operation in ("sleeping", "waiting")
