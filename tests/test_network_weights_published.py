"""Published weights: where they are kept, and the second place that outlives the machine."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Handler, Listening

from tfod_helpers.files import downloads, storage, workspace
from tfod_helpers.network.weights import published
from tfod_helpers.network.weights.published import Published

DATA = b"weights" * 1000


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Empty caches and a server in place of Google's, whose every file is `DATA`; what it was asked for."""
    paths: list[str] = []

    class WeightsHandler(Handler):
        def answer(self) -> None:
            paths.append(self.path)
            self.give(200, DATA)

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(downloads.SECOND_PLACE, raising=False)
    with Listening(WeightsHandler) as server:
        monkeypatch.setattr(published, "GOOGLE", server.address)
        yield paths


def test_importing_weights_loads_no_tensorflow() -> None:
    """The map of the package stays light: TensorFlow comes with the first model."""
    code = "import sys, tfod_helpers.network.weights; sys.exit('tensorflow' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_are_kept_where_they_belong(asked: list[str], tmp_path: Path) -> None:
    """Keras' files come into Keras' cache, others into ours, those of one name into folders of their own; once."""
    files = (
        (Published("keras/a.h5", keras=True), tmp_path / "keras" / "models" / "a.h5"),
        (Published("garden/a.tar.gz"), tmp_path / "cache" / "tfod_helpers" / "a.tar.gz"),
        (Published("garden/b.index", folder="deep"), tmp_path / "cache" / "tfod_helpers" / "deep" / "b.index"),
    )
    for _ in range(2):
        for file, path in files:
            assert file.fetch() == file.path == path
            assert path.read_bytes() == DATA
    assert asked == ["/keras/a.h5", "/garden/a.tar.gz", "/garden/b.index"]


@pytest.mark.parametrize("kind", ["drive", "bucket"])
def test_second_place_outlives_the_machine(
    kind: str,
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was downloaded once on another machine is taken from the Drive or bucket folder that is named."""
    place = str(tmp_path / "drive") if kind == "drive" else f"{request.getfixturevalue('bucket')}/weights"
    monkeypatch.setenv(downloads.SECOND_PLACE, place)
    file = Published("garden/a.index", folder="deep", md5=hashlib.md5(DATA).hexdigest())
    file.fetch()
    assert "no help" not in capsys.readouterr().out, "that the file is not there yet is no news"
    assert storage.read_bytes(storage.join(storage.join(place, "deep"), "a.index")) == DATA
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    assert file.fetch().read_bytes() == DATA
    assert file.path.is_relative_to(tmp_path / "another machine")
    assert asked == ["/garden/a.index"]


def test_second_place_that_is_damaged_or_full_stops_nobody(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file there is replaced by the right one; a place that takes no files is told, and does no harm."""
    file = Published("garden/a.h5", sha256=hashlib.sha256(DATA).hexdigest())
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "a.h5").write_bytes(DATA[:100])
    monkeypatch.setenv(downloads.SECOND_PLACE, str(tmp_path / "drive"))
    assert file.fetch().read_bytes() == DATA
    assert (tmp_path / "drive" / "a.h5").read_bytes() == DATA
    assert "Downloading it anew" in capsys.readouterr().out
    (tmp_path / "no folder").write_text("a file")
    monkeypatch.setenv(downloads.SECOND_PLACE, str(tmp_path / "no folder"))
    file.path.unlink()
    assert file.fetch().read_bytes() == DATA
    out = capsys.readouterr().out
    assert "The second cache was no help" in out
    assert "The second cache got no copy" in out


def test_wrong_file_is_not_kept(asked: list[str]) -> None:
    """What the hash or the caller's check refuses is in no cache."""
    with pytest.raises(downloads.DownloadError, match="its md5 is"):
        Published("a.h5", md5="0" * 32).fetch()

    def refuse(path: Path) -> None:
        raise ValueError(f"{path.stat().st_size} bytes are too few.")

    with pytest.raises(downloads.DownloadError, match=r"7000 bytes are too few\. Fetch it by hand"):
        Published("a.h5").fetch(refuse)
    assert not list(workspace.cache_folder().iterdir())


def test_every_coco_checkpoint_has_one_address_and_one_network() -> None:
    """No two rows of the table are for the same network or share a file name in the cache."""
    rows = [(tuple(one.backbone.items()), one.levels) for one in published.COCO]
    assert len(set(rows)) == len({one.file.name for one in published.COCO}) == len(published.COCO)
    assert all(one.file.url.startswith("https://storage.googleapis.com/tf_model_garden/") for one in published.COCO)
