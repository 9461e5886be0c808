"""kombu and celery's results, and greenio.contrib.kombu, which adapts them."""

import pytest

pytest.importorskip("kombu")


@pytest.mark.parametrize("first", [False, True], ids=["imported after", "imported before"])
def test_kombu_is_adapted_before_and_after_its_import(run_program, first):
    pytest.importorskip("celery")
    modules = ["kombu.utils.eventio", "kombu.transport", "celery.backends.asynchronous"] if first else []
    options = [f"--import={each}" for each in modules]
    printed = run_program("messages", "adapted", options=options)
    assert printed == "greenio greenio greenio\n_select True\nTrue\n"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_the_adapter_is_switched_off(run_program, how):
    pytest.importorskip("celery")
    options, env = (["--no-kombu"], {}) if how == "argument" else ([], {"GREENIO_NO_ADAPTERS": "kombu"})
    printed = run_program("messages", "adapted", options=options, env=env)
    assert printed == "default default default\n_epoll True\nFalse\n"


def test_queues_are_waited_for_together(run_program, redis_port):
    pytest.importorskip("redis")
    assert run_program("messages", "queues", redis_port) == "True\ntimeout\nafter\n"


def test_results_of_tasks_are_waited_for(run_program, redis_port):
    pytest.importorskip("redis")
    pytest.importorskip("celery")
    printed = run_program("messages", "results", redis_port)
    assert printed == "True\nFalse\nTrue\ntimeout\nValueError\n"
