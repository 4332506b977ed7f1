"""A config and its places -> a line each on everything that a long training could end with."""

from __future__ import annotations

import contextlib
import gc
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.annotations import Dataset
from tfod_helpers.doctor import data, machine, trial
from tfod_helpers.doctor.diagnosis import Case, Check, Diagnosis, FoundFault
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Run

_CHECKS: dict[str, Callable[[Case], str]] = {
    "versions": machine.look_at_versions,
    "accelerator": machine.look_at_accelerator,
    "storage": machine.look_at_storage,
    "dataset": data.look_at_records,
    "anchors": data.look_at_anchors,
    "memory": trial.look_at_memory,
    "overfits 8 photos": trial.look_at_overfitting,
    "export": trial.look_at_export,
}


def examine(
    config: ExperimentConfig,
    run: storage.AnyPath | Run | None = None,
    *,
    dataset: Dataset | Mapping[str, Dataset] | None = None,
    places: Sequence[storage.AnyPath] = (),
) -> Diagnosis:
    """Try in minutes what a training of hours would do, and say what is wrong; the first fault ends it.

    It looks at the versions of what is installed, computes on the accelerator, writes to the run's place, reads all
    records, compares the anchors with the boxes, makes steps of the config's batch size, overfits eight of the training
    photos in a folder of its own, and exports and loads what came of that.

    Args:
        config: from `experiment.make`.
        run: the run folder that the training will get, local, on Drive or ``gs://``; left out, no place is tried.
        dataset: what the records were made of, alone or as ``{"train": ..., "validation": ...}``; it is checked
            itself, and the records are compared with it.
        places: other folders that will be written to, such as that of the exports.

    Returns:
        A line each: print it, or let a notebook show it. ``.ok`` says whether all is well.
    """
    datasets = {"": dataset} if isinstance(dataset, Dataset) else dict(dataset or {})
    made: list[Check] = []
    with (
        tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder,
        tqdm(total=len(_CHECKS), unit="check", delay=1) as bar,
    ):
        written = [str(one) if isinstance(one, Run) else one for one in (run, *places) if one is not None]
        case = Case(config, written, datasets, Path(folder), bar.set_postfix_str)
        for name, look in _CHECKS.items():
            bar.set_description(name)
            bar.set_postfix_str("")
            made.append(_make(name, look, case))
            bar.update()
            if not made[-1].ok:
                break
    gc.collect()  # the networks are reference cycles
    return Diagnosis(tuple(made), tuple(_CHECKS)[len(made) :])


def _make(name: str, look: Callable[[Case], str], case: Case) -> Check:
    began, ok, fix = time.perf_counter(), False, ""
    try:
        with _quiet():
            found, ok = look(case), True
    except FoundFault as fault:
        found, fix = fault.found, fault.fix
    except Exception as error:  # whatever it is, the training would have ended with it
        found = f"{type(error).__name__}: {error}"
    return Check(name, ok, found, fix, time.perf_counter() - began)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let what is tried print nothing and draw no curves: only the doctor's own lines are shown."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        if "ipykernel" in sys.modules:
            from IPython.utils.capture import capture_output

            stack.enter_context(capture_output(stdout=False, stderr=False))
        yield
