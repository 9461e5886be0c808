"""Programs that nobody wrote as tests end, and print, patched what they do natively: those of tests/differential.

What differs, and stays so, has a program too, in differs/, and a row in docs/monkey.md that names it.
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
    """For each program of the chosen tests, its outcomes: natively, patched. Several run at a time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return OneByOne()  # several tests run at a time, and each process has a share of them
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
    assert len(native.output.splitlines()) > 3, "the program tells next to nothing"


@pytest.mark.parametrize("path", parameters(compare.programs(DIFFERING)))
def test_what_differs_still_does(path, compared):
    native, patched = compared[path]
    told = re.search("^# natively: (.+)\n# patched: (.+)$", path.read_text(), re.MULTILINE)
    assert (native.output, patched.output) == (f"{told[1]}\n", f"{told[2]}\n"), native.errors + patched.errors


def test_the_document_says_what_differs():
    text = DOCUMENT.read_text()
    named = re.findall(r"^\|.*\| `(\w+)` \|$", text, re.MULTILINE)
    assert sorted(named) == [path.stem for path in compare.programs(DIFFERING)]
    # What threads share, and do not share natively, is shown to be shared.
    shared = [line for line in text.splitlines() if line.startswith("|") and "| *shared* |" in line]
    assert len(shared) > 5
    for row in shared:
        assert re.search(r"\| (`\w+`|as natively) \|$", row), row
