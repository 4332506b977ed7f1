"""What came of an old config: an ExperimentConfig, and what happened to every setting of the file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_helpers.files.protobuf_text import Setting
from tfod_helpers.pipeline_config.draft import CARRIED, NO_COUNTERPART, REPLACED, Draft, Fate

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.experiment import ExperimentConfig
    from tfod_helpers.files.run_folder import Run


@dataclass(frozen=True)
class Carried:
    """What came of an old config; printed, it is a summary.

    Attributes:
        path: the file that was read.
        preset: the name of the preset that comes nearest.
        config: the preset's settings with what was carried over, without any data.
        table: what happened to every setting of the file, one a row, in its order: ``setting``, its dotted name;
            ``value``, a tuple where the file gives several; ``outcome``, which is ``carried over``, ``replaced`` or
            ``no counterpart``; ``to``, our settings in its place, ``name = value``; ``why``; ``line``, from 1; and
            ``look``, whether a person should look at it before they train.
        unconfigured: the settings in which a path was never filled in.
        notes: what follows from what the file does not say.
        settings: every setting of the file as it was read.
    """

    path: Path
    preset: str
    config: ExperimentConfig
    table: pd.DataFrame
    unconfigured: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = field(default=(), repr=False)

    def carry(
        self,
        checkpoint: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        label_map: str | os.PathLike[str] | Sequence[str] | None = None,
    ) -> Run:
        """Make a run of a checkpoint that the Object Detection API trained with this config.

        The network is built as the old program built it, so that the run detects what the old model detected, in
        photos that are stretched to its input. Everything that takes a run takes it: `training.detector`,
        `training.evaluate`, every export; `experiment.from_run` trains it on for other photos or classes.

        Args:
            checkpoint: ``ckpt-7``, or the folder or archive (.zip, .tar.gz) of checkpoints, of which the newest is
                taken; also on Drive or ``gs://``. Of an exported model, its folder ``checkpoint``.
            folder: the run folder to make, which must be new; local, on Drive or ``gs://``.
            label_map: the label map that the model was trained with, or the names of its classes in their order; left
                out, the file that the config names is looked for beside the config and beside the checkpoint.

        Raises:
            OldConfigError: no preset builds this network exactly; the message says which setting makes it so.
            FileNotFoundError: there is no checkpoint, or no label map.
            ValueError: the checkpoint is of another network or program, or damaged; the label map does not fit; the
                folder holds a run.
        """
        from tfod_helpers.pipeline_config import carrying  # loads TensorFlow, which reading a config does not need

        draft = Draft(str(self.path), list(self.settings))
        return carrying.carry(draft, self.config, checkpoint, folder, label_map)

    def __str__(self) -> str:
        rows = list(self.table.itertuples(index=False))
        counts = Counter(row.outcome for row in rows)
        lines = [
            f"{self.path.name} -> preset {self.preset}",
            f"{counts[CARRIED]} settings carried over, {counts[REPLACED]} replaced, {counts[NO_COUNTERPART]} without "
            "counterpart; .table has each of them, and why.",
        ]
        look = [row for row in rows if row.look and row.setting not in self.unconfigured]
        never = [row for row in rows if row.setting in self.unconfigured]
        lines += ["Look at these before you train:"] if look or self.notes else []
        lines += [*_grouped(look), *(f"  {note}" for note in self.notes)]
        lines += ["Never configured in the file:", *_grouped(never)] if never else []
        return "\n".join(lines)


def _grouped(rows: list[Any]) -> Iterator[str]:
    """Give the lines of some rows; those with the same reason share it."""
    for to, why in dict.fromkeys((row.to, row.why) for row in rows):
        yield from (f"  {row.setting} = {row.value}" for row in rows if (row.to, row.why) == (to, why))
        yield f"    -> {to}. {why}" if to else f"    -> {why}"


def describe(fate: Fate, ours: dict[str, Any]) -> str:
    """Return our settings in an old one's place, ``name = value; name = value``; without a value that is empty."""
    names = fate.shows or tuple(fate.sets)
    return "; ".join(name if ours[name] in ("", []) else f"{name} = {_show(ours[name])}" for name in names)


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
