"""What came of an old config: an ExperimentConfig, and what happened to every setting of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_helpers.pipeline_config.draft import CARRIED, NO_COUNTERPART, REPLACED, Fate

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.experiment import ExperimentConfig


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
    """

    path: Path
    preset: str
    config: ExperimentConfig
    table: pd.DataFrame
    unconfigured: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
