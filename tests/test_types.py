"""The types that programs see: every module says what its names are, and a type checker finds programs right."""

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
        # Written by Cython, for its modules only; and what needs packages that are not there.
        if module.name != "hub._cython" and module.name not in FOR_OTHER_PACKAGES
    ]
)
# They have everything that the standard modules of the same names have.
TAKE_OVER = [
    f"greenio.{name}"
    for name in ("fcntl", "os", "select", "selectors", "signal", "socket", "ssl", "subprocess", "time")
]

# Of the standard library's names they have more than they write down.
STUBBED = [name.removeprefix("greenio.") for name in TAKE_OVER] + ["fs"]


def with_types(name):
    """The file that says what a module's names are."""
    path = FOLDER.joinpath(*name.split("."))
    where = [path / "__init__.pyi", path / "__init__.py", path.with_suffix(".pyi"), path.with_suffix(".py")]
    return next(each for each in where if each.exists())


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def without_types(body, where="", private=False):
    """The functions of ours, and their arguments, that are not said to be anything; the `private` ones too, or not."""
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
    """(kind, name) of each argument of a function in a file with types."""
    each = function.args
    found = [("before /", one.arg) for one in each.posonlyargs] + [("", one.arg) for one in each.args]
    found = found[skipped:]
    found += [("*", each.vararg.arg)] if each.vararg else []
    found += [("by name", one.arg) for one in each.kwonlyargs]
    return found + ([("**", each.kwarg.arg)] if each.kwarg else [])


def callables_of(name):
    """Of a module's public functions and methods: (name, the thing itself, what its types say its arguments are)."""
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


# The standard library's own have no signature either, or one of `*args`, as they pass on what they are given.
UNSIGNED = {"get_ident", "set_asyncgen_hooks", "allocate_lock", "Greenlet.run", "SimpleQueue.next", "Channel.next"}
PASSED_ON = {"recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "sendto", "sendmsg"}


@pytest.mark.parametrize("name", [each for each in MODULES if not each.endswith("__main__")])
def test_every_public_function_says_what_its_arguments_are(name):
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
def test_every_module_says_what_its_names_are(name):
    source = with_types(name)
    assert list(without_types(ast.parse(source.read_text()).body, private=source.suffix == ".pyi")) == []


def test_stubs_are_for_what_is_compiled_or_takes_over_a_standard_module():
    for stub in [each for package in (hub, greenio) for each in Path(package.__path__[0]).rglob("*.pyi")]:
        compiled = bool(list(stub.parent.glob(f"{stub.stem}.*.so")))
        assert compiled or stub.stem in STUBBED, stub


def with_ours(program):
    """The program with greenio's `socket` and `ssl`."""
    standard = "import socket\nimport ssl\n"
    assert standard in program
    return program.replace(standard, "from greenio import socket, ssl\n")


def public_names(name):
    """What a module offers, and what it takes over."""
    ours = importlib.import_module(name)
    names = set(getattr(ours, "__all__", ()))
    if name in TAKE_OVER:
        standard = importlib.import_module(name.removeprefix("greenio."))
        if hasattr(standard, "__all__"):
            names |= {each for each in standard.__all__ if hasattr(ours, each)}
        else:
            names |= {each for each in dir(standard) if not each.startswith("_") and hasattr(ours, each)}
            # What the standard module imports for its own use is no part of its types.
            names -= {each for each in names if is_of_another(getattr(standard, each, None), standard)}
    return sorted(names)


def is_of_another(value, module):
    made_in = getattr(value, "__module__", None) or "builtins"
    return isinstance(value, ModuleType) or made_in.lstrip("_") not in (module.__name__, "builtins")


def every_name():
    """A program that asks what each public name of each module is."""
    lines = []
    for module in MODULES:
        if module != "hub.pyuv":  # another project's names, without types
            for name in public_names(module):
                lines.append(f"from {module} import {name} as name_{len(lines)}; reveal_type(name_{len(lines)})")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a type checker says about each program: by its name, a list of (line of the program, what is said)."""
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
    if FOLDER.name not in ("site-packages", "dist-packages"):  # mypy looks there, and will not be told to
        environment["MYPYPATH"] = str(FOLDER)
    command = [
        sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "--no-error-summary",
        "--cache-dir", "cache", *(f"{name}.py" for name in programs),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=folder, env=environment)
    assert result.returncode in (0, 1) and not result.stderr, result.stderr + result.stdout
    said = {name: [] for name in programs}
    for line in result.stdout.splitlines():
        name, number, text = re.fullmatch(r"(\w+)\.py:(\d+): (.*)", line).groups()
        said[name].append((programs[name].splitlines()[int(number) - 1].strip(), text))
    return said


def test_a_program_is_as_right_as_with_the_standard_library(told):
    assert (told["standard"], told["ours"]) == ([], [])


def test_it_does_the_same(tmp_path):
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


def test_what_modules_give_and_take(told):
    assert told["modules"] == []


def test_every_public_name_has_a_type(told):
    unknown = [(line, text) for line, text in told["every_name"] if not text.startswith("note: ") or '"Any"' in text]
    assert unknown == []
    assert len(told["every_name"]) == len(every_name().splitlines()) > 1000
