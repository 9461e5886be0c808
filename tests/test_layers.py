"""Imports keep the order of the modules, documents and pictures have the same order, and exports are listed."""

import importlib
import re
import runpy

import exported
import layers
import pytest
from places import CHECKOUT

ORDER = layers.in_order()
SOURCES = {}
for package in ("hub", "greenio"):
    for path in sorted((CHECKOUT / package).rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi") and path.is_file():
            name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
            SOURCES.setdefault(name, []).append(path)
#: The internal packages hold no code of their own.
EMPTY = {
    f"greenio.{name}"
    for name in (
        "_descriptors",
        "_patched",
        "_servers",
        "_sync",
        "_tasks",
        "_testing",
        "_websocket",
        "_workers",
        "_wsgi",
    )  # fmt: skip
}
COMPILED = sorted(name for name, paths in SOURCES.items() if any(path.suffix == ".pyx" for path in paths))
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n#]*)|c?import[ \t]+([\w., ]+))", re.MULTILINE
)


def imported(path):
    """Yield the library's modules that a file imports or cimports, at its top or later."""
    for source, names, plain in IMPORT.findall(path.read_text()):
        if plain:
            yield from (name for name in re.findall(r"[\w.]+", plain.replace(" as ", ",")) if name in SOURCES)
        elif source.partition(".")[0] in ("hub", "greenio"):
            for name in re.findall(r"(\w+|\*)(?:[ \t]+as[ \t]+\w+)?", names):
                yield f"{source}.{name}" if f"{source}.{name}" in SOURCES else source


def test_every_module_has_its_place():
    assert sorted(SOURCES.keys() - EMPTY) == sorted(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_imports_run_downwards(name):
    own = ORDER.index(name)
    for path in SOURCES[name]:
        for other in set(imported(path)) - {name} - EMPTY:
            allowed = ORDER.index(other) < own or (name, other) in layers.LATE
            allowed = allowed or (other == "hub.hub" and path.name in layers.STUBS_THAT_NAME_HUB)
            assert allowed, f"{path.name} imports {other}, which tests/helpers/layers.py has above it"


def test_only_the_loop_calls_libuv():
    """hub.loop calls libuv itself, or by headers that no other module cimports. Others use the names of types only."""
    headers = {"hub.watches", "hub.handles", "hub.sleeping", "hub.stopped_clock", "hub.loop_end"}
    for name in SOURCES.keys() - {"hub.loop", *headers}:
        for path in SOURCES[name]:
            used = set(imported(path))
            assert not used & headers, path
            assert "hub.libuv" not in used or not re.search(r"\buv_\w+\(", path.read_text()), path


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_modules_export_only_the_listed_names(name):
    exports = sorted(getattr(importlib.import_module(name), "__pyx_capi__", ()))
    assert exports == sorted(exported.EXPORTED.get(name, ())), "see 'Speed' in CONTRIBUTING.md"


def test_the_modules_in_the_list_of_exports_exist():
    assert not exported.EXPORTED.keys() - set(COMPILED)


def test_no_source_file_is_too_long():
    """Some 200 to 400 lines are a good size. The scheduler is a single subject, and may be longer."""
    allowed = {"hub/scheduler.pyx": 900}
    for path in (path for paths in SOURCES.values() for path in paths):
        name = path.relative_to(CHECKOUT).as_posix()
        assert len(path.read_text().splitlines()) <= allowed.get(name, 600), name


def test_internal_modules_are_imported_only_by_their_own_package():
    users = set()
    for folder in ("tests", "examples", "benchmarks", "docs"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in (".py", ".md") and any(map(is_internal, imports_of(path))):
                users.add(path.name)
    assert users == layers.USERS_OF_INTERNAL_MODULES


def imports_of(path):
    """Yield the dotted names in the import statements of a file, and of programs that the file has as text."""
    for source, names, plain in IMPORT.findall(path.read_text()):
        yield from (f"{source}.{name}" if source else name for name in re.findall(r"[\w.]+", names or plain))


def is_internal(name):
    return any(name == package or name.startswith(f"{package}.") for package in EMPTY)


@pytest.mark.parametrize("document", ["docs/design.md", "hub/__init__.py", "greenio/__init__.py"])
def test_documents_have_the_same_order_of_modules(document):
    text = (CHECKOUT / document).read_text()
    wanted = []
    for package, of_package in (("hub", layers.HUB), ("greenio", layers.GREENIO)):
        if document.endswith(".md") or document.startswith(package):
            wanted += [(package, what, [name or "__init__" for name in names]) for what, names in of_package]
    place = 0
    for package, what, names in wanted:
        line = f"{what}: {', '.join(names)}"
        found = re.search(re.escape(what) + r"[\s:|`]+" + r"[\s,`]+".join(map(re.escape, names)), text[place:])
        assert found, f"{document} does not go on with: {package}, {line}"
        place += found.end()


def test_the_picture_is_drawn_from_that_order():
    drawing = runpy.run_path(str(CHECKOUT / "docs" / "draw_layers.py"))
    drawn = drawing["draw"](layers.HUB, layers.GREENIO)
    assert drawing["PICTURE"].read_text() == drawn, "draw it anew: python docs/draw_layers.py"


def test_files_and_names_in_the_tables_of_the_design_exist():
    rows = re.findall(
        r"^\| ([^|]+) \| .* \| (`hub/.*|`greenio/.*) \|$", (CHECKOUT / "docs" / "design.md").read_text(), re.M
    )
    assert len(rows) > 20
    for word, places in rows:
        for file, name in re.findall(r"`([\w/.]+)`: `(\w+)`", places):
            path = CHECKOUT / file
            assert path.is_file(), f"{word!r} in docs/design.md: there is no {file}"
            assert re.search(rf"\b{name}\b", path.read_text()), f"{word!r} in docs/design.md: {file} has no {name}"
