"""The cache of data-stack chunks: what it keeps, gives back, and does not do."""

import sys

import pytest
from hub import stacks

from greenio import joinall, sleep, spawn

needs_chunks = pytest.mark.skipif(sys.version_info < (3, 11), reason="CPython 3.10 has no data-stack chunks")
is_on = stacks.statistics()["limit"] > 0


def turn():
    sleep(0)  # in a Python frame: a C function alone needs no chunk


def run_many(count):
    joinall([spawn(turn) for _ in range(count)])


@needs_chunks
@pytest.mark.skipif(not is_on, reason="HUB_STACK_CACHE=0 is set")
class TestCache:
    def test_blocks_are_used_again(self):
        run_many(20)
        before = stacks.statistics()
        assert before["cached"] >= 1 and before["block_size"] == 16384
        run_many(20)
        after = stacks.statistics()
        assert after["hits"] > before["hits"] and after["misses"] == before["misses"]

    def test_it_is_bounded(self):
        limit = stacks.statistics()["limit"]
        run_many(limit + 200)
        assert stacks.statistics()["cached"] <= limit

    def test_trim(self):
        run_many(50)
        stacks.trim(keep=5)
        assert stacks.statistics()["cached"] <= 5
        stacks.trim(-1)
        assert stacks.statistics()["cached"] == 0
        run_many(50)


@needs_chunks
@pytest.mark.parametrize(("setting", "limit"), [("0", 0), ("7", 7), ("", 1024)])
def test_the_environment_decides(run_script, setting, limit):
    printed = run_script("stack_cache.py", env={"HUB_STACK_CACHE": setting})
    assert printed.split() == [str(limit), str(min(limit, 7) if limit else 0)]


def test_a_setting_that_makes_no_sense(run_script):
    run_script("stack_cache.py", env={"HUB_STACK_CACHE": "lots"}, status=1, stderr="HUB_STACK_CACHE must be a number")


@needs_chunks
def test_threads_share_it(run_script):
    assert run_script("stack_cache_threads.py").strip() == "done"
