"""How patched processes end and fork."""

import pytest
import scenarios

#: Scenario -> the lines that it prints.
PRINTED = {
    "order_at_the_end": [
        "main", "in an executor", "threading's atexit", "not a daemon", "begun at the end", "atexit",
    ],
    "native_threads_at_the_end": ["main", "native", "atexit"],
    "threads_of_native_threads_at_the_end": ["main", "not a daemon", "atexit"],
    "native_threads_that_wait_for_greenlets_at_the_end": ["main", "9"],
    "a_thread_that_waits_for_the_main_one": ["[False, False]"],
    "the_end_of_main_is_not_the_end": ["still here"],
    "child_of_a_thread": ["a thread of the child", "status 0", "parent 2"],
    "child_of_a_thread_that_fails": ["ValueError", "status 0"],
    "child_of_a_greenlet": ["status 3", "parent True"],
    "child_of_the_main_greenlet": ["status 7 True"],
    "ctrl_c_with_a_busy_greenlet": ["interrupted"],
    "executor_at_the_end": ["0", "last registered, first called", *"12345"],
    "new_threads_after_the_end": ["ran"],
    "processes_of_multiprocessing": ["['MainThread', 'MainThread', 'MainThread']", "0", "0", "0"],
    "process_of_a_thread": ["True", "0"],
    "spawned_processes_begin_anew": ["[None]"],
}  # fmt: skip


def test_every_scenario_is_listed():
    assert set(PRINTED) == set(scenarios.names("ends.py"))


@pytest.mark.parametrize("name", PRINTED)
def test_a_patched_process_ends_as_it_should(name):
    result = scenarios.alone("ends.py", name)
    printed = [line for line in result.stdout.splitlines() if not line.startswith("{")]
    assert (printed, result.returncode) == (PRINTED[name], 0), result.stderr


@pytest.mark.parametrize("patches, found", [("here", "False False"), ("everywhere", "True True")])
def test_children_that_are_spawned_are_patched_if_they_patch(run_script, patches, found):
    assert run_script("spawned_child.py", patches) == f"spawn {found}\nforkserver {found}\n"
