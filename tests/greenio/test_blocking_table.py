"""The table of docs/monkey.md says of each call whether other greenlets run meanwhile. Each row is tried."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import CHECKOUT, SCRIPTS

FOLDER = SCRIPTS / "blocking"
PAGE = CHECKOUT / "docs" / "monkey.md"


def rows():
    """Return the table: name of a call -> "cooperative", "thread" or "blocking"."""
    section = PAGE.read_text().split("## What waits, and what then happens")[1].split("\n## ")[0]
    found = {}
    for calls, how in re.findall(r"^\| (.*`.*) \| (cooperative|thread|blocking) \|", section, re.M):
        for name in re.findall(r"`([^`]+)`", calls):
            assert name not in found, f"{name} is in the table twice"
            found[name] = how
    return found


ROWS = rows()
WHERE = ["the main greenlet", "a thread"]


def try_calls(how, names):
    """Make the calls in one fresh process. Returns the lines that it prints, and its standard error."""
    result = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), how, *names],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False, cwd=FOLDER,
        start_new_session=True,
    )  # fmt: skip
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


@pytest.fixture(scope="module")
def tried():
    """(name of a call, place of the call) -> (the line about it or None, the standard error of its process)."""
    named = {how: [name for name in ROWS if ROWS[name] == how] for how in ("cooperative", "blocking")}
    half = len(named["cooperative"]) // 2
    batches = [
        ("cooperative", named["cooperative"][:half]),
        ("cooperative", named["cooperative"][half:]),
        ("blocking", named["blocking"]),
        # Each in a process of its own, in which no other thread exists yet.
        *(("thread", [name]) for name in ROWS if ROWS[name] == "thread"),
    ]
    found = {}
    with ThreadPoolExecutor(2) as executor:
        for (_how, names), (lines, stderr) in zip(
            batches, executor.map(try_calls, *zip(*batches, strict=True)), strict=True
        ):
            found.update(((name, where), (None, stderr)) for name in names for where in WHERE)
            found.update(((line["name"], line["where"]), (line, stderr)) for line in lines)
    return found


def test_every_call_is_in_the_table():
    result = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "names"], capture_output=True, text=True, check=True, cwd=FOLDER
    )
    assert set(ROWS) == set(json.loads(result.stdout))


@pytest.mark.parametrize(
    "name, where",
    [(name, where) for name, how in ROWS.items() for where in (WHERE[:1] if how == "blocking" else WHERE)],
)
def test_a_call_is_what_its_row_says(tried, name, where):
    found, stderr = tried[name, where]
    how = ROWS[name]
    assert found is not None, f"the call did not end, or raised: it is not {how}, or it is broken:\n{stderr}"
    if how == "blocking":
        assert found["ticks"] == 0, f"greenlets run during this call: {found}"
        return
    assert found["ticks"] > 0, f"no greenlet runs during this call: {found}"
    used_thread = found["threads"] > found["threads_before"]
    # The second call may use the thread of the first one.
    assert used_thread == (how == "thread") or (where, how) == ("a thread", "thread"), f"{found}"


def test_nothing_is_printed_beside_the_calls(tried):
    said = {stderr for _found, stderr in tried.values()}
    lines = [line for text in said for line in text.splitlines() if not line.endswith(" is being called")]
    assert lines == []
