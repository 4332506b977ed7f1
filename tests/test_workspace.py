"""workspace: files and folders appear whole or not at all, and a run remembers what it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfod_helpers.workspace import Run, open_run, whole_file, whole_folder


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
from tfod_helpers import workspace

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


def test_open_run_makes_the_folder_once(tmp_path: Path) -> None:
    """A new folder is made, an existing one is opened with what it holds, a Run passes through."""
    run = open_run(tmp_path / "runs/first")
    assert run.folder.is_dir()
    assert run.read_manifest() == {}
    run.update_manifest(preset="sample")
    again = open_run(str(run.folder))
    assert again == run == open_run(run)
    assert again.read_manifest() == {"preset": "sample"}


def test_open_run_refuses_a_file(tmp_path: Path) -> None:
    """A run cannot be kept in a file."""
    (tmp_path / "run").touch()
    with pytest.raises(NotADirectoryError, match=r"a run needs a folder, and this is a file\. Choose another path"):
        open_run(tmp_path / "run")


def test_manifest_is_merged_and_kept(tmp_path: Path) -> None:
    """Facts are added to the manifest, later ones replace earlier ones, and non-ASCII names survive."""
    run = Run(tmp_path)
    run.update_manifest(classes=["cão", "gato"], step=10)
    assert run.update_manifest(step=20) == {"classes": ["cão", "gato"], "step": 20}
    assert run.read_manifest() == {"classes": ["cão", "gato"], "step": 20}
    assert [child.name for child in tmp_path.iterdir()] == ["run.json"]


def test_damaged_manifest_says_what_to_do(tmp_path: Path) -> None:
    """A manifest that is no JSON is an error and is not written over."""
    run = Run(tmp_path)
    run.manifest_path.write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: not valid JSON .* Restore the file from a copy"):
        run.update_manifest(step=1)
    assert run.manifest_path.read_text() == "{"


def test_manifest_that_cannot_be_written_stays(tmp_path: Path) -> None:
    """A fact that JSON cannot hold leaves the old manifest as it was."""
    run = Run(tmp_path)
    run.update_manifest(step=1)
    with pytest.raises(TypeError, match="not JSON serializable"):
        run.update_manifest(step=object())
    assert run.read_manifest() == {"step": 1}
    assert [child.name for child in tmp_path.iterdir()] == ["run.json"]


def test_paths_of_a_run_are_all_inside(tmp_path: Path) -> None:
    """Every path that a run names is in its folder, and no two are the same."""
    run = Run(tmp_path)
    names = [name for name, value in vars(Run).items() if isinstance(value, property)]
    paths = [getattr(run, name) for name in names]
    assert len(set(paths)) == len(paths) >= 7
    assert all(path.parent == tmp_path for path in paths)
