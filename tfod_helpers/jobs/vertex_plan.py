"""A job that can be sent to Vertex AI: what it would be, how many machine-hours it takes, and whether it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfod_helpers.files import storage
from tfod_helpers.jobs import connection, images, places
from tfod_helpers.jobs import settings as settings_of
from tfod_helpers.jobs.command import CONFIG, FOLDER
from tfod_helpers.jobs.machines import Machine
from tfod_helpers.jobs.refusals import Asked, explained
from tfod_helpers.jobs.vertex_job import ENDED, VertexJob, find
from tfod_helpers.presets import keys
from tfod_helpers.problems import Problem

LABEL = "tfod_helpers_job"
_PRICES = "https://cloud.google.com/vertex-ai/pricing#custom-trained_models"
_SAFE = "Nothing was started, and nothing costs money"

Team = dict[str, tuple[int, Machine]]  # ``chief``, ``workers``, ``evaluator`` -> how many, and of which kind


class JobError(ValueError):
    """Everything for which a job could not run, in one report.

    Attributes:
        problems: every `Problem` found, the errors and the rest.
    """

    def __init__(self, problems: Sequence[Problem], where: str) -> None:
        self.problems, self.where = tuple(problems), where
        errors = [problem for problem in self.problems if problem.severity == "error"]
        count = f"{len(errors)} problem{'s' * (len(errors) != 1)}"
        super().__init__("\n".join([f"{where}: {count}. {_SAFE}.", *(f"  {problem}".rstrip() for problem in errors)]))

    def __reduce__(self) -> tuple[type[JobError], tuple[tuple[Problem, ...], str]]:
        return JobError, (self.problems, self.where)  # so that it can come back from another process

    @classmethod
    def refuse(cls, problems: Sequence[Problem], where: str) -> None:
        """Raise the problems where at least one of them is an error."""
        if any(problem.severity == "error" for problem in problems):
            raise cls(problems, where)


def replicas_of(team: Team) -> int:
    """Return how many chips take a part of each step, over all machines that train."""
    return sum(count * machine.replicas for role, (count, machine) in team.items() if role != "evaluator") or 1


@dataclass(frozen=True)
class VertexPlan:
    """A job that was not sent yet; printed, it says what would run and how many machine-hours that is.

    Attributes:
        job: the API's CustomJob, as it would be sent.
        settings: of the config.
        run: the address of the run folder.
        project: the id of the project that pays.
        region: of the machines.
        image: the container image.
        team: the machines by their part.
        hours: after which Vertex AI stops the job.
        notes: what cannot be known for sure.
        allow_far: whether the bucket may be far from the machines.
    """

    job: dict[str, Any]
    settings: dict[str, Any]
    run: str
    project: str
    region: str
    image: str
    team: Team
    hours: float
    notes: tuple[str, ...] = ()
    allow_far: bool = False

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return sum(count for count, _ in self.team.values())

    @property
    def machine_hours(self) -> float:
        """At most so many hours of a machine are paid for: all machines for the whole time."""
        return self.machines * self.hours

    def check(self) -> tuple[str, ...]:
        """Look at everything that the machines will need, which sends nothing and costs nothing; return the notes.

        These are the records, the run folder, where their buckets are, the image, and whether another job is at work
        in the run folder. What Vertex AI alone knows, such as quota, it says when the job is sent.

        Raises:
            JobError: the job would fail; everything that was found, in one report.
            PermissionError: nobody is signed in, or this account may not look.
            OSError: Google could not be reached.
        """
        found = list(places.problems(self.settings, self.run, self.region, self.allow_far))
        with explained(self._asked()):
            found += images.missing(self.image)
        found += self._other_job()
        JobError.refuse(found, self._where)
        return (*self.notes, *map(str, found))

    def submit(self) -> VertexJob:
        """Check everything, then send the job: from here on machines cost money.

        Where its answer is lost on the way, the job is looked for, so that none runs unknown and none runs twice.

        Raises:
            JobError: as `check`; nothing was sent.
            ValueError: Vertex AI refuses the job as it is, and says why.
            PermissionError: this account or project may not run it; the line that changes this is named.
            FileNotFoundError: there is no such project, or no such image.
            OSError: there is not enough quota, or Google could not be reached.
        """
        for note in self.check():
            print(note)
        storage.write_bytes(storage.join(self.run, CONFIG), settings_of.write(self.settings))
        made = self._send()
        sent = VertexJob(made["name"], self.run, self.project, self.region, self.image)
        print(f"Sent: {sent.page}\nFrom here on it costs money, at most {self.machine_hours:g} machine-hours.")
        facts = {"name": sent.name, "project": self.project, "region": self.region, "image": self.image}
        text = json.dumps(facts | {"job": self.job}, indent=2) + "\n"
        storage.write_bytes(storage.join(self.run, f"{FOLDER}/job.json"), text.encode())
        return sent

    def _send(self) -> dict[str, Any]:
        """Send the job once, and return it as Vertex AI has it."""
        from googleapiclient.errors import HttpError

        parent, label = f"projects/{self.project}/locations/{self.region}", self.job["labels"][LABEL]
        with explained(self._asked()):
            jobs = connection.vertex(self.region)
        try:
            with explained(self._asked()):
                return jobs.create(parent=parent, body=self.job).execute()
        except (PermissionError, FileNotFoundError):
            raise
        except OSError as error:  # no quota, an answer of a broken server, or none at all
            if isinstance(error.__cause__, HttpError) and error.__cause__.status_code < 500:
                raise
            lost = error
        wanted = f"labels.{LABEL}={label}"
        look = f"gcloud ai custom-jobs list --region={self.region} --project={self.project} --filter={wanted}"
        with explained(self._asked(f"The answer was lost, so that it may be running and cost money; see {look}")):
            found = jobs.list(parent=parent, filter=wanted, pageSize=1).execute(num_retries=connection.TRIES)
        if not found.get("customJobs"):
            raise lost
        return found["customJobs"][0]

    def _other_job(self) -> Iterator[Problem]:
        """Yield that another job is at work in the run folder."""
        try:
            other = find(self.run)
            state = other.state()
        except FileNotFoundError:
            return
        if state not in ENDED:
            what = f"another job is at work in it ({other.name}, {state}), and two would overwrite each other"
            fix = f"Follow that one, jobs.find({self.run!r}).follow(), or end it with cancel()."
            yield Problem(where=self.run, what=what, fix=fix)

    @property
    def _where(self) -> str:
        return f"Vertex AI job {self.job['displayName']!r}"

    def _asked(self, safe: str = _SAFE) -> Asked:
        return Asked(self._where, self.project, self.region, self.image, safe)

    def __str__(self) -> str:
        batch, replicas = keys.flatten(self.settings)[keys.BATCH_SIZE], replicas_of(self.team)
        rows = [(role, f"{count} x {machine}") for role, (count, machine) in self.team.items()]
        rows += [("each step", f"{batch} photos, {batch // replicas} on each of {replicas} chips")]
        rows += [("image", self.image), ("run", self.run), ("machines are", self._kind())]
        hours = f"{self.machines} machines x {self.hours:g} hours = {self.machine_hours:g} machine-hours at most"
        rows += [("cost", f"{hours}; prices: {_PRICES}")]
        lines = [f"{self._where} in {self.region}, project {self.project}; not sent yet"]
        lines += [f"  {name:<13}{words}" for name, words in rows] + [f"  note         {note}" for note in self.notes]
        return "\n".join([*lines, "check() asks whether it would run; submit() sends it, and costs money."])

    def _kind(self) -> str:
        strategy = self.job["jobSpec"]["scheduling"].get("strategy")
        if strategy != "SPOT":
            return "yours until the job ends"
        return "spot: they may be taken away; the training then goes on from its last checkpoint"
