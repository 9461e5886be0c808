"""Flask: requests side by side, each with a context of its own."""

import pytest


def test_flask_behind_werkzeug(run_program):
    pytest.importorskip("flask")
    printed = run_program("flask_application", "serve")
    assert printed == "True None\nTrue\n500\nthe client's end was noticed\n"
