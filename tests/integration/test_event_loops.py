"""asyncio.run() in many greenlets, and libraries that ask whether a loop runs."""

import pytest


def test_many_loops_at_once(run_program):
    assert run_program("event_loops", "many_loops") == "True\ntimeout\n[1] after\n"


def test_asgiref_while_another_greenlet_runs_a_loop(run_program):
    pytest.importorskip("asgiref")
    assert run_program("event_loops", "with_asgiref") == "no loop runs here\nTrue\nValueError\n"


def test_django_while_another_greenlet_runs_a_loop(run_program, tmp_path):
    pytest.importorskip("django")
    printed = run_program("event_loops", "with_django", tmp_path)
    assert printed == "True 5\nrefused in a coroutine\n"
