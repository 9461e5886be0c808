"""Subscribers of patching are told, and may veto. Each in a fresh process."""

import pytest
import scenarios


@pytest.mark.parametrize("name", scenarios.names("plugins.py"))
def test_plugins_are_told_and_may_refuse(name):
    scenarios.alone("plugins.py", name)
