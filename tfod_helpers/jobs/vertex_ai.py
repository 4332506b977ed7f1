"""A config and a run folder -> a job of Vertex AI: one chief, workers and an evaluator; checked before it is sent.

Vertex AI starts one machine of the first pool, the chief, those of the second, the workers, and of the fourth, the
evaluators, all with the same image, and tells each its part in TF_CONFIG:
https://cloud.google.com/vertex-ai/docs/training/distributed-training. The job ends when the chief does. A machine that
ends with exit code 134 is started again, and with ``restartJobOnWorkerRestart`` all others with it, up to three times;
with any other code but 0 the job ends for good:
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tfod_helpers.files import storage
from tfod_helpers.jobs import command, connection, images, machines, schema
from tfod_helpers.jobs import settings as settings_of
from tfod_helpers.jobs.command import COMMAND, arguments
from tfod_helpers.jobs.machines import Machine
from tfod_helpers.jobs.vertex_plan import LABEL, JobError, Team, VertexPlan, replicas_of
from tfod_helpers.problems import Problem

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig

_BESIDE_TPU = "n1-standard-16"  # evaluates a training on TPUs: their image has no code for GPUs
_LONGEST_NAME = 128  # characters, as the schema says in words
_MOST_HOURS = 7 * 24  # as long as Vertex AI lets a job run

T = TypeVar("T")


def vertex(
    config: ExperimentConfig | storage.AnyPath,
    run: storage.AnyPath,
    *,
    image: str,
    region: str,
    project: str | None = None,
    chief: str = "g2-standard-8",
    workers: int = 9,
    evaluator: bool | str = True,
    spot: bool = True,
    hours: float = 24.0,
    keep: int | str = 1,
    name: str | None = None,
    service_account: str | None = None,
    settings: Mapping[str, Any] | None = None,
    allow_far: bool = False,
) -> VertexPlan:
    """Plan a training on machines of Vertex AI. Nothing is sent and nobody asked before the plan's ``submit``.

    Args:
        config: the settings, or the file that `experiment.save` made of them. Its records are in a bucket.
        run: the run folder, in a bucket, with which the training goes on where it was begun before.
        image: the container image that was built from this version's ``Dockerfile``, such as
            ``us-central1-docker.pkg.dev/PROJECT/tfod-helpers/tfod-helpers:0.1.0-gpu``.
        region: of the machines, such as ``us-central1``; near the bucket.
        project: the id of the project that pays. None takes that of the environment or of the account.
        chief: the chief's machine, and each worker's: its type, and GPUs where these are a choice, such as
            ``g2-standard-8`` (one L4), ``n1-standard-8+T4``, ``a2-highgpu-1g`` (one A100), ``ct5lp-hightpu-4t`` (four
            chips of TPU v5e).
        workers: how many machines train besides the chief. TPUs train on one machine.
        evaluator: whether another machine judges each checkpoint meanwhile, one like the chief's or, beside TPUs, one
            without; or which one.
        spot: whether the machines may be taken away at any time, and cost less for it.
        hours: after which Vertex AI stops the job, whatever it is at.
        keep: how many evaluated models the run keeps, as `training.train` takes it: a number, or ``"all"``.
        name: of the job, in the console; None takes the run folder's.
        service_account: what the job acts as; None takes Vertex AI's own, which can use the project's buckets.
        settings: other fields of the API's CustomJob by their dotted names, such as
            ``{"jobSpec.workerPoolSpecs.0.diskSpec.bootDiskSizeGb": 200}``.
        allow_far: whether the bucket may be far from the machines.

    Raises:
        JobError: it cannot run; everything that can be known without asking anybody, in one report.
        FileNotFoundError: there is no such file of a config.
        ValueError: it is none of a config.
        ModuleNotFoundError: google-api-python-client is not installed.
    """
    wanted, address = settings_of.read(config), storage.address(run).rstrip("/")
    found: list[Problem] = []
    project = _given(found, "project", connection.project, project) or ""
    team = _team(found, chief, workers, evaluator)
    job = _job(team, address, name, image, arguments(address, keep, "evaluator" in team), service_account)
    job["jobSpec"]["scheduling"] = _scheduling(spot, hours, several=workers > 0)
    for path, value in (settings or {}).items():
        _put(job, path, value, found)
    tpu = any(one.is_tpu for _, one in team.values())
    found += [*_of_team(team, workers, hours), *_of_region(region), *images.problems(image, region, project, tpu)]
    found += [*_of_name(job["displayName"]), *command.problems(keep)]
    found += settings_of.problems(wanted, address, replicas_of(team))
    found += schema.problems(job)
    JobError.refuse(found, f"Vertex AI job {job['displayName']!r}")
    notes = tuple(str(one).rstrip() for one in found)
    return VertexPlan(job, wanted, address, project, region, image, team, hours, notes, allow_far)


def _given(found: list[Problem], where: str, read: Callable[..., T], *given: Any) -> T | None:
    """Return what ``read`` makes of what was given; where it refuses, note that and return None."""
    try:
        return read(*given)
    except ValueError as error:
        found.append(Problem(where=where, what=str(error).removeprefix(f"{where}: ").rstrip("."), fix=""))
        return None


def _team(found: list[Problem], chief: str, workers: int, evaluator: bool | str) -> Team:
    """Return the machines by their part: how many, and of which kind."""
    trainer = _given(found, "chief", machines.read, chief)
    team = {"chief": (1, trainer), "workers": (workers, trainer)}
    if isinstance(evaluator, str):
        team["evaluator"] = (1, _given(found, "evaluator", machines.read, evaluator))
    elif evaluator:
        team["evaluator"] = (1, machines.read(_BESIDE_TPU) if trainer and trainer.is_tpu else trainer)
    return {role: (count, one) for role, (count, one) in team.items() if one and count > 0}


def _job(
    team: Team, run: str, name: str | None, image: str, arguments: list[str], service_account: str | None
) -> dict[str, Any]:
    """Return the API's CustomJob, without its scheduling."""
    container = {"imageUri": image, "command": list(COMMAND), "args": arguments}
    pools: list[dict[str, Any]] = []
    for role in ("chief", "workers", "reduction servers", "evaluator"):
        count, machine = team.get(role, (0, None))
        pool = {"machineSpec": machine.spec(), "replicaCount": str(count)} if machine else {}
        pools.append(pool | {"containerSpec": dict(container)} if pool else {})
    while pools and not pools[-1]:
        pools.pop()
    label = {LABEL: secrets.token_hex(8)}  # by which a job is found whose answer was lost on the way
    spec = {"workerPoolSpecs": pools} | ({"serviceAccount": service_account} if service_account else {})
    return {"displayName": name or run.rpartition("/")[2], "labels": label, "jobSpec": spec}


def _scheduling(spot: bool, hours: float, several: bool) -> dict[str, Any]:
    """Return the API's Scheduling. Machines that train together start together, also where one had to start again."""
    strategy = "SPOT" if spot else "STANDARD"
    timeout = f"{max(1, round(hours * 3600))}s"
    return {"strategy": strategy, "timeout": timeout} | ({"restartJobOnWorkerRestart": True} if several else {})


def _put(job: dict[str, Any], path: str, value: Any, found: list[Problem]) -> None:
    """Set a field of a job by its dotted name; whether there is such a field, the schema says."""
    *parents, last = path.split(".")
    place: Any = job
    try:
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        place[int(last) if isinstance(place, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError):
        fix = "A pool goes by its number: jobSpec.workerPoolSpecs.0 is the chief's."
        found.append(Problem(where="settings", object=path, what="there is no such place in the job", fix=fix))


def _of_team(team: Team, workers: int, hours: float) -> Iterator[Problem]:
    """Yield what is wrong with the machines, and with their number and time."""
    kinds = {one: role for role, (_, one) in reversed(team.items())}  # one that several parts have is told of once
    for machine, role in kinds.items():
        yield from machines.problems(machine, role)
    if workers < 0:
        yield Problem(where="workers", what=f"there cannot be {workers}", fix="Give 0 to let the chief train alone.")
    if workers > 0 and "chief" in team and team["chief"][1].is_tpu:
        what = f"{workers} were asked for beside a chief with TPUs, and TensorFlow trains on those of one machine"
        yield Problem(where="workers", what=what, fix="Give workers=0, and a machine with more chips, or GPUs.")
    if named := machines.NEWER_TPUS.get(team.get("chief", (0, Machine("")))[1].type.partition("-")[0]):
        what = f"{named} for these TPUs, so that the training may not start"
        fix = "TPU v5e (ct5lp-hightpu-...) is the newest for which it names TensorFlow as it is published."
        yield Problem(where="chief", what=what, fix=fix, severity="warning")
    if not 0 < hours <= _MOST_HOURS:
        what = f"{hours:g} is not more than 0 and at most {_MOST_HOURS}, as long as Vertex AI lets a job run"
        yield Problem(where="hours", what=what, fix="Give the longest time that you would pay for.")


def _of_name(name: str) -> Iterator[Problem]:
    if not 1 <= len(name) <= _LONGEST_NAME:
        what = f"it has {len(name)} characters, and a job's name 1 to {_LONGEST_NAME}"
        yield Problem(where="name", what=what, fix="Give another one.")


def _of_region(region: str) -> Iterator[Problem]:
    known = schema.regions()
    if region not in known:
        zone = region.rpartition("-")[0]
        near = f"{region!r} is a zone; give {zone!r}. " if zone in known else machines.guess(region, known)
        fix = f"{near}There are {', '.join(known)}."
        yield Problem(where="region", what=f"Vertex AI has no region {region!r}", fix=fix)
