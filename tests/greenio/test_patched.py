"""The modules in place of the standard ones: nothing calls itself."""

import pytest


def test_every_function_in_place_of_the_standard_one(run_script):
    assert run_script("patched_names.py") == "all done\n"


@pytest.mark.parametrize("how, told", [("killed", "LoopExit\n"), ("waits", "ends\n")])
def test_a_call_that_does_not_return(run_script, how, told):
    assert run_script("blocked_at_exit.py", how) == told
