"""The documents: their code runs and prints what they say, their tables are complete, and the site has every page."""

import ast
import builtins
import contextlib
import importlib
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys
import textwrap

import code_blocks
import pytest
from places import CERTIFICATE, CHECKOUT, KEY

import greenio
import greenio.fs
import greenio.queue
from greenio.config import config
from greenio.wsgi import Limits, WSGIServer

sys.path.append(str(CHECKOUT / "docs" / "making"))
coming_from_gevent = importlib.import_module("coming_from_gevent")
reference = importlib.import_module("reference")

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
    code_blocks.run(program, folder)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES.get)
def test_code_in_a_document_stands_in_a_block_that_is_run(path):
    """Indented blocks are for commands and output."""
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for block in re.findall(r"\n\n((?:    [^\n]*\n|\n(?=    ))+)", text):
        with contextlib.suppress(SyntaxError):
            tree = ast.parse(textwrap.dedent(block))
            names = all(isinstance(each, ast.Expr) and isinstance(each.value, ast.Name) for each in tree.body)
            assert not tree.body or names, f"{NAMES[path]}: put this between ```python and ```:\n{block}"


def test_the_navigation_has_every_page():
    pages = {name.removeprefix("docs/") for name in NAMES.values() if name.startswith("docs/")}
    listed = set(re.findall(r"[\w/-]+\.md", NAVIGATION)) - made_pages()
    assert not pages - listed, "put them into the navigation, at the end of mkdocs.yml"
    assert not listed - pages, "mkdocs.yml lists pages that do not exist"


def made_pages():
    """Return the pages that docs/making/ makes when the site is built."""
    return {"reference/modules.md", "examples/index.md", "contributing.md", "changes.md", "tests.md"}


def test_the_reference_has_every_public_module():
    found = {f"greenio.{each.name}" for each in pkgutil.iter_modules(greenio.__path__) if each.name[0] != "_"}
    assert found - {"greenio.contrib"} | {"greenio", "hub"} == set(reference.modules()), "see docs/making/reference.py"


def test_the_reference_has_the_functions_of_files():
    told = {name for _, names in reference.functions_of_fs() for name in re.findall(r"`(\w+)`", names)}
    assert told == {name for name in greenio.fs.__all__ if hasattr(getattr(greenio.fs, name), "__wrapped__")}


def rows(document, after=""):
    """Return the cells of the tables in a document (list of lists of str)."""
    text = (CHECKOUT / "docs" / document).read_text()
    lines = [line for line in text[text.index(after) :].splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_of_exceptions_has_those_of_the_public_modules():
    told = {}
    for name, module, base, _ in rows("reference/exceptions.md"):
        told[name] = getattr(importlib.import_module(module), name)
        assert issubclass(told[name], getattr(builtins, base, None) or told[base]), (name, base)
    own = {}
    for module in map(importlib.import_module, reference.modules()):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, BaseException) and is_ours(value):
                own[name] = value
    assert own.items() <= told.items(), "docs/reference/exceptions.md has a table of them"
    assert own.keys() | FROM_ELSEWHERE >= told.keys()


#: Exceptions in the table that other packages define; some of them greenio does, where CPython does not yet.
FROM_ELSEWHERE = {
    "BaseExceptionGroup",
    "BrokenBarrierError",
    "Empty",
    "ExceptionGroup",
    "Full",
    "GreenletExit",
    "ShutDown",
    "TimeoutError",
}


def is_ours(exception):
    return exception.__module__.partition(".")[0] in ("greenio", "hub")


def test_the_tables_of_settings_have_all_of_them():
    table = rows("reference/settings.md")
    settings = {row[0]: row[1] for row in table if len(row) == 4}
    assert settings == {name: setting.environment_key for name, setting in config.settings.items()}
    others = {row[0] for row in table if len(row) == 2}
    assert others == set(environment_variables()) - set(settings.values())


def test_the_page_of_the_wsgi_server_has_every_option_of_the_command_line():
    """Limits are in the tables of arguments, under their own names."""
    text = subprocess.check_output([sys.executable, "-m", "greenio.wsgi", "--help"], text=True, timeout=60, cwd="/")
    options = set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help"}
    page = (CHECKOUT / "docs" / "wsgi.md").read_text()
    table = page[page.index("\n| option |") : page.index("\nAll limits")].strip()
    assert "\n\n" not in table, "an empty line ends a table"
    limits = {name for row in rows("wsgi.md", "\n## Limits") + rows("websocket.md", "\n## Limits") for name in row[:1]}
    missing = options - set(re.findall(r"--[a-z][a-z-]+", table)) - {"--" + name.replace("_", "-") for name in limits}
    assert not missing


@pytest.mark.parametrize("page", ["wsgi.md", "websocket.md"])
def test_the_tables_of_limits_have_their_defaults(page):
    limits = {**vars(Limits()), "handshake_timeout": WSGIServer.handshake_timeout}
    table = {row[0]: row[1] for row in rows(page, "\n## Limits") if len(row) == 3 and row[0] in limits}
    assert {name: value_of(text) for name, text in table.items()} == {name: limits[name] for name in table}
    websocket = {name for name in limits if name.startswith("websocket")}
    assert table.keys() >= (websocket if page == "websocket.md" else limits.keys() - websocket)


def value_of(text):
    """Return the number that a default says, perhaps with a unit."""
    number, _, unit = text.partition(" ")
    return None if text == "none" else int(number) << {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[unit]


def test_the_page_has_the_defaults_of_the_command_line():
    page = (CHECKOUT / "docs" / "wsgi.md").read_text()
    text = subprocess.check_output([sys.executable, "-m", "greenio.wsgi", "--help"], text=True, timeout=60, cwd="/")
    for option, default in (("--drain", 30), ("--pre-drain", 0), ("--backlog", 2048)):
        assert re.search(rf"{option} [A-Z]+[^(]+\(default\s+{default}\)", text), option
        assert re.search(rf"^\| `{option}` \|.*\({default}\)", page, re.M), option
    assert re.search(r"--worker-timeout [A-Z]+[^(]+\(default\s+60;", text)
    assert "| `worker_timeout` | 60 |" in (CHECKOUT / "docs" / "servers.md").read_text()


def environment_variables():
    """Return the environment variables that the sources read, without those that only the tests read."""
    for folder in ("hub", "greenio", "setup.py"):
        paths = sorted((CHECKOUT / folder).rglob("*.py*")) or [CHECKOUT / folder]
        for path in paths:
            if path.suffix in (".py", ".pyx"):
                yield from re.findall(r"environ\b[^\n]*?\"((?:GREENIO|HUB)_\w+)\"", path.read_text())
                yield from re.findall(r"Setting\(\s*\"(\w+)\"", path.read_text())


def test_every_name_of_gevent_has_its_place():
    assert coming_from_gevent.unplaced() == [], "say in docs/making/coming_from_gevent.py what to use instead"


def test_the_names_that_replace_gevents_exist():
    assert [name for name in sorted(coming_from_gevent.told_of()) if not coming_from_gevent.has(name)] == []


def test_the_picture_of_speed_is_drawn_from_the_figures():
    drawing = runpy.run_path(str(CHECKOUT / "docs" / "draw_speed.py"))
    if not drawing["FIGURES"].exists():
        pytest.skip("the benchmark was not run yet")
    drawn = drawing["draw"](drawing["FIGURES"].read_text())
    assert drawing["PICTURE"].read_text() == drawn, "draw it anew: python docs/draw_speed.py"


def test_docstrings_of_compiled_modules_are_found():
    pytest.importorskip("griffe")
    docstrings = importlib.import_module("docstrings")
    found = docstrings.docstrings_of((CHECKOUT / "greenio" / "queue.pyx").read_text())
    assert found["Queue"] == inspect.cleandoc(greenio.queue.Queue.__doc__)
    assert found["SimpleQueue.maxsize"] and found["SimpleQueue.get"] in greenio.queue.SimpleQueue.get.__doc__
