"""greenio.fs: files and folders, in threads."""

import os
import pathlib
import shutil
import threading

import pytest
from waiting import until

from greenio import fs, get_hub, spawn
from greenio.fileobject import FileObjectThread

pytestmark = pytest.mark.usefixtures("threadpool")  # threads of its own for each test


def test_files_and_folders_are_made_read_and_removed(tmp_path):
    folder = tmp_path / "a" / "b"
    fs.makedirs(folder)
    assert fs.isdir(folder) and fs.exists(folder) and not fs.exists(folder / "none")
    with fs.open(folder / "file", "w", encoding="utf-8") as file:
        assert isinstance(file, FileObjectThread)
        file.write("gr\u00fcn\n")
    assert fs.read_text(folder / "file", "utf-8") == "gr\u00fcn\n" and fs.read_bytes(str(folder / "file"))[:2] == b"gr"
    assert fs.write_text(folder / "text", "x\n", newline="\r\n") == 2 and fs.write_bytes(folder / "bytes", b"abc") == 3
    assert fs.stat(folder / "bytes").st_size == 3 == fs.getsize(folder / "bytes")
    assert sorted(fs.listdir(folder)) == ["bytes", "file", "text"]
    fs.rename(folder / "text", folder / "renamed")
    with fs.scandir(folder) as entries:
        assert sorted(entry.name for entry in entries) == ["bytes", "file", "renamed"] and list(entries) == []
    assert sorted(os.fspath(top) for top, _, _ in fs.walk(tmp_path)) == [str(tmp_path), str(folder.parent), str(folder)]
    with fs.open(folder / "bytes", "rb") as file:
        assert fs.pread(file.fileno(), 2, 1) == b"bc"
    assert fs.copy(folder / "bytes", folder / "copy") == folder / "copy" and fs.read_bytes(folder / "copy") == b"abc"
    fs.unlink(folder / "copy")
    fs.rmtree(folder.parent)
    assert fs.listdir(tmp_path) == []


def test_each_function_says_that_it_switches():
    assert fs.rename.__doc__.startswith("As os.rename(), in a thread of the hub's pool. Switches.\n\n")
    assert fs.isfile.__doc__.startswith("As os.path.isfile(), in") and fs.move.__doc__.startswith(
        "As shutil.move(), in"
    )


def test_greenlets_run_while_a_file_is_read(tmp_path, ticks, monkeypatch):
    """A named pipe without a writer takes the place of a slow disk."""
    os.mkfifo(tmp_path / "slow")
    reading = spawn(fs.read_bytes, tmp_path / "slow")
    before = len(ticks)
    until(lambda: len(ticks) >= before + 3)
    assert not reading.ready()
    fs.write_bytes(tmp_path / "slow", b"at last")
    assert reading.get() == b"at last"


def test_each_function_runs_in_a_thread(monkeypatch):
    applied = []
    pool = get_hub().threadpool
    monkeypatch.setattr(pool, "apply", lambda function, args, kwargs: applied.append((function, args, kwargs)))
    for name in set(fs.__all__) - {"open", "walk", "scandir", "read_bytes", "read_text", "write_bytes", "write_text"}:
        getattr(fs, name)("x", y=1)
        function, args, kwargs = applied.pop()
        standard = [getattr(module, name, None) for module in (os, os.path, shutil)]
        assert function in standard and args == ("x",) and kwargs == {"y": 1}
        assert getattr(fs, name).__doc__ and getattr(fs, name).__name__ == name


def test_errors_are_the_standard_librarys(tmp_path):
    with pytest.raises(FileNotFoundError):
        fs.open(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        fs.stat(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        fs.scandir(tmp_path / "none")
    with pytest.raises(FileExistsError):
        fs.mkdir(tmp_path)
    with pytest.raises(TypeError):
        fs.read_bytes(5)
    assert list(fs.walk(tmp_path / "none")) == []


def test_files_are_written_in_another_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(fs.write_bytes(pathlib.Path(tmp_path, "x"), b"1")))
    thread.start()
    thread.join()
    assert found == [1]
