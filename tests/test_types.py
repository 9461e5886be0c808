"""The types that programs see: every public name has a type, and a type checker accepts right programs."""

import ast
import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import hub
import pytest
from layers import FOR_OTHER_PACKAGES
from places import CERTIFICATE, KEY, SCRIPTS

import greenio

PROGRAMS = SCRIPTS / "types"
FOLDER = Path(greenio.__file__).parents[1]
MODULES = sorted(
    ["hub", "greenio"]
    + [
        module.name
        for package in (hub, greenio)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        # Without a module that Cython writes, for its own modules only, and modules that need other packages.
        if module.name != "hub._cython" and module.name not in FOR_OTHER_PACKAGES
    ]
)
# Modules that have everything that the standard modules of the same names have.
TAKE_OVER = [
    f"greenio.{name}"
    for name in ("fcntl", "os", "select", "selectors", "signal", "socket", "ssl", "subprocess", "time")
]

# Modules with a stub although they are not compiled: they take over more names than their sources write down.
STUBBED = [name.removeprefix("greenio.") for name in TAKE_OVER] + ["fs"]


def with_types(name):
    """Return the path of the file that has a module's types: a stub, or the module itself."""
    path = FOLDER.joinpath(*name.split("."))
    where = [path / "__init__.pyi", path / "__init__.py", path.with_suffix(".pyi"), path.with_suffix(".py")]
    return next(each for each in where if each.exists())


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def without_types(body, where="", private=False):
    """Yield (function, arguments without a type) where types are missing. `private`: in private functions too."""
    for each in body:
        if not private and is_private(getattr(each, "name", "")):
            continue
        if isinstance(each, ast.FunctionDef):
            every = [*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs, each.args.vararg, each.args.kwarg]
            bare = [one.arg for one in every if one is not None and one.annotation is None]
            bare = [one for one in bare if one not in ("self", "cls")]
            if each.returns is None or bare:
                yield f"{where}{each.name}", bare
        elif isinstance(each, ast.ClassDef):
            yield from without_types(each.body, f"{where}{each.name}.", private)
        elif isinstance(each, ast.If):
            yield from without_types(each.body + each.orelse, where, private)


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "before /",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.KEYWORD_ONLY: "by name",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def arguments_of(function, skipped):
    """Return (kind, name) of each argument of a function in a file with types."""
    each = function.args
    found = [("before /", one.arg) for one in each.posonlyargs] + [("", one.arg) for one in each.args]
    found = found[skipped:]
    found += [("*", each.vararg.arg)] if each.vararg else []
    found += [("by name", one.arg) for one in each.kwonlyargs]
    return found + ([("**", each.kwarg.arg)] if each.kwarg else [])


def callables_of(name):
    """Yield (name, function, arguments according to its types) for each public function and method of a module."""
    module = importlib.import_module(name)
    definitions = {}
    for each in ast.walk(ast.parse(with_types(name).read_text())):
        if isinstance(each, ast.Module | ast.If):
            for one in each.body:
                if isinstance(one, ast.FunctionDef | ast.ClassDef):
                    definitions.setdefault(one.name, []).append(one)
    for public in getattr(module, "__all__", ()):
        here = definitions.get(public, ())
        if here and isinstance(here[0], ast.FunctionDef):
            yield public, getattr(module, public), [arguments_of(each, 0) for each in here]
        elif here:
            methods = {}
            for each in here[0].body:
                if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                    methods.setdefault(each.name, []).append(each)
            for method, all_of_it in methods.items():
                thing = inspect.getattr_static(getattr(module, public), method)
                if not isinstance(thing, property) and not inspect.isdatadescriptor(thing):
                    skipped = isinstance(thing, classmethod)
                    arguments = [arguments_of(each, skipped) for each in all_of_it]
                    yield f"{public}.{method}", getattr(getattr(module, public), method), arguments


# Functions without a signature, as in the standard library; and methods with one of `*args`, which they pass on.
UNSIGNED = {"get_ident", "set_asyncgen_hooks", "allocate_lock", "Greenlet.run", "SimpleQueue.next", "Channel.next"}
PASSED_ON = {"recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "sendto", "sendmsg"}


@pytest.mark.parametrize("name", [each for each in MODULES if not each.endswith("__main__")])
def test_the_signature_of_every_public_function_agrees_with_its_types(name):
    wrong = []
    for label, function, expected in callables_of(name):
        if label in UNSIGNED or label.removeprefix("socket.") in PASSED_ON:
            continue
        found = [(KINDS[each.kind], each.name) for each in inspect.signature(function).parameters.values()]
        if found not in expected:
            wrong.append((label, found, expected))
    assert wrong == []


def test_the_signature_of_spawn():
    assert str(inspect.signature(greenio.spawn)) == "(function=Ellipsis, /, *args, **kwargs)"
    assert str(inspect.signature(greenio.spawn_later)) == "(seconds, function, /, *args, **kwargs)"


@pytest.mark.parametrize("name", MODULES)
def test_every_function_and_argument_of_a_module_has_a_type(name):
    source = with_types(name)
    assert list(without_types(ast.parse(source.read_text()).body, private=source.suffix == ".pyi")) == []


def test_each_stub_is_of_a_compiled_module_or_one_that_takes_over_a_standard_module():
    for stub in [each for package in (hub, greenio) for each in Path(package.__path__[0]).rglob("*.pyi")]:
        compiled = bool(list(stub.parent.glob(f"{stub.stem}.*.so")))
        assert compiled or stub.stem in STUBBED, stub


def with_ours(program):
    """Return the program with greenio's `socket` and `ssl` in place of the standard ones."""
    standard = "import socket\nimport ssl\n"
    assert standard in program
    return program.replace(standard, "from greenio import socket, ssl\n")


def public_names(name):
    """Return the names that a module offers, and those that it takes over from the standard module."""
    ours = importlib.import_module(name)
    names = set(getattr(ours, "__all__", ()))
    if name in TAKE_OVER:
        standard = importlib.import_module(name.removeprefix("greenio."))
        if hasattr(standard, "__all__"):
            names |= {each for each in standard.__all__ if hasattr(ours, each)}
        else:
            names |= {each for each in dir(standard) if not each.startswith("_") and hasattr(ours, each)}
            # Names that the standard module imports for its own use are no part of its types.
            names -= {each for each in names if is_of_another(getattr(standard, each, None), standard)}
    return sorted(names)


def is_of_another(value, module):
    made_in = getattr(value, "__module__", None) or "builtins"
    return isinstance(value, ModuleType) or made_in.lstrip("_") not in (module.__name__, "builtins")


def every_name():
    """Return a program that asks the type checker for the type of each public name of each module."""
    lines = []
    for module in MODULES:
        if module != "hub.pyuv":  # another project's names, without types
            for name in public_names(module):
                lines.append(f"from {module} import {name} as name_{len(lines)}; reveal_type(name_{len(lines)})")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Messages of a type checker. A dict: name of a program -> list of (line of the program, message)."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    try:
        importlib.metadata.version("types-greenlet")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("types-greenlet is not installed: greenlets have no types")
    folder = tmp_path_factory.mktemp("types")
    network = (PROGRAMS / "network.py").read_text()
    programs = {
        "standard": network,
        "ours": with_ours(network),
        "modules": (PROGRAMS / "modules.py").read_text(),
        "every_name": every_name(),
    }
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
    environment = {**os.environ}
    environment.pop("MYPYPATH", None)
    if FOLDER.name not in ("site-packages", "dist-packages"):  # mypy looks there by itself, and refuses to be told to
        environment["MYPYPATH"] = str(FOLDER)
    command = [
        sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "--no-error-summary",
        "--cache-dir", "cache", *(f"{name}.py" for name in programs),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=folder, env=environment)
    assert result.returncode in (0, 1) and not result.stderr, result.stderr + result.stdout
    found = {name: [] for name in programs}
    for line in result.stdout.splitlines():
        name, number, text = re.fullmatch(r"(\w+)\.py:(\d+): (.*)", line).groups()
        found[name].append((programs[name].splitlines()[int(number) - 1].strip(), text))
    return found


def test_a_program_has_no_errors_with_greenio_as_with_the_standard_library(messages):
    assert (messages["standard"], messages["ours"]) == ([], [])


def test_that_program_prints_the_same_with_greenio_as_with_the_standard_library(tmp_path):
    program = (PROGRAMS / "network.py").read_text()
    printed = []
    for text in (program, with_ours(program)):
        (tmp_path / "program.py").write_text(text)
        result = subprocess.run(
            [sys.executable, tmp_path / "program.py", CERTIFICATE, KEY],
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
        )  # fmt: skip
        assert (result.returncode, result.stderr) == (0, "")
        printed.append(result.stdout)
    assert printed[0] == printed[1] and "TLS: HELLO" in printed[0]


def test_a_program_with_all_modules_has_no_errors(messages):
    assert messages["modules"] == []


def test_every_public_name_has_a_type(messages):
    found = messages["every_name"]
    unknown = [(line, text) for line, text in found if not text.startswith("note: ") or '"Any"' in text]
    assert unknown == []
    assert len(found) == len(every_name().splitlines()) > 1000
