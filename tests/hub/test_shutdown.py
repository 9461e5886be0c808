"""The interpreter ends without a message, whatever is still alive."""

import gc
import importlib
import pkgutil
import sys

import pytest

import greenio

WAYS = [
    "end", "exit", "exit from greenlet", "daemon thread", "daemon threads and main", "thread", "destroyed", "unused",
    "cycle", "busy thread", "fork",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_the_interpreter_ends_without_a_message(run_script, how):
    assert set(run_script("shutdown.py", how).split("\n")) == {"begun", ""}


def test_greenlets_still_run_at_exit(run_script):
    assert run_script("shutdown.py", "atexit") == "begun\nat exit\n"


def test_a_thread_ends_while_the_program_does(run_script):
    assert run_script("thread_ends_at_exit.py") == "a thread has ended\n"


def test_finalizers_at_the_end_of_the_interpreter(run_script):
    assert run_script("used_by_finalizers.py") == "finalized\n"


def test_greenlets_that_are_kept_to_the_end(run_script):
    assert run_script("kept_to_the_end.py") == "3\n"


@pytest.mark.parametrize("held_by", ["sys", "builtins", "cycle", "hub"])
def test_calls_of_finalizers_work_or_raise_an_error_of_ours(run_script, held_by):
    assert run_script("late_calls.py", held_by).strip() in ("called", "" if held_by == "hub" else "called")


def test_calls_of_atexit_functions_work(run_script):
    """Also functions that were registered before greenio was imported: they run after greenio's preparations."""
    assert run_script("called_at_exit.py") == "slept\nspawned\nimported\n"


@pytest.mark.parametrize("first", ["subinterpreter", "main"])
def test_importing_in_a_subinterpreter_is_refused(run_script, first):
    said = "greenio cannot be used in a subinterpreter: greenlet and the hub serve the main one only\n"
    assert run_script("subinterpreter.py", first) == said * 2


@pytest.mark.parametrize("hub", ["used", "unused"])
def test_finalizers_of_a_patched_program_wait_as_they_do_natively(run_script, hub):
    """From CPython 3.15 on, waiting for another thread is refused at that time."""
    said = run_script("waits_of_finalizers.py", hub)
    assert said == run_script("waits_of_finalizers.py", hub, "natively")
    assert said.splitlines()[:3] == ["True", "[b'x', 'no more']", "b'x'"] and said.endswith("\n([], [], [])\n")
    assert ("PythonFinalizationError" in said) == (sys.version_info >= (3, 15))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="CPython counts them from 3.11 on")
def test_no_module_keeps_a_type_that_cpython_counts_at_its_end():
    """Debug builds abort if something refers to a static type of struct sequences at the end, as modules may do."""
    for each in pkgutil.iter_modules(greenio.__path__, "greenio."):
        importlib.import_module(each.name)
    ours = {id(vars(module)): name for name, module in sys.modules.items() if name.startswith(("hub", "greenio"))}
    static = [kind for kind in tuple.__subclasses__() if hasattr(kind, "n_fields") and not kind.__flags__ & HEAP_TYPE]
    assert static
    for kind in static:
        assert [ours[id(each)] for each in gc.get_referrers(kind) if id(each) in ours] == []


HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
