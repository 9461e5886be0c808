"""The tests themselves: tests/README.md lists every file, and a test's name says the behaviour."""

import ast

import pytest
from places import TESTS

FILES = sorted(path for folder in ("", "hub", "greenio") for path in (TESTS / folder).glob("test_*.py"))
INTEGRATION = sorted((TESTS / "integration").glob("test_*.py"))


def test_the_list_of_test_files_is_complete():
    listed = (TESTS / "README.md").read_text().splitlines()
    for path in FILES:
        about = ast.get_docstring(ast.parse(path.read_text())).split("\n\n")[0].replace("\n", " ")
        assert f"| `{path.name}` | {about} |" in listed


@pytest.mark.parametrize("path", FILES + INTEGRATION, ids=lambda path: path.stem)
def test_names_have_more_than_two_words(path):
    names = [each.name for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)]
    assert not [name for name in names if name.startswith("test_") and len(name.split("_")) < 4]


def test_names_are_the_same_in_each_process(request):
    """Tests that run in several processes are told apart by their names: `ids=named` leaves addresses out."""
    assert not [item.nodeid for item in request.session.items if " at 0x" in item.nodeid]
