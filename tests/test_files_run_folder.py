"""run_folder: a run remembers what it is, and is kept in step with Drive or a bucket, whole at every moment."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfod_helpers.files import mounts, workspace
from tfod_helpers.files.run_folder import Keeper, Run, add_file, find_run, open_run, reading, remote, runs_in


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
    names = [name for name in vars(Run) if isinstance(vars(Run)[name], property)]
    paths = [getattr(run, name) for name in names]
    assert len(set(paths)) == len(paths) >= 7
    assert all(path.parent == tmp_path for path in paths)


def test_a_model_is_found_by_its_step_or_its_name(tmp_path: Path) -> None:
    """The first of the highest AP is the best; a step that is not kept is refused with those that are."""
    run = Run(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"models: there is no trained model here.*training\.train"):
        run.find_model()
    kept = [model(number) | {"ap": ap} for number, ap in ((1, 0.2), (2, 0.6), (3, 0.6), (4, 0.1))]
    run.update_manifest(models=[*kept, model(5)])
    run.models.mkdir()
    for number in (1, 2, 3, 4):  # the files of 5 are gone
        (run.models / f"ckpt-{number}.index").touch()
    assert run.kept_models() == kept
    assert [run.find_model(checkpoint)["checkpoint"] for checkpoint in ("best", "last", 24)] == [
        "ckpt-2",
        "ckpt-4",
        "ckpt-3",
    ]
    assert run.prefix_of(kept[0]) == run.models / "ckpt-1"
    for unknown in (25, "24", "newest"):
        text = rf"no model of checkpoint {unknown!r} is kept, only of steps 8 \(AP 0\.200\), 16 .*'best' or 'last'"
        with pytest.raises(ValueError, match=text):
            run.find_model(unknown)  # type: ignore[arg-type]  # which is refused


# --- kept on Drive or in a bucket -----------------------------------------------------------------


@pytest.fixture(params=["drive", "bucket"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A remote place for runs: a folder that is mounted as Colab mounts Drive, or a bucket; and a cache of our own."""
    bucket = request.getfixturevalue("bucket") if request.param == "bucket" else ""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if bucket:
        return f"{bucket}/runs"
    (tmp_path / "My Drive").mkdir()
    (tmp_path / "mounts").write_text(f"/dev/x / ext4 rw 0 0\ndrive {tmp_path}/My\\040Drive fuse.drive rw 0 0\n")
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "mounts")
    return str(tmp_path / "My Drive")


def model(number: int) -> dict[str, Any]:
    """What a run's manifest says of a model that is kept."""
    scores = {"ap": number / 10, "ap50": number / 5, "threshold": 0.5}
    return {"step": number * 8, **scores, "checkpoint": f"ckpt-{number}"}


def save(run: Run, number: int, run_id: str = "a") -> None:
    """Write what a training writes at a checkpoint, its contents telling which."""
    for folder in (run.checkpoints, run.models):
        folder.mkdir(exist_ok=True)
        for old in folder.glob("ckpt-*"):
            old.unlink()
        (folder / f"ckpt-{number}.index").write_text(f"index {number}")
        (folder / f"ckpt-{number}.data-00000-of-00001").write_text(f"data {number}" * 1000)
    (run.checkpoints / "checkpoint").write_text(f'model_checkpoint_path: "ckpt-{number}"')
    run.history_path.write_text(f"step\n{number}\n")
    run.update_manifest(id=run_id, step=number, saves=number, models=[model(number)])


def contents(folder: Path) -> dict[str, bytes]:
    """The visible files of a folder and what is in them."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """From here on, act as a machine that has never seen the run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


def kept(run: Run, number: int, run_id: str = "a") -> dict[str, bytes]:
    """Save a run and keep it; return what there is of it here."""
    save(run, number, run_id)
    keeper = Keeper(run)
    keeper.keep()
    keeper.finish()
    keeper.close()
    return contents(run.folder)


def test_what_is_remote_is_known(home: str, tmp_path: Path) -> None:
    """A bucket's address and a folder below Drive's mount are remote, any other folder is not."""
    assert remote.of(f"{home}/first") is not None
    assert remote.of(tmp_path / "My Drive 2") is None
    assert remote.of(tmp_path) is None


def test_a_kept_run_is_gone_on_with_elsewhere(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one machine kept, another one fetches, file by file the same; what was deleted is gone there too."""
    run = open_run(f"{home}/first")
    assert run.remote
    assert tmp_path / "cache" in run.folder.parents
    kept(run, 1)
    there = kept(run, 2)
    another_machine(monkeypatch, tmp_path, "second")
    other = open_run(f"{home}/first")
    assert other.folder != run.folder
    assert contents(other.folder) == there
    assert other.find_model() == model(2)
    newer = kept(other, 3)
    another_machine(monkeypatch, tmp_path, "cache")
    assert contents(open_run(f"{home}/first").folder) == newer


def test_the_newer_state_wins(home: str) -> None:
    """Where this machine is ahead of what was kept, it goes on with its own."""
    run = open_run(f"{home}/first")
    kept(run, 1)
    save(run, 2)
    assert open_run(f"{home}/first").read_manifest()["step"] == 2


def test_a_run_that_was_deleted_there_begins_anew(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Deleting the folder on Drive means a new run; what was here is set aside and said."""
    run = open_run(f"{home}/first")
    before = kept(run, 1)
    place = remote.of(run.remote)
    assert place
    for name in place.files():
        place.delete(name)
    assert open_run(f"{home}/first").read_manifest() == {}
    assert "a new one begins" in capsys.readouterr().out
    assert contents(run.folder.with_name(f"{run.folder.name}.old")) == before


def test_a_run_that_never_got_there_is_not_given_up(home: str) -> None:
    """Where no copy has ever succeeded, the state of this machine stays the run's."""
    run = open_run(f"{home}/first")
    save(run, 1)
    assert open_run(f"{home}/first").read_manifest()["step"] == 1


def test_another_run_there_is_fetched(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a run of the same name but another origin is there now, it is taken, and this machine's is set aside."""
    run = open_run(f"{home}/first")
    kept(run, 5)
    another_machine(monkeypatch, tmp_path, "second")
    kept(open_run(f"{home}/first"), 6, run_id="b")
    another_machine(monkeypatch, tmp_path, "cache")
    assert open_run(f"{home}/first").read_manifest()["id"] == "b"
    assert "another run" in capsys.readouterr().out


def test_two_machines_do_not_write_over_each_other(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another machine went on meanwhile, keeping is refused, and what is there stays."""
    run = open_run(f"{home}/first")
    kept(run, 1)
    keeper = Keeper(run)
    another_machine(monkeypatch, tmp_path, "second")
    there = kept(open_run(f"{home}/first"), 2)
    save(run, 3)
    keeper.keep()
    with pytest.raises(OSError, match="another machine has trained this run meanwhile"):
        keeper.finish()
    another_machine(monkeypatch, tmp_path, "third")
    assert contents(open_run(f"{home}/first").folder) == there


def test_at_every_moment_what_is_there_can_be_gone_on_from(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each single act on the remote place, a machine that dies leaves a state whose names all lead to files."""
    run = open_run(f"{home}/first")
    kept(run, 1)
    save(run, 2)
    moments = []

    def look(number: int) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"look-{number}"))
        found = find_run(f"{home}/first")
        newest = (found.checkpoints / "checkpoint").read_text().split('"')[1]
        for prefix in (found.checkpoints / newest, found.prefix_of(found.find_model())):
            (index,) = prefix.parent.glob(f"{prefix.name}.index")
            assert index.read_text() == f"index {prefix.name[-1]}"
            (data,) = prefix.parent.glob(f"{prefix.name}.data-*")
            assert data.read_text() == f"data {prefix.name[-1]}" * 1000
        moments.append((newest, found.read_manifest()["step"]))

    def watched(act: Callable[..., object]) -> Callable[..., None]:
        def acting(*given: object) -> None:
            act(*given)
            look(len(moments))

        return acting

    keeper = Keeper(run)
    for name in ("put", "delete"):
        monkeypatch.setattr(keeper._remote, name, watched(getattr(keeper._remote, name)))
    keeper.keep()
    keeper.finish()
    assert moments[0] == ("ckpt-1", 1)
    assert moments[-1] == ("ckpt-2", 2)
    assert ("ckpt-2", 1) in moments  # the checkpoint before the manifest that tells of it


def test_training_is_not_held_up_by_a_remote_place(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeping returns at once while a copy is under way; of what waits then, only the newest is copied."""
    run = open_run(f"{home}/first")
    keeper = Keeper(run)
    at_it, go_on, sent = threading.Event(), threading.Event(), []
    put = keeper._remote.put  # type: ignore[union-attr]

    def slowly(path: Path, name: str) -> None:
        at_it.set()
        assert go_on.wait(60)
        put(path, name)
        if name == "run.json":
            sent.append(json.loads(path.read_text())["step"])

    monkeypatch.setattr(keeper._remote, "put", slowly)
    for number in (1, 2, 3):
        save(run, number)
        keeper.keep()
        assert at_it.wait(60)
    go_on.set()
    keeper.finish()
    assert sent == [1, 3]
    assert not list(run.folder.glob(".kept-*"))


def test_a_place_that_fails_does_not_stop_the_training(
    home: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that fails is told once; the next checkpoint brings all of it; one that fails to the end is an error."""
    run = open_run(f"{home}/first")
    keeper = Keeper(run)
    put, broken = keeper._remote.put, [True]  # type: ignore[union-attr]

    def failing(path: Path, name: str) -> None:
        if broken[0]:
            raise OSError("the disk quota is used up")
        put(path, name)

    monkeypatch.setattr(keeper._remote, "put", failing)
    save(run, 1)
    keeper.keep()
    with pytest.raises(OSError, match=r"could not be kept there \(the disk quota is used up\)\. It is whole in"):
        keeper.finish()
    assert capsys.readouterr().out.count("quota is used up") + capsys.readouterr().err.count("quota is used up") <= 1
    broken[0] = False
    save(run, 2)
    keeper.keep()
    keeper.finish()
    there = remote.of(run.remote)
    assert there
    assert there.files().keys() == contents(run.folder).keys()


@pytest.mark.parametrize("home", ["drive"], indirect=True)
@pytest.mark.parametrize(
    ("number", "what"),
    [(errno.EDQUOT, "your Google Drive is full.* Delete files at"), (errno.ENOTCONN, "does not answer.*drive.mount")],
)
def test_what_drive_says_is_explained(home: str, number: int, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full Drive and one that is gone end in an error that says so, where the run is whole, and what mends it."""
    keeper = Keeper(run := open_run(f"{home}/first"))
    save(run, 1)

    def failing(*paths: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(remote.shutil, "copyfile", failing)
    keeper.keep()
    with pytest.raises(OSError, match=rf"{what}.* It is whole in {run.folder}"):
        keeper.finish()


@pytest.mark.parametrize("home", ["drive"], indirect=True)
def test_a_drive_that_is_gone_is_no_empty_one(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Drive does not answer, nobody is told that there are no runs."""
    kept(open_run(f"{home}/first"), 1)

    def failing(*path: object) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(OSError, match=r"does not answer.*drive\.mount"):
        runs_in(home)


def test_runs_of_a_remote_folder_are_compared_without_their_models(home: str) -> None:
    """All runs in a remote folder are found, with manifest and history, and no checkpoint is fetched."""
    for name in ("first", "second"):
        kept(open_run(f"{home}/{name}"), 1)
    found = runs_in(home)
    assert list(found) == ["first", "second"]
    assert all(run.read_manifest()["step"] == 1 and run.history_path.exists() for run in found.values())
    assert not [path for run in found.values() for path in run.folder.rglob("ckpt-*")]
    with pytest.raises(FileNotFoundError, match="there are no runs"):
        runs_in(f"{home}/second/nothing")


def test_a_missing_run_is_not_made(home: str) -> None:
    """Looking for a run that is not there makes no folder, here or there."""
    assert not find_run(f"{home}/none").folder.exists()
    there = remote.of(home)
    assert there
    assert there.files() == {}


# --- read while it is written ---------------------------------------------------------------------


@contextlib.contextmanager
def going_on(run: Run, keeper: Keeper | None = None) -> Iterator[None]:
    """In another thread, save a run again and again as a training does, each time deleting the model of before."""
    ended, problems = threading.Event(), []

    def train() -> None:
        try:
            for number in range(2, 10_000):
                save_beside(run, number)
                if keeper:
                    keeper.keep()
                if ended.wait(0.02):
                    return
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not problems


def save_beside(run: Run, number: int) -> None:
    """Save as `save` does, in a training's order: what was named before is deleted when nothing names it any more."""
    for folder in (run.checkpoints, run.models):
        (folder / f"ckpt-{number}.data-00000-of-00001").write_text(f"data {number}" * 1000)
        (folder / f"ckpt-{number}.index").write_text(f"index {number}")
    with workspace.whole_file(run.checkpoints / "checkpoint") as part:
        part.write_text(f'model_checkpoint_path: "ckpt-{number}"')
    run.update_manifest(step=number, saves=number, models=[model(number)])
    for folder in (run.checkpoints, run.models):
        for old in folder.glob("ckpt-*"):
            if old.name.partition(".")[0] != f"ckpt-{number}":
                old.unlink()


def check_state(run: Run) -> int:
    """The model that a state names is there and whole; return which one it is."""
    found = run.find_model()
    number = int(found["checkpoint"].removeprefix("ckpt-"))
    assert run.prefix_of(found).with_suffix(".index").read_text() == f"index {number}"
    assert run.prefix_of(found).with_suffix(".data-00000-of-00001").read_text() == f"data {number}" * 1000
    assert run.read_manifest()["step"] == number
    return number


def test_a_run_that_is_written_meanwhile_is_read(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a training that saves all the time, every reader on another machine gets one state, and none fails."""
    run = open_run(f"{home}/first")
    save(run, 1)
    keeper = Keeper(run)
    keeper.keep()
    keeper.finish()
    another_machine(monkeypatch, tmp_path, "reader")
    seen = set()
    with going_on(run, keeper):
        for look in range(4):
            with reading(f"{home}/first", "best") as state:
                seen.add(check_state(state))
                assert str(state) == f"{home}/first"
                number = check_state(state)  # whatever has happened meanwhile
            assert not state.folder.exists()
            assert runs_in(home)["first"].read_manifest()["step"] >= number
            another_machine(monkeypatch, tmp_path, f"resuming {look}")
            whole = open_run(f"{home}/first")
            check_state(whole)
            newest = (whole.checkpoints / "checkpoint").read_text().split('"')[1]
            assert (whole.checkpoints / f"{newest}.index").is_file()
            another_machine(monkeypatch, tmp_path, "reader")
    keeper.finish()
    assert len(seen) > 1


def test_a_run_of_this_machine_is_read_while_it_is_trained(tmp_path: Path) -> None:
    """Beside a training in the same folder, a reader gets one state; it leaves nothing there."""
    run = open_run(tmp_path / "run")
    save(run, 1)
    seen: set[int] = set()
    looks, end = 0, time.monotonic() + 30
    with going_on(run):
        while looks < 20 or (len(seen) <= 3 and time.monotonic() < end):  # twenty looks may be over within three saves
            looks += 1
            with reading(run.folder, "last") as state:
                seen.add(check_state(state))
                with reading(state, "last") as same:
                    assert same is state
    assert len(seen) > 3
    assert not list(run.folder.glob(".*"))
    run.update_manifest(finished=True)
    with reading(run) as state:
        assert state == run  # nobody writes to it any more


def test_a_reader_fetches_what_it_reads_and_once(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a remote run come the small files and the model that is asked for; what is here and the same stays."""
    run = open_run(f"{home}/first")
    save(run, 1)
    save_beside(run, 2)
    run.update_manifest(models=[model(1), model(2)])
    for name in ("index", "data-00000-of-00001"):
        (run.models / f"ckpt-1.{name}").write_text(name)
    run.events.mkdir()
    (run.events / "many").write_bytes(b"scalars" * 1000)
    keeper = Keeper(run)
    keeper.keep()
    keeper.finish()
    another_machine(monkeypatch, tmp_path, "reader")
    fetched: list[str] = []
    kind = type(remote.of(home))
    get = kind.get

    def watched(place: Any, name: str, path: Path, version: Any = None) -> None:
        before = path.stat().st_ino if path.is_file() else 0
        get(place, name, path, version)
        if path.stat().st_ino != before:
            fetched.append(name)

    monkeypatch.setattr(kind, "get", watched)
    with reading(f"{home}/first", 8) as state:
        assert state.prefix_of(state.find_model(8)).with_suffix(".data-00000-of-00001").is_file()
        assert [one["step"] for one in state.kept_models()] == [8, 16]
    assert sorted(fetched) == [
        "history.csv",
        "models/ckpt-1.data-00000-of-00001",
        "models/ckpt-1.index",
        "models/ckpt-2.index",
    ]
    fetched.clear()
    with reading(f"{home}/first", 8):
        assert fetched == []
    with reading(f"{home}/first", "best") as state:
        assert fetched == ["models/ckpt-2.data-00000-of-00001"]
    with pytest.raises(ValueError, match="no model of checkpoint 9 is kept, only of steps 8"), reading(run, 9) as state:
        state.find_model(9)
    with reading(f"{home}/none", "best") as state, pytest.raises(FileNotFoundError, match=f"{home}/none: there is no"):
        state.find_model()


def test_a_state_that_was_changed_by_hand_is_read(tmp_path: Path) -> None:
    """Where a named model's files were deleted and no training goes on, the others are read."""
    run = open_run(tmp_path / "run")
    save(run, 2)
    run.update_manifest(models=[model(1), model(2)])
    with reading(run.folder, "best") as state:
        assert [one["step"] for one in state.kept_models()] == [16]


def test_a_run_that_is_gone_again_and_again_is_given_up(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of which every state is gone before it is fetched ends in an error that says so, not in a loop."""
    run = open_run(f"{home}/first")
    kept(run, 1)
    another_machine(monkeypatch, tmp_path, "reader")
    kind, texts = type(remote.of(home)), iter(range(1000))

    def gone(place: Any, name: str, path: Path, version: Any = None) -> None:
        raise FileNotFoundError(name)

    def read(place: Any, name: str) -> bytes:
        return json.dumps({"id": "a", "saves": next(texts), "models": [model(1)]}).encode()

    monkeypatch.setattr(kind, "get", gone)
    monkeypatch.setattr(kind, "read", read)
    with pytest.raises(OSError, match="first: the run is written anew faster than it can be fetched"):
        reading(f"{home}/first", "best").__enter__()
    with pytest.raises(OSError, match="first: the run is written anew faster than it can be fetched"):
        open_run(f"{home}/first")


def test_what_an_evaluator_writes_is_its_own(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays where the run is kept, is read with any state of the run, and a training never sends an older one."""
    run = open_run(f"{home}/first")
    kept(run, 1)
    written = tmp_path / "evaluation"

    def judge(ap: float) -> None:
        written.write_text(json.dumps({"run": "a", "step": 8, "model": "ckpt-1", "ap": ap}))
        add_file(f"{home}/first", "evaluations/step-8.json", written)
        add_file(run, "events/eval/events", written)

    judge(0.1)
    with reading(run) as state:  # on the machine that trains, whose own state is as new
        assert state.read_evaluations()[8]["ap"] == 0.1
    another_machine(monkeypatch, tmp_path, "second")
    other = open_run(f"{home}/first")
    assert (other.events / "eval" / "events").is_file()
    judge(0.2)
    kept(other, 2)
    another_machine(monkeypatch, tmp_path, "third")
    with reading(f"{home}/first") as state:
        assert state.read_evaluations()[8]["ap"] == 0.2
        assert state.read_manifest()["step"] == 2
