"""What every machine of a job runs, and where in the run folder it finds its config."""

from __future__ import annotations

from collections.abc import Iterator

from tfod_helpers.files import storage
from tfod_helpers.problems import Problem

COMMAND = ("python", "-m", "tfod_helpers.training")
TAKEN_AWAY = 134  # how it ends where a machine was taken away or lost; training.TAKEN_AWAY, without TensorFlow
FOLDER = "job"  # in the run folder: what was sent
CONFIG = f"{FOLDER}/config.yaml"
_EVALUATOR_WAITS = 30  # minutes that the others stay, at the end, until the last model is judged


def arguments(run: str, keep: int | str, evaluator: bool) -> list[str]:
    """Return what follows `COMMAND`, the same on every machine.

    Args:
        run: the address of the run folder.
        keep: how many evaluated models it keeps.
        evaluator: whether one of the machines judges them: as soon as the chief ends, an engine ends all others.
    """
    waits = ["--evaluator-waits", str(_EVALUATOR_WAITS)] if evaluator else []
    return [storage.join(run, CONFIG), run, "--keep", str(keep), *waits]


def problems(keep: int | str) -> Iterator[Problem]:
    """Yield why a number of models to keep is none that `COMMAND` takes."""
    if keep != "all" and not (type(keep) is int and keep >= 1):
        yield Problem(where="keep", what=f"it must be 1 or more, or 'all', and is {keep!r}", fix="Give such a one.")
