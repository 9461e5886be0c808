"""The packages as a whole: public names, docstrings, stubs, and the errors of importing a copy that is not compiled."""

import ast
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hub
import pytest
from layers import FOR_OTHER_PACKAGES
from places import CHECKOUT

import greenio

MODULES = sorted(
    module.name
    for package in (hub, greenio)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # Cython writes these names, for its own modules only.
    if module.name != "hub._cython" and module.name not in FOR_OTHER_PACKAGES
)
SOURCES = sorted(
    path
    for folder in ("hub", "greenio")
    for path in (CHECKOUT / folder).rglob("*.py*")
    if path.is_file() and path.suffix != ".pyc"
)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist_and_are_documented(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ names {public}, which does not exist"
    if name in ("hub.pyuv", "greenio.socket", "greenio.os", "greenio.ssl", "greenio.subprocess", "greenio.time"):
        return  # names of other projects are among these
    for public in getattr(module, "__all__", ()):
        undocumented = [where for where, value in documented(public, getattr(module, public)) if not value]
        assert not undocumented, f"{name}: without a docstring: {undocumented}"


def is_plain(member):
    return inspect.isgetsetdescriptor(member) or inspect.ismemberdescriptor(member)


def documented(name, value):
    """Yield (name, docstring) of the library's own object and, for a class, of its public methods and properties."""
    if not (inspect.isclass(value) or callable(value)):
        return
    if (getattr(value, "__module__", None) or "hub").partition(".")[0] not in ("hub", "greenio"):
        return
    yield name, value.__doc__
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            if attribute.startswith("_"):
                continue
            if callable(member) or isinstance(member, property):
                yield f"{name}.{attribute}", member.__doc__
            elif value.__module__.startswith("greenio.") and "__slots__" not in vars(value) and is_plain(member):
                # A compiled class can document its plain attributes only in its own docstring.
                yield f"{name}.{attribute}", member.__doc__ or f"`{attribute}`" in (value.__doc__ or "")


def test_every_compiled_module_has_a_stub():
    compiled = {path.with_suffix(".pyi") for path in SOURCES if path.suffix == ".pyx"}
    assert compiled and all(stub.exists() for stub in compiled)
    for stub in compiled:
        ast.parse(stub.read_text())


def test_the_packages_are_typed():
    for package in (hub, greenio):
        assert Path(package.__path__[0], "py.typed").exists()


def test_the_version_and_version_info_agree():
    assert re.fullmatch(r"\d+\.\d+\.\d+", greenio.__version__)
    assert greenio.version_info == tuple(map(int, greenio.__version__.split(".")))


def test_importing_does_not_start_a_loop():
    code = "import greenio, greenio.server, hub, sys; sys.exit(hub.get_hub_if_exists() is not None)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd="/").returncode == 0


def test_an_uncompiled_copy_says_how_to_build_it(tmp_path):
    for package in ("hub", "greenio"):
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    result = subprocess.run(
        [sys.executable, "-c", "import greenio"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: the hub is not compiled in") and "pip install -e ." in last


@pytest.mark.parametrize(
    ("name", "text", "program"),
    [
        ("hub.py", "", "import greenio"),
        ("hub.py", "raise SystemExit('it ran')", "import greenio.monkey"),
        ("hub.py", "", "import hub, greenio"),
        ("hub/__init__.py", "", "import greenio"),
    ],
)
def test_an_error_names_another_module_that_is_called_hub(tmp_path, name, text, program):
    other = tmp_path / name
    other.parent.mkdir(exist_ok=True)
    other.write_text(text)
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {program}", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip
    assert result.stderr.strip().splitlines()[-1] == (
        f"ImportError: greenio's own package `hub` is hidden by {other}: rename that, greenio needs the name"
    )


def test_an_error_names_another_distribution_that_is_called_hub(tmp_path):
    """The other distribution was installed later, and its files have replaced greenio's."""
    theirs = tmp_path / "hub"
    theirs.mkdir()
    (theirs / "__init__.py").write_text("raise SystemExit('it ran')")
    (theirs / "scheduler.py").touch()
    information = tmp_path / "centre-2.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: centre\nVersion: 2.0\n")
    (information / "RECORD").write_text("hub/__init__.py,,\nhub/scheduler.py,,\n")
    result = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import greenio", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"ImportError: greenio's own package `hub` is hidden by {theirs}/__init__.py, of the distribution 'centre': "
    )
    assert "uninstall centre" in last


def test_an_error_names_the_program_when_it_is_called_hub(tmp_path):
    program = tmp_path / "hub.py"
    program.write_text("import greenio\ngreenio.sleep(0)\n")
    result = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert f"ImportError: greenio's own package `hub` is hidden by {program}" in result.stderr


def test_the_package_has_no_getattr_function():
    """A module with a __getattr__() costs CPython its short cut to all names of it: greenio.sleep, greenio.Timeout."""
    assert not hasattr(greenio, "__getattr__") and type(greenio) is type(sys)


def test_importing_and_patching_load_no_large_module_that_is_seldom_needed():
    code = (
        # Reports of errors need `traceback`, which loads `inspect` in CPython 3.14.
        "import sys, traceback; before = set(sys.modules); import greenio.monkey; greenio.monkey.patch_all()\n"
        "print(sorted({'inspect', 'ipaddress', 'pathlib', 'typing', 'urllib.parse'} & (set(sys.modules) - before)))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    assert result.stdout.strip() == "[]"
