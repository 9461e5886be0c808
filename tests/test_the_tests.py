"""The tests themselves: tests/README.md lists every file, with what its docstring begins with."""

import ast

import pytest
from places import TESTS


@pytest.mark.parametrize("folder", ["hub", "greenio", ""])
def test_the_list_of_test_files_is_complete(folder):
    listed = (TESTS / "README.md").read_text().splitlines()
    for path in sorted((TESTS / folder).glob("test_*.py")):
        about = ast.get_docstring(ast.parse(path.read_text())).split("\n\n")[0].replace("\n", " ")
        assert f"| `{path.name}` | {about} |" in listed
