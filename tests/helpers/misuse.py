"""Wrong use of a function of ours and of the standard library's that it stands for."""

import pytest


def raise_alike(standard, ours, arguments):
    """Both functions raise for these arguments: ours the same type, or one derived from it, and the same errno."""
    with pytest.raises(Exception) as expected:
        standard(*arguments)
    with pytest.raises(type(expected.value)) as caught:
        ours(*arguments)
    assert getattr(caught.value, "errno", None) == getattr(expected.value, "errno", None)
