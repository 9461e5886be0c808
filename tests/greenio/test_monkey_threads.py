"""`threading` and the modules that are built on it in a patched process, and native threads beside it."""

import functools

import pytest
import scenarios

FILES = ["threads.py", "built_on_threads.py", "native_threads.py"]


@pytest.fixture(scope="module")
def outcomes_of():
    return functools.cache(scenarios.together)  # each file runs once


@pytest.mark.parametrize("file, name", [(file, name) for file in FILES for name in scenarios.names(file)])
def test_threading_works_in_a_patched_process(outcomes_of, file, name):
    assert outcomes_of(file)[name] is None, outcomes_of(file)[name]
