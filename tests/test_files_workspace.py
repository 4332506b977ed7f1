"""workspace: files and folders appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfod_helpers.files.workspace import whole_file, whole_folder


def test_whole_file_replaces_at_the_end(tmp_path: Path) -> None:
    """The old content is there until the block ends, then the new; nothing else is left."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_whole_file_makes_its_folder_and_is_readable(tmp_path: Path) -> None:
    """Missing folders are made, and the file has the permissions of any other new file."""
    path = tmp_path / "new/deep/a.txt"
    with whole_file(path) as part:
        part.write_text("new")
    (tmp_path / "plain.txt").touch()
    assert path.stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_whole_file_keeps_the_old_on_failure(tmp_path: Path) -> None:
    """An exception leaves the old file and no half-written one."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with contextlib.suppress(ZeroDivisionError), whole_file(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_whole_folder_replaces_at_the_end(tmp_path: Path) -> None:
    """A folder is replaced whole: no file of the old one is left in it."""
    folder = tmp_path / "export"
    for name in ("old.txt", "new.txt"):
        with whole_folder(folder) as part:
            (part / name).write_text(name)
            assert not (folder / "new.txt").exists()
    assert [child.name for child in folder.iterdir()] == ["new.txt"]
    assert [child.name for child in tmp_path.iterdir()] == ["export"]
    (tmp_path / "plain").mkdir()
    assert folder.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_whole_folder_keeps_the_old_on_failure(tmp_path: Path) -> None:
    """An exception leaves the old folder, and a new one does not appear."""
    folder = tmp_path / "export"
    for existing in (False, True):
        if existing:
            folder.mkdir()
            (folder / "old.txt").write_text("old")
        with contextlib.suppress(ZeroDivisionError), whole_folder(folder) as part:
            (part / "half.txt").write_text("half")
            raise ZeroDivisionError
        assert folder.exists() == existing
    assert [child.name for child in folder.iterdir()] == ["old.txt"]
    assert [child.name for child in tmp_path.iterdir()] == ["export"]


_WRITE_AND_WAIT = """
import sys, time
from tfod_helpers.files import workspace

with getattr(workspace, sys.argv[1])(sys.argv[2]) as part:
    (part / "half.txt" if part.is_dir() else part).write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["whole_file", "whole_folder"])
def test_kill_while_writing_leaves_the_old(kind: str, tmp_path: Path) -> None:
    """A process killed in the middle leaves the old content under the name, and only hidden remains beside it."""
    path = tmp_path / "thing"
    if kind == "whole_folder":
        path.mkdir()
    old = path / "old.txt" if kind == "whole_folder" else path
    old.write_text("old")
    writer = subprocess.Popen([sys.executable, "-c", _WRITE_AND_WAIT, kind, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
    finally:
        writer.kill()  # SIGKILL: no exception handler runs
        writer.wait()
        writer.stdout.close()  # type: ignore[union-attr]
    assert old.read_text() == "old"
    assert not path.is_dir() or os.listdir(path) == ["old.txt"]
    rest = [child.name for child in tmp_path.iterdir() if child != path]
    assert len(rest) == 1
    assert rest[0].startswith(".thing.")
