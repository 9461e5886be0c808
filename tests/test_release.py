"""The published package: its page on the index, its extras, its version and its changes."""

import re
import runpy
import sys

import pytest
from places import CHECKOUT

import greenio

BLOB = "https://github.com/greenio/greenio/blob/main/"
TREE = BLOB.replace("blob", "tree")
PROJECT = (CHECKOUT / "pyproject.toml").read_text()
DOCUMENTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def release():
    return runpy.run_path(str(CHECKOUT / ".ci" / "release"))


def extras():
    section = PROJECT.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    return set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))


def named_extras(text):
    """The extras in the commands of a text, as in pip install '.[ares]', 'greenio[ares,dnspython]'."""
    return {name for names in re.findall(r"(?:'\.|greenio)\[([\w,-]+)\]", text) for name in names.split(",")}


def test_documents_and_errors_name_extras_that_exist():
    sources = [*DOCUMENTS, *(path for folder in ("greenio", "hub") for path in (CHECKOUT / folder).rglob("*.py"))]
    found = {path: named_extras(path.read_text()) for path in sources}
    assert {path: names - extras() for path, names in found.items() if names - extras()} == {}


def test_every_folder_with_modules_is_published():
    section = PROJECT.partition("\npackages = [\n")[2].partition("\n]")[0]
    folders = {
        path.parent
        for top in ("greenio", "hub")
        for path in (CHECKOUT / top).rglob("*.py*")
        if "__pycache__" not in path.parts
    }
    assert set(re.findall(r'"([^"]+)"', section)) == {".".join(each.relative_to(CHECKOUT).parts) for each in folders}


def test_the_readme_and_the_documentation_name_the_same_resolvers():
    readme, documentation = (
        set(re.findall(r"'greenio\[([\w-]+)\]'", (CHECKOUT / name).read_text())) for name in ("README.md", "docs/io.md")
    )
    assert {"ares", "dnspython"} <= documentation <= readme


def test_links_of_the_readme_work_on_the_index():
    text = re.sub(r"```.*?```|\n {4}[^\n]*", "", (CHECKOUT / "README.md").read_text(), flags=re.DOTALL)
    targets = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", text, re.MULTILINE))
    direct = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets and all(target.startswith("https://") for target in [*targets.values(), *direct])
    for target in [*targets.values(), *direct]:
        for start in (BLOB, TREE):
            if target.startswith(start):
                assert (CHECKOUT / target.removeprefix(start).partition("#")[0]).exists(), target
    for name in re.findall(r"\[([\w./-]+)\](?![:(\[])", re.sub(r"`[^`]*`", "", text)):
        assert name in targets, f"README.md: [{name}] leads nowhere"


def test_the_changes_have_an_unreleased_section_or_this_version():
    changes = (CHECKOUT / "CHANGES.md").read_text()
    parts = re.findall(r"^## \[(\d+\.\d+\.\d+|Unreleased)\]", changes, re.MULTILINE)
    assert parts[0] == "Unreleased" and (len(parts) == 1 or parts[1] == greenio.__version__)


CHANGES = """# Changes

## [Unreleased]

### Added

- A thing.

[Unreleased]: https://github.com/greenio/greenio/commits/main
"""


def test_a_release_dates_the_unreleased_section_and_links_to_it(release):
    first = release["with_release"](CHANGES, "0.1.0", "2026-01-31")
    assert "## [Unreleased]\n\n## [0.1.0] - 2026-01-31\n\n### Added\n\n- A thing.\n" in first
    assert first.endswith(
        "[Unreleased]: https://github.com/greenio/greenio/compare/v0.1.0...HEAD\n"
        "[0.1.0]: https://github.com/greenio/greenio/releases/tag/v0.1.0\n"
    )
    more = first.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- Another.\n", 1)
    second = release["with_release"](more, "0.2.0", "2026-03-01")
    assert (
        "## [Unreleased]\n\n## [0.2.0] - 2026-03-01\n\n### Fixed\n\n- Another.\n\n## [0.1.0] - 2026-01-31\n" in second
    )
    assert "[0.2.0]: https://github.com/greenio/greenio/compare/v0.1.0...v0.2.0\n[0.1.0]: " in second


@pytest.mark.parametrize(
    ("changes", "version", "reason"),
    [
        (CHANGES.replace("- A thing.\n", ""), "0.1.0", "nothing under Unreleased"),
        (CHANGES.replace("## [Unreleased]", "## Later"), "0.1.0", "has no heading"),
        (f"{CHANGES}\n## [0.2.0] - 2026-01-31\n", "0.2.0", "not later than 0.2.0"),
        (f"{CHANGES}\n## [0.10.0] - 2026-01-31\n", "0.9.0", "not later than 0.10.0"),
    ],
)
def test_a_release_that_is_refused_says_why(release, changes, version, reason):
    with pytest.raises(SystemExit, match=f"no release: .*{reason}"):
        release["with_release"](changes, version, "2026-01-31")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="reads pyproject.toml with tomllib")
def test_the_version_stands_in_one_place():
    import tomllib

    project = tomllib.loads(PROJECT)
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"file": "hub/version.txt"}
    assert (CHECKOUT / "hub" / "version.txt").read_text().strip() == greenio.__version__
