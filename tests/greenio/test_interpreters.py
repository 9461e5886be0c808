"""Other interpreters of the process in patched programs, from CPython 3.14 on."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is there from 3.14 on")


def test_code_in_other_interpreters_runs_beside_greenlets(run_script):
    assert run_script("interpreters.py").splitlines() == [
        "exec (None, False)",
        "call_in_thread (None, True)",
        "get ('item', True)",
        "result (None, True)",
        "map [32, 729] TypeError",
        "left 4",
    ]
