"""Descriptors that other programs get are as they would be natively, by every way to pass them."""

import re
import subprocess
import sys

import pytest
from places import SCRIPTS

SCRIPT = SCRIPTS / "what_children_get.py"


def printed(way):
    result = subprocess.run(
        [sys.executable, SCRIPT, way],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    parts = {part.partition("\n")[0]: part for part in result.stdout.split("--- ")}
    return parts, f"ended with {result.returncode}: {result.stderr}"


@pytest.fixture(scope="module")
def both():
    return printed("native"), printed("patched")


NAMES = re.findall(r"^def (\w+)\(\):", SCRIPT.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "used_listener"])
def test_children_find_descriptors_as_natively(both, name):
    (native, how_native), (patched, how_patched) = both
    assert name in native, how_native
    assert patched.get(name) == native[name], how_patched
