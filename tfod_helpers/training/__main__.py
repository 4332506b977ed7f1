"""The headless door: a config and a run folder -> a training, on each machine that an engine starts.

The same command runs on every machine; the environment variable TF_CONFIG says which one it is, and without it the
machine trains alone. Its exit code tells the engine whether to start it again: 0 where all is done, `TAKEN_AWAY` where
a machine was taken away or lost, or the bucket did not answer, so that the training goes on, 2 where somebody has to
mend something first, and 1 with a traceback for a defect of this program.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import tfod_helpers
from tfod_helpers import experiment, training
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Run
from tfod_helpers.runtime import cluster
from tfod_helpers.training import TAKEN_AWAY, claiming
from tfod_helpers.training.machines import Machines

_FAULT, _DEFECT = 2, 1
_LOOK = 5.0  # seconds from one look for an evaluation to the next
_HELP = f"""
On every machine of a cluster run the same command; TF_CONFIG tells each which one it is. The task type 'evaluator'
judges each model that the others keep. Without TF_CONFIG this machine trains alone.

exit codes: 0 finished; {TAKEN_AWAY} a machine was taken away or lost, or the bucket did not answer: run this again
on all, and the training goes on from its last checkpoint; {_FAULT} something has to be mended first, and the last lines
say what; {_DEFECT} a defect.
"""
_MEANS = {
    TAKEN_AWAY: "This passes: start the same command again, and the training goes on from what is saved.",
    _FAULT: "Started again as it is, it would end the same way: mend this first.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or judge what the others train, and return the exit code.

    Args:
        arguments: of the command line; left out, this process' own.
    """
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _taken_away)  # also before the first step, and after the last
    try:
        config = experiment.load(given.config)
        machines = cluster.read()
        if machines and machines.role == cluster.EVALUATOR:
            training.follow(given.run, claiming.find_records(config, "validation"))
        else:
            _train(config, given)
    except ConnectionError as error:
        return _say(error, TAKEN_AWAY)
    except SystemExit as error:
        if error.code != 128 + signal.SIGTERM:
            raise
        return _say("This machine or another one is taken away.", TAKEN_AWAY)
    except Exception as error:
        if _is_fault(error):
            return _say(error, _FAULT)
        traceback.print_exc()
        return _DEFECT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tfod_helpers.training",
        description="Train a detector, or go on with a training that was cut off.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="config.yaml as experiment.save writes it: a path, or gs://")
    parser.add_argument("run", help="the run folder, made where it is new: a path, or gs://")
    parser.add_argument(
        "--keep",
        type=_keep,
        default=1,
        metavar="N",
        help="newest evaluated models that are kept beside the best, or 'all' (default: 1)",
    )
    parser.add_argument(
        "--evaluator-waits",
        type=_minutes,
        default=0.0,
        metavar="MINUTES",
        help="end no sooner than an evaluator has judged the last model, but after so many minutes",
    )
    return parser


def _keep(text: str) -> Any:
    if text == "all" or (text.isdigit() and int(text) >= 1):
        return text if text == "all" else int(text)
    raise argparse.ArgumentTypeError(f"it must be 1 or more, or 'all', and is {text!r}")


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be a number of minutes from 0 on, and is {text!r}")
    return minutes


def _train(config: ExperimentConfig, given: argparse.Namespace) -> None:
    from tfod_helpers import runtime

    connection = runtime.connect()
    print(connection, flush=True)
    history = training.train(config, given.run, keep=given.keep, strategy=connection.strategy)
    group = Machines(connection.strategy)
    if group.writes:
        print(history, flush=True)
    if given.evaluator_waits:  # all of them, since those that stay hear it as a fault when one leaves
        group.from_first(lambda: _wait(history.run, given.evaluator_waits))


def _wait(run: Run, minutes: float) -> None:
    """Wait until an evaluator has judged the last model; an engine ends it as soon as the first machine ends."""
    step = run.find_model("last")["step"]
    path = storage.join(run.remote or run.folder, f"evaluations/step-{step}.json")
    print(f"Waiting for the evaluator's {path}, at most {minutes:g} minutes.", flush=True)
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        if _is_there(path):
            print(f"{path} is there.", flush=True)
            return
        time.sleep(min(_LOOK, minutes * 60))
    print(f"{path} did not come within {minutes:g} minutes. training.follow({str(run)!r}, ...) judges it any time.")


def _is_there(path: str) -> bool:
    if not storage.is_remote(path):
        return Path(path).exists()
    try:
        return bool(storage.read_bytes(path))
    except (FileNotFoundError, ConnectionError):  # not yet, or not to be seen at the moment
        return False


def _taken_away(number: int, frame: Any) -> NoReturn:
    raise SystemExit(128 + number)


def _is_fault(error: Exception) -> bool:
    """Return whether an error is one that this package raises for what somebody has to mend."""
    if isinstance(error, (OSError, MemoryError, FloatingPointError)):
        return True
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, (ValueError, RuntimeError)) and Path(where).is_relative_to(
        Path(tfod_helpers.__file__).parent
    )


def _say(what: object, code: int) -> int:
    print(f"\n{what}\nExit code {code}. {_MEANS[code]}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    result = main()
    sys.stdout.flush()
    os._exit(result)  # TensorFlow would wait for machines that are gone, and call it a fault that they are
