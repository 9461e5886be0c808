"""patch_all() and its like: replaced names, results, warnings, objects from before. Each in a fresh process."""

import inspect

import pytest
import scenarios

from greenio import monkey


@pytest.mark.parametrize("name", scenarios.names("calls.py"))
def test_a_call_of_patching_does_what_it_says(name):
    scenarios.alone("calls.py", name)


@pytest.mark.parametrize("name", scenarios.names("made_before.py"))
def test_objects_from_before_patching_follow_or_are_warned_of(name):
    scenarios.alone("made_before.py", name)


def test_arguments_have_gevents_names_and_order():
    expected = "socket dns time select thread os ssl subprocess sys aggressive Event builtins signal queue contextvars"
    parameters = inspect.signature(monkey.patch_all).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == expected.split()
    assert [name for name in positional if parameters[name].default is False] == ["sys"]
    thread = list(inspect.signature(monkey.patch_thread).parameters)
    assert thread == ["threading", "_threading_local", "Event", "logging", "existing_locks"]
    assert list(inspect.signature(monkey.patch_socket).parameters) == ["dns", "aggressive"]
    assert list(inspect.signature(monkey.patch_sys).parameters) == ["stdin", "stdout", "stderr"]
    assert list(inspect.signature(monkey.patch_select).parameters) == ["aggressive"]


def test_everything_public_says_what_it_does():
    for name in monkey.__all__:
        assert name == "saved" or getattr(monkey, name).__doc__, name


def test_modules_that_are_imported_after_patching_have_real_threads(run_script):
    assert run_script("imported_after_patching.py") == "5\n('127.0.0.1', 80) True\n"


@pytest.mark.parametrize("resolver, module", [("ares", "pycares"), ("dnspython", "dns.resolver")])
@pytest.mark.parametrize("when", ["before patching", "after it"])
def test_resolvers_look_names_up_in_a_patched_program(run_script, resolver, module, when):
    pytest.importorskip(module.partition(".")[0])
    modules = [module] if when == "before patching" else []
    assert run_script("resolvers_after_patching.py", resolver, *modules) == f"{['192.0.2.1'] * 3}\n"


def test_pause_in_a_thread_lets_others_run(run_script):
    assert run_script("pause_in_a_thread.py") == "['others run', 'handled', 'went on']\n"
