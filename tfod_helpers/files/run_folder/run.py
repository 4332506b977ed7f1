"""One run's folder: every path in it is spelled here and nowhere else.

It holds everything that one training makes::

    run.json          what this run is: classes, preset, dataset, versions, machines, progress, best score
    config.yaml       every setting of the experiment
    label_map.pbtxt   the classes, in the order the model knows them
    checkpoints/      the newest state, to resume from
    models/           the evaluated models that are kept: the best one and the newest, or more
    events/           TensorBoard event files
    history.csv       one row per logged interval
    evaluations/      what an evaluator beside the training found: step-N.json each (`training.follow`)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tfod_helpers.files import workspace

Checkpoint = int | Literal["best", "last"]  # how one of a run's evaluated models is given


CARRIED = "carried"  # a manifest's ``weights_source``: an old program's checkpoint, not trained here


@dataclass(frozen=True)
class Run:
    """One training run's folder.

    Attributes:
        folder: where its files are on this machine.
        remote: where it is kept, a folder of Drive or ``gs://``; empty where ``folder`` is all there is.
        steady: whether ``folder`` is a reader's own, which holds what it asked for and which nobody writes to.
    """

    folder: Path
    remote: str = ""
    steady: bool = False

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
    def models(self) -> Path:
        """The evaluated models that are kept."""
        return self.folder / "models"

    @property
    def events(self) -> Path:
        """TensorBoard event files."""
        return self.folder / "events"

    @property
    def history_path(self) -> Path:
        """``history.csv``: a row each time the loss was read."""
        return self.folder / "history.csv"

    @property
    def evaluations(self) -> Path:
        """What an evaluator found of each model that it judged."""
        return self.folder / "evaluations"

    @property
    def kept_path(self) -> Path:
        """An empty file that is there once the run was brought to where it is kept."""
        return self.folder / ".kept"

    def kept_models(self) -> list[dict[str, Any]]:
        """Return the evaluated models that are kept, the oldest first, as ``run.json`` lists them.

        Each has ``step``, ``ap``, ``ap50`` and ``threshold``, and ``checkpoint``, the name of its files.
        """
        listed = self.read_manifest().get("models", [])
        return [one for one in listed if (self.models / f"{one['checkpoint']}.index").is_file()]

    def find_model(self, checkpoint: Checkpoint = "best") -> dict[str, Any]:
        """Return one of `kept_models`.

        Args:
            checkpoint: ``"best"``, the highest AP; ``"last"``, the newest; or a model's step.

        Raises:
            FileNotFoundError: there is none yet.
            ValueError: none of that step is kept; those that are kept are named.
        """
        kept = self.kept_models()
        if not kept:
            where = str(self) if self.steady else self.models
            raise FileNotFoundError(
                f"{where}: there is no trained model here. Train this run first, with training.train."
            )
        chosen = kept[-1:] if checkpoint == "last" else kept
        if checkpoint not in ("best", "last"):
            chosen = [one for one in kept if one["step"] == checkpoint]
        if not chosen:
            listed = ", ".join(f"{one['step']} (AP {one['ap']:.3f})" for one in kept)
            raise ValueError(
                f"{self}: no model of checkpoint {checkpoint!r} is kept, only of steps {listed}. Give one of these, "
                f"'best' or 'last'. In the next training, training.train(..., keep='all') keeps each evaluated model."
            )
        return max(chosen, key=lambda one: one["ap"])

    def find_scores(self, checkpoint: Checkpoint = "best") -> dict[str, Any]:
        """Return step, ap, ap50 and threshold of the model that `find_model` finds."""
        return {name: value for name, value in self.find_model(checkpoint).items() if name != "checkpoint"}

    def read_evaluations(self) -> dict[int, dict[str, Any]]:
        """Return what an evaluator beside the training found (`training.follow`), by the step of the model.

        Raises:
            ValueError: a file is there and is not JSON.
        """
        manifest, found = self.read_manifest(), {}
        models = {one["step"]: one["checkpoint"] for one in manifest.get("models", [])}
        for path in self.evaluations.glob("step-*.json"):
            try:
                one = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                where = f"{self}: evaluations/{path.name}"
                raise ValueError(f"{where}: not valid JSON ({error}). Delete it: the model is judged again.") from error
            # Not what is left of a run that was deleted and begun anew, nor of a model that was trained once more after
            # the machine that made it was lost.
            if one["run"] == manifest.get("id") and models.get(one["step"], one["model"]) == one["model"]:
                found[int(one["step"])] = one
        return dict(sorted(found.items()))

    def prefix_of(self, model: dict[str, Any]) -> Path:
        """Return the path of a model's checkpoint as TensorFlow takes it, without an ending."""
        return self.models / model["checkpoint"]

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
