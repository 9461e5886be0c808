"""The cache of data-stack chunks: how many it keeps, and when it frees them."""

import sys

import pytest
from hub import stacks

from greenio import joinall, killall, sleep, spawn

needs_chunks = pytest.mark.skipif(sys.version_info < (3, 11), reason="CPython 3.10 has no data-stack chunks")
is_on = stacks.statistics()["limit"] > 0
needs_small = pytest.mark.skipif(
    not (is_on and (3, 11) <= sys.version_info < (3, 16)),
    reason="small blocks are for CPython 3.11 to 3.15, and off with HUB_STACK_CACHE=0",
)


def turn():
    sleep(0)  # in a Python frame, as a C function alone needs no block


def depth(number):
    """Recurse to that depth, and switch at the bottom."""
    if number == 0:
        sleep(0)
        return 0
    return 1 + depth(number - 1)


def run_many(count):
    joinall([spawn(turn) for _ in range(count)])


def run_deep(count):
    """Run a greenlet that needs more than a small block."""
    joinall([spawn(depth, 50) for _ in range(count)])


@needs_chunks
@pytest.mark.skipif(not is_on, reason="HUB_STACK_CACHE=0 is set")
class TestCache:
    def test_blocks_are_used_again(self):
        run_deep(20)
        before = stacks.statistics()
        assert before["cached"] >= 1 and before["block_size"] == 16384
        run_deep(20)
        after = stacks.statistics()
        assert after["hits"] > before["hits"] and after["misses"] == before["misses"]

    def test_the_cache_has_a_limit(self):
        limit = stacks.statistics()["limit"]
        run_deep(limit + 200)
        assert stacks.statistics()["cached"] <= limit
        assert stacks.statistics()["small_cached"] <= limit

    def test_trim_frees_all_but_the_number_that_is_given(self):
        run_deep(50)
        stacks.trim(keep=5)
        after = stacks.statistics()
        assert after["cached"] <= 5 and after["small_cached"] <= 5
        stacks.trim(-1)
        after = stacks.statistics()
        assert after["cached"] == 0 and after["small_cached"] == 0
        run_deep(50)


@needs_small
class TestSmallBlocks:
    """A greenlet starts with a block that has room for a few calls."""

    def test_a_shallow_greenlet_needs_no_other_block(self):
        run_many(20)
        before = stacks.statistics()
        run_many(20)
        after = stacks.statistics()
        assert (after["hits"], after["misses"]) == (before["hits"], before["misses"])
        assert after["small_cached"] >= 20

    def test_every_depth_around_the_edge(self):
        for number in [*range(40), 300]:
            greenlets = [spawn(depth, number) for _ in range(3)]
            assert [each.get() for each in greenlets] == [number] * 3

    def test_one_greenlet_crosses_the_edge_again_and_again(self):
        def body():
            return sum(depth(number) for _ in range(20) for number in range(30))

        greenlets = [spawn(body) for _ in range(3)]
        assert [each.get() for each in greenlets] == [20 * sum(range(30))] * 3

    @pytest.mark.parametrize("number", [0, 5, 30])
    def test_killed_greenlets_give_their_block_back(self, number):
        parked = []

        def body():
            depth(number)
            parked.append(1)
            sleep(1000)

        stacks.trim()
        greenlets = [spawn(body) for _ in range(10)]
        while len(parked) < 10:
            sleep(0)
        killall(greenlets)
        del greenlets
        assert stacks.statistics()["small_cached"] == 10

    def test_exceptions_and_generators_cross_the_edge(self):
        def numbers(count):
            for number in range(count):
                yield depth(number)
            raise ValueError("enough")

        def body():
            got = []
            with pytest.raises(ValueError, match="enough"):
                for number in numbers(30):
                    got.append(number)
            return got

        assert spawn(body).get() == list(range(30))


@needs_chunks
@pytest.mark.parametrize(("setting", "limit"), [("0", 0), ("7", 7), ("", 1024)])
def test_the_environment_sets_the_limit(run_script, setting, limit):
    printed = run_script("stack_cache.py", env={"HUB_STACK_CACHE": setting})
    assert printed.split() == [str(limit), str(min(limit, 7) if limit else 0)]


def test_a_limit_that_is_no_number_is_refused(run_script):
    run_script("stack_cache.py", env={"HUB_STACK_CACHE": "lots"}, status=1, stderr="HUB_STACK_CACHE must be a number")


@needs_chunks
def test_threads_share_the_cache(run_script):
    assert run_script("stack_cache_threads.py").strip() == "done"
