"""Building: which files count as outdated; how the build gets pyuv's source, and says in one line why it cannot."""

import hashlib
import os
import runpy

import pytest
from hub import pyuv_source
from hub.pyuv_source import SourceError, unpacked_source
from places import CHECKOUT


@pytest.fixture
def no_index(monkeypatch):
    """Nothing answers at the address where pip looks for its index."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("HUB_PYUV_SDIST", raising=False)


def test_a_new_copy_of_the_same_cython_makes_nothing_outdated(monkeypatch, tmp_path):
    """pip installs a new copy of Cython for each build."""
    Cython = pytest.importorskip("Cython")
    from Cython.Build.Dependencies import DependencyTree

    monkeypatch.setattr(Cython, "__file__", str(tmp_path / "Cython" / "__init__.py"))
    theirs, ours = tmp_path / "Cython" / "Includes" / "libc.pxd", tmp_path / "hub.pxd"
    theirs.parent.mkdir(parents=True)
    theirs.touch(), ours.touch()
    before = DependencyTree.timestamp
    tree = object.__new__(DependencyTree)
    with runpy.run_path(str(CHECKOUT / "setup.py"))["cythons_own_files_are_old"]():
        assert tree.timestamp(str(theirs)) == 0
        assert tree.timestamp(str(ours)) == os.path.getmtime(ours)
    assert DependencyTree.timestamp is before


def failure(tmp_path):
    with pytest.raises(SourceError) as caught:
        unpacked_source(tmp_path)
    text = str(caught.value)
    assert "\n" not in text and "HUB_PYUV_SDIST" in text
    return text


def test_an_error_says_that_the_named_archive_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_PYUV_SDIST", str(tmp_path / "none.tar.gz"))
    assert "there is no such file" in failure(tmp_path)


def test_an_error_has_the_wrong_hash_of_the_named_archive_and_the_right_one(monkeypatch, tmp_path):
    archive = tmp_path / pyuv_source.ARCHIVE
    archive.write_bytes(b"something else")
    monkeypatch.setenv("HUB_PYUV_SDIST", str(archive))
    text = failure(tmp_path)
    assert hashlib.sha256(b"something else").hexdigest() in text and pyuv_source.SHA256 in text
    assert not (tmp_path / "build" / "pyuv-1.4.0").exists()


def test_an_error_says_that_the_download_failed(no_index, tmp_path):
    assert "could not be downloaded" in failure(tmp_path)


def test_an_earlier_download_that_was_damaged_is_not_used(no_index, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / pyuv_source.ARCHIVE).write_bytes(b"half of it")
    assert "could not be downloaded" in failure(tmp_path) or "is not the pyuv" in failure(tmp_path)


def test_an_unpacked_source_is_used_again(no_index, tmp_path):
    folder = tmp_path / "build" / f"pyuv-{pyuv_source.VERSION}"
    folder.mkdir(parents=True)
    (folder / ".unpacked").touch()
    assert unpacked_source(tmp_path) == folder


def test_the_archive_that_a_source_distribution_carries_is_checked_and_used(no_index, monkeypatch, tmp_path):
    carried = tmp_path / "vendor" / pyuv_source.ARCHIVE
    carried.parent.mkdir()
    carried.write_bytes(b"something else")
    assert "is not the pyuv" in failure(tmp_path)
    monkeypatch.setattr(pyuv_source, "SHA256", hashlib.sha256(b"something else").hexdigest())
    assert pyuv_source.archive(tmp_path) == carried
