"""One run's folder: every path in it is spelled here and nowhere else.

It holds everything that one training makes::

    run.json          what this run is: classes, preset, dataset, versions, machines, progress, best score
    config.yaml       every setting of the experiment
    label_map.pbtxt   the classes, in the order the model knows them
    checkpoints/      the newest state, to resume from
    best/             the state with the highest validation AP
    events/           TensorBoard event files
    history.csv       one row per logged interval
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.files import workspace


@dataclass(frozen=True)
class Run:
    """One training run's folder.

    Attributes:
        folder: where its files are on this machine.
        remote: where it is kept, a folder of Drive or ``gs://``; empty where ``folder`` is all there is.
    """

    folder: Path
    remote: str = ""

    def __str__(self) -> str:
        return self.remote or str(self.folder)

    @property
    def manifest_path(self) -> Path:
        """``run.json``: what this run is."""
        return self.folder / "run.json"

    @property
    def config_path(self) -> Path:
        """``config.yaml``: every setting of the experiment."""
        return self.folder / "config.yaml"

    @property
    def label_map_path(self) -> Path:
        """``label_map.pbtxt``: the classes."""
        return self.folder / "label_map.pbtxt"

    @property
    def checkpoints(self) -> Path:
        """The newest states, to resume from."""
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """The state with the highest validation AP."""
        return self.folder / "best"

    @property
    def events(self) -> Path:
        """TensorBoard event files."""
        return self.folder / "events"

    @property
    def history_path(self) -> Path:
        """``history.csv``: a row each time the loss was read."""
        return self.folder / "history.csv"

    @property
    def kept_path(self) -> Path:
        """An empty file that is there once the run was brought to where it is kept."""
        return self.folder / ".kept"

    @property
    def best_checkpoint(self) -> Path | None:
        """The prefix of the best model's checkpoint, the one that ``run.json`` names; None where there is none yet."""
        best = self.read_manifest().get("best")
        prefix = self.best / best["checkpoint"] if best else None
        return prefix if prefix and prefix.with_name(f"{prefix.name}.index").is_file() else None

    def read_manifest(self) -> dict[str, Any]:
        """Return what ``run.json`` says, or an empty dict where the run has not started.

        Raises:
            ValueError: the file is there and is not JSON.
        """
        if not self.manifest_path.exists():
            return {}
        try:
            return json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.manifest_path}: not valid JSON ({error}). Restore the file from a copy, "
                f"or start a new run in another folder."
            ) from error

    def update_manifest(self, **facts: Any) -> dict[str, Any]:
        """Merge ``facts`` into ``run.json`` and return the whole of it."""
        manifest = self.read_manifest() | facts
        with workspace.whole_file(self.manifest_path) as part:
            part.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return manifest
