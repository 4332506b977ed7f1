"""Paths -> what is judged: exports, and the reference that they are held against, each with a name of its own."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import Detector, ExportFacts, UnfitExportWarning
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Checkpoint, Run, reading

_RUN = "the run"
_RUNS_FORMAT = "run"  # in the place of an export's format


@dataclass(frozen=True, eq=False)
class Contender:
    """An export, or a run.

    Attributes:
        name: what it is called.
        where: its folder.
        facts: what it says about itself; None where its ``export.json`` cannot be read.
        problem: why not.
        run: the run, or its folder, where it is one.
        checkpoint: which of its models.
    """

    name: str
    where: str
    facts: ExportFacts | None
    problem: str = ""
    run: storage.AnyPath | Run | None = None
    checkpoint: Checkpoint = "best"

    def load(self) -> Detector:
        """Return it as a detector; an export's earlier verdict is not repeated."""
        if self.run is not None:
            from tfod_helpers import training  # which loads TensorFlow

            return training.detector(self.run, self.checkpoint)
        if self.facts is None:
            raise ValueError(self.problem)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnfitExportWarning)
            return Detector.load(self.where)


def find_exports(exports: storage.AnyPath | Iterable[storage.AnyPath]) -> list[Contender]:
    """Return exports by their folders.

    Raises:
        ValueError: there is none, or one is given twice.
    """
    folders = [exports] if isinstance(exports, str | os.PathLike) else list(exports)
    if not folders:
        raise ValueError("There is no export to certify. Give the folders that exporting wrote.")
    places = [place(folder) for folder in folders]
    for one, count in Counter(places).items():
        if count > 1:
            raise ValueError(f"{one}: this export is given {count} times. Give each one once.")
    return [_export(name, where) for name, where in zip(_names(places), places, strict=True)]


def find_reference(
    exports: Sequence[Contender], reference: storage.AnyPath | Run | None, checkpoint: Checkpoint
) -> Contender:
    """Return what the exports are compared with.

    Args:
        exports: the exports.
        reference: a run, or the folder of one or of an export; None takes the first SavedModel.
        checkpoint: which of the run's models.

    Raises:
        FileNotFoundError: it is neither a run nor an export, or the run holds no model.
        ValueError: none is given and there is no SavedModel, or its file is damaged.
    """
    if reference is None:
        for one in exports:
            if one.facts and one.facts.format == "saved_model":
                return one
        listed = ", ".join(f"{one.name} ({one.facts.format if one.facts else 'unreadable'})" for one in exports)
        raise ValueError(
            f"There is nothing to compare with: none of the exports is a SavedModel ({listed}). Give reference= the "
            f"run folder, or one of its exports."
        )
    if not isinstance(reference, Run):
        where = place(reference)
        for one in exports:
            if one.where == where:
                return one
        try:
            facts = ExportFacts.read(where)
            return Contender(_free(os.path.basename(where), where, exports), where, facts)
        except FileNotFoundError:  # a run, then
            pass
    with reading(reference) as run:
        contender = _run(run, checkpoint, _free(_RUN, str(run), exports))
    return replace(contender, run=reference)


def place(folder: storage.AnyPath) -> str:
    """Return the one spelling of a folder's path that others of the same folder have too."""
    address = storage.address(folder)
    return address.rstrip("/") if storage.is_remote(folder) else os.path.realpath(address)


def _export(name: str, where: str) -> Contender:
    try:
        return Contender(name, where, ExportFacts.read(where))
    except (OSError, ValueError) as error:
        return Contender(name, where, None, str(error))


def _free(name: str, otherwise: str, exports: Sequence[Contender]) -> str:
    return otherwise if any(one.name == name for one in exports) else name


def _run(run: Run, checkpoint: Checkpoint, name: str) -> Contender:
    manifest = run.read_manifest()
    if not manifest:
        raise FileNotFoundError(
            f"{run}: neither a run nor an export (there is no run.json, and no export.json). Give reference= the "
            f"folder that training.train or an export wrote."
        )
    classes = len(LabelMap.read(run.label_map_path))
    facts = ExportFacts(_RUNS_FORMAT, 0, classes, preset=manifest["preset"], **run.find_scores(checkpoint))
    # By its step: a training that goes on may have a better one when it is loaded.
    return Contender(name, str(run), facts, run=run, checkpoint=facts.step)


def _names(places: Sequence[str]) -> list[str]:
    """Return the last part of each path, or as many as tell them apart."""
    parts = [one.removeprefix("gs://").strip("/").split("/") for one in places]
    for last in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-last:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return list(places)  # one here and one in a bucket
