"""Programs of tests/differential, which are not written as tests: they end and print the same natively and patched.

A difference that is to stay has a program in differs/, and a row in docs/monkey.md that names the program.
"""

import importlib.util
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import CHECKOUT, TESTS

DIFFERING = TESTS / "differential" / "differs"
DOCUMENT = CHECKOUT / "docs" / "monkey.md"

_spec = importlib.util.spec_from_file_location("compare", TESTS / "differential" / "compare.py")
compare = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compare)

# The first test has to wait until all programs have run.
pytestmark = pytest.mark.timeout(300)


class OneByOne(dict):
    def __missing__(self, path):
        return compare.both(path)


@pytest.fixture(scope="session")
def compared(request):
    """A dict: program of a chosen test -> its outcomes natively and patched. Several programs run at a time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return OneByOne()  # pytest-xdist runs several tests at a time, and gives each process a share of them
    chosen = [
        item.callspec.params["path"]
        for item in request.session.items
        if "compared" in item.fixturenames and not any(item.iter_markers("skip"))
    ]
    with ThreadPoolExecutor(compare.AT_ONCE) as executor:
        return dict(zip(chosen, executor.map(compare.both, chosen), strict=True))


def parameters(paths):
    needs = [(path, compare.unmet_need(path)) for path in paths]
    skip = pytest.mark.skip
    return [pytest.param(path, id=path.stem, marks=[skip(f"needs {need}")] if need else []) for path, need in needs]


@pytest.mark.parametrize("path", parameters(compare.programs()))
def test_a_program_does_the_same_natively_and_patched(path, compared):
    native, patched = compared[path]
    assert not compare.difference(native, patched), compare.difference(native, patched)
    assert len(native.output.splitlines()) > 3, "the program prints next to nothing"


@pytest.mark.parametrize("path", parameters(compare.programs(DIFFERING)))
def test_a_documented_difference_is_still_there(path, compared):
    native, patched = compared[path]
    expected = re.search("^# natively: (.+)\n# patched: (.+)$", path.read_text(), re.MULTILINE)
    assert (native.output, patched.output) == (f"{expected[1]}\n", f"{expected[2]}\n"), native.errors + patched.errors


def test_the_document_has_a_row_for_each_difference():
    text = DOCUMENT.read_text()
    named = re.findall(r"^\|.*\| `(\w+)` \|$", text, re.MULTILINE)
    assert sorted(named) == [path.stem for path in compare.programs(DIFFERING)]
    # A row for state that threads share only when patched names a program or a function that shows it.
    shared = [line for line in text.splitlines() if line.startswith("|") and "| *shared* |" in line]
    assert len(shared) > 5
    for row in shared:
        assert re.search(r"\| (`\w+`|as natively) \|$", row), row
