"""The documents: their code runs and prints what they say, their tables have what is there, the site has every page."""

import json
import re
import subprocess
import sys

import code_blocks
import pytest
from places import CERTIFICATE, CHECKOUT, KEY, TESTS

DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
NAMES = {path: path.relative_to(CHECKOUT).as_posix() for path in DOCUMENTS}
PROGRAMS = [program for path in DOCUMENTS for program in code_blocks.programs(path, NAMES[path])]
NAVIGATION = (CHECKOUT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]


@pytest.fixture
def folder(tmp_path):
    """The folder in which a document's programs run: it has the files that they name."""
    (tmp_path / "cert.pem").write_bytes(CERTIFICATE.read_bytes())
    (tmp_path / "key.pem").write_bytes(KEY.read_bytes())
    return tmp_path


@pytest.mark.parametrize("program", [each for each in PROGRAMS if not each.needs], ids=lambda program: program.name)
def test_the_code_in_a_document_runs(program, folder):
    result = subprocess.run(
        [sys.executable, TESTS / "scripts" / "code_blocks.py", program.name.partition(":")[0], folder],
        input=json.dumps([block[:2] for block in program.blocks]),
        capture_output=True, text=True, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    printed = ""
    for (line, _, wanted), text in zip(program.blocks, result.stdout.split("\x1e\n"), strict=False):
        printed += text
        if wanted is not None:
            assert printed == wanted, f"{program.name}, line {line}"
            printed = ""


def test_the_navigation_has_every_page():
    pages = {name.removeprefix("docs/") for name in NAMES.values() if name.startswith("docs/")}
    assert pages == set(re.findall(r"[\w/-]+\.md", NAVIGATION)) - made_pages()


def made_pages():
    """Pages that are made when the site is built, by docs/making/."""
    return {"reference/modules.md", "examples/index.md", "contributing.md", "changes.md", "tests.md"}
