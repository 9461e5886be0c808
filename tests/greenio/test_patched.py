"""greenio's modules in place of the standard ones: no function calls itself."""

import pytest


def test_every_function_works_in_place_of_the_standard_one(run_script):
    assert run_script("patched_names.py") == "all done\n"


@pytest.mark.parametrize("how, printed", [("killed", "LoopExit\n"), ("waits", "ends\n")])
def test_a_program_ends_while_a_thread_is_in_a_call_that_does_not_return(run_script, how, printed):
    assert run_script("blocked_at_exit.py", how) == printed
