"""Comparing the errors of a function of ours with those of the standard function in whose place it is."""

import pytest


def raise_alike(standard, ours, arguments):
    """Check that both functions raise: ours the same type, or one derived from it, with the same errno."""
    with pytest.raises(Exception) as expected:
        standard(*arguments)
    with pytest.raises(type(expected.value)) as caught:
        ours(*arguments)
    assert getattr(caught.value, "errno", None) == getattr(expected.value, "errno", None)
