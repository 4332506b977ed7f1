"""A config and a run folder -> a task file of SkyPilot, which rents machines of many clouds and starts them anew.

SkyPilot (https://docs.skypilot.co) is a program of its own, and nothing here needs it: the file is given to its command
``sky jobs launch``. What its machines run is `skypilot_node`.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tfod_helpers.files import storage, workspace
from tfod_helpers.jobs import command
from tfod_helpers.jobs import settings as settings_of
from tfod_helpers.jobs.command import CONFIG, TAKEN_AWAY, arguments
from tfod_helpers.jobs.vertex_plan import JobError
from tfod_helpers.problems import Problem

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig

_NODE = ("python", "-m", "tfod_helpers.jobs.skypilot_node")
_CHECKOUT = Path(__file__).parents[2]
_ENVIRONMENT = "~/tfod_helpers_environment"
# SkyPilot's machines have uv (https://docs.skypilot.co/en/latest/running-jobs/distributed-jobs.html).
_SETUP = f"""\
uv venv --allow-existing --python 3.12 {_ENVIRONMENT}
source {_ENVIRONMENT}/bin/activate
version=$(sed -n 's/^tensorflow-tpu==\\([^ ]*\\).*/\\1/p' requirements-tpu.txt)
uv pip install '.[train,cloud,heic]' "tensorflow[and-cuda]==$version" \\
  --constraint requirements-tpu.txt --constraint requirements-gpu.txt
"""


def skypilot(
    config: ExperimentConfig | storage.AnyPath,
    run: storage.AnyPath,
    file: str | os.PathLike[str] = "skypilot.yaml",
    *,
    machines: int = 3,
    accelerators: str = "L4:1",
    infra: str | None = None,
    spot: bool = True,
    keep: int | str = 1,
    source: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a SkyPilot task file, and the config beside the run; say the command that begins the training.

    A machine that is taken away lets SkyPilot start all of them anew, and the training goes on from the run folder. On
    other clouds than Google's, SkyPilot brings the sign-in to Google Cloud of this machine along, so that the bucket
    can be read and written.

    Args:
        config: the settings, or the file that `experiment.save` made of them. Its records are in a bucket.
        run: the run folder, in a bucket.
        file: the task file to write.
        machines: how many train together.
        accelerators: of each machine, as SkyPilot names them: a name and a number, such as ``L4:1`` or ``A100:8``.
        infra: where to rent, such as ``gcp``, ``aws/us-east-1`` or ``k8s``; None takes what is cheapest.
        spot: whether the machines may be taken away at any time, and cost less for it.
        keep: how many evaluated models the run keeps, as `training.train` takes it: a number, or ``"all"``.
        source: a checkout of this package, or the address of its git repository; None takes the checkout that this
            package is in.

    Raises:
        JobError: it cannot run; everything that was found, in one report.
        FileNotFoundError: there is no such file of a config.
        ValueError: it is none of a config.
        OSError: the config cannot be written into the bucket.
    """
    wanted, address = settings_of.read(config), storage.address(run).rstrip("/")
    found: list[Problem] = []
    name, count = _accelerators(accelerators, found)
    workdir = _workdir(source, found)
    if machines < 1:
        found.append(Problem(where="machines", what=f"there cannot be {machines}", fix="Give 1 or more."))
    found += command.problems(keep)
    found += settings_of.problems(wanted, address, max(1, machines) * count)
    JobError.refuse(found, "SkyPilot task")
    resources: dict[str, Any] = {"accelerators": f"{name}:{count}", "use_spot": spot}
    resources["job_recovery"] = {"recover_on_exit_codes": [TAKEN_AWAY]}
    resources |= {"infra": infra} if infra else {}
    task = {"name": _name(address), "num_nodes": machines, "workdir": workdir, "resources": resources}
    node = [*_NODE, *arguments(address, keep, evaluator=False)]
    task |= {"setup": _SETUP, "run": f"source {_ENVIRONMENT}/bin/activate\n{shlex.join(node)}\n"}
    storage.write_bytes(storage.join(address, CONFIG), settings_of.write(wanted))
    with workspace.whole_file(file) as part:
        part.write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
    print(f"{file}: begin the training, which costs money, with: sky jobs launch {shlex.quote(str(file))}")
    return Path(file)


def _accelerators(text: str, found: list[Problem]) -> tuple[str, int]:
    """Return the name and number of a machine's accelerators."""
    name, _, number = text.partition(":")
    if name.lower().startswith("tpu"):
        fix = "Give GPUs, or take jobs.vertex, which has TPUs."
        found.append(Problem(where="accelerators", what=f"{text!r} are TPUs, and the task is for GPUs", fix=fix))
    if not name or not (number or "1").isdigit() or int(number or 1) < 1:
        what = f"{text!r} is no name and number"
        found.append(Problem(where="accelerators", what=what, fix="Give them like 'L4:1'; sky show-gpus lists them."))
        return "", 1
    return name, int(number or 1)


def _workdir(source: str | os.PathLike[str] | None, found: list[Problem]) -> str | dict[str, str]:
    """Return where SkyPilot takes this package from: a folder that it brings along, or a repository."""
    text = os.fspath(source) if source is not None else str(_CHECKOUT)
    if "://" in text or text.startswith("git@"):
        return {"url": text}
    if not all((Path(text).expanduser() / name).is_file() for name in ("pyproject.toml", "requirements-gpu.txt")):
        what = f"{text!r} is no checkout of this package, and the machines have to install it from one"
        found.append(Problem(where="source", what=what, fix="Give the folder of one, or its repository's address."))
    return str(Path(text).expanduser().absolute())


def _name(run: str) -> str:
    """Return a name that SkyPilot takes: small letters, digits and dashes."""
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in run.rpartition("/")[2])
    return "-".join(filter(None, letters.lower().split("-"))) or "training"
