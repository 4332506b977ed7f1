"""What happened in a training: the rows of ``history.csv``, and the best model's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfod_helpers.files import workspace
from tfod_helpers.files.run_folder import Run

PLANNED = "planned_steps"  # of a row: how many steps there were to be when it was written


@dataclass(frozen=True)
class History:
    """What happened in a training.

    Attributes:
        run: the run folder.
        frame: a row each time the loss was read: step, loss, learning_rate, steps_per_second, and,
            where the model was evaluated, ap and ap50.
        best: step, ap, ap50 and threshold of the best model.
        weights: what the training started from, in words.
        seconds: what the time went into: building (network and first step), steps, evaluating, saving.
    """

    run: Run
    frame: pd.DataFrame
    best: dict[str, float]
    weights: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        return (
            f"{int(self.frame['step'].max())} steps; best AP {self.best['ap']:.3f}, AP50 {self.best['ap50']:.3f} "
            f"at step {self.best['step']:.0f}. Started from: {self.weights}"
        )


def of(run: Run, facts: dict[str, Any] | None = None) -> History:
    """Return a run's history; where another machine keeps the run, from what `facts_of` returned there."""
    facts = facts or facts_of(run)
    frame = pd.DataFrame(facts["rows"]).drop(columns=PLANNED, errors="ignore")
    return History(run, frame, facts["best"], facts["weights"], facts["seconds"])


def facts_of(run: Run) -> dict[str, Any]:
    """Return what a history is made of."""
    manifest = run.read_manifest()
    best = {name: value for name, value in manifest["best"].items() if name != "checkpoint"}
    facts = {"weights": manifest["weights"], "seconds": manifest.get("seconds", {})}
    return {"rows": read_rows(run), "best": best, **facts}


def read_rows(run: Run) -> list[dict[str, Any]]:
    """Return the rows of ``history.csv``, or none where training has not begun."""
    if not run.history_path.exists():
        return []
    return [
        {str(name): value for name, value in row.items()} for row in pd.read_csv(run.history_path).to_dict("records")
    ]


def write_rows(run: Run, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``history.csv``, whole or not at all."""
    with workspace.whole_file(run.history_path) as part:
        pd.DataFrame(rows).to_csv(part, index=False)


def rescale(rows: list[dict[str, Any]], total: int, done: int) -> list[dict[str, Any]]:
    """Return the rows of a history up to a step, counted in steps of which there are ``total``."""
    scaled = [row | {"step": round(row["step"] * total / row.get(PLANNED, total)), PLANNED: total} for row in rows]
    return [row for row in scaled if row["step"] <= done]
