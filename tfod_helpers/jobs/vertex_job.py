"""A job that was sent to Vertex AI: followed, cancelled, found again, and its run brought home."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Run
from tfod_helpers.jobs import connection
from tfod_helpers.jobs.command import FOLDER
from tfod_helpers.jobs.places import read_json
from tfod_helpers.jobs.refusals import Asked, explained, of_failed_job

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
_SLOW = 600.0  # seconds in a queue, after which it is worth saying what it may wait for
_MISSES = 20  # looks in a row that may fail
_MEANS = {
    "QUEUED": "waits for its turn, or for quota",
    "PENDING": "machines are being made ready, and fetch the image",
    "RUNNING": "all machines are there",
    "CANCELLING": "machines are being stopped",
    "PAUSED": "was stopped, and can go on",
    "UPDATING": "is being changed",
    "SUCCEEDED": "the training is finished",
    "PARTIALLY_SUCCEEDED": "ended, and something is missing",
    "FAILED": "ended with an error",
    "CANCELLED": "was cancelled",
    "EXPIRED": "its time was over before it began",
}


@dataclass(frozen=True)
class VertexJob:
    """A job of Vertex AI.

    Attributes:
        name: as Vertex AI knows it: ``projects/NUMBER/locations/REGION/customJobs/NUMBER``.
        run: the address of the run folder.
        project: its project's id.
        region: where its machines are.
        image: what they run.
    """

    name: str
    run: str
    project: str
    region: str
    image: str

    @property
    def id(self) -> str:
        """The number by which gcloud and the console know it in its region."""
        return self.name.rpartition("/")[2]

    @property
    def page(self) -> str:
        """The address of its page in the console, with its machines' load and its log."""
        return (
            f"https://console.cloud.google.com/vertex-ai/locations/{self.region}/training/{self.id}"
            f"?project={self.project}"
        )

    @property
    def log(self) -> str:
        """The command that shows what the machines print."""
        return f"gcloud ai custom-jobs stream-logs {self.id} --region={self.region} --project={self.project}"

    def read(self) -> dict[str, Any]:
        """Return the job as Vertex AI has it now, with every field.

        Raises:
            FileNotFoundError: there is no such job any more.
            PermissionError: nobody is signed in, or this account may not see it.
            OSError: Google could not be reached.
        """
        with explained(self._asked()):
            return connection.vertex(self.region).get(name=self.name).execute(num_retries=connection.TRIES)

    def state(self) -> str:
        """Return the state in which it is, such as ``RUNNING``; `read` says what else there is to know.

        Raises:
            OSError: it cannot be read.
        """
        return state_of(self.read())

    def cancel(self) -> None:
        """Stop the machines; what the run folder holds stays, and the same plan goes on from there.

        Raises:
            PermissionError: this account may not.
            FileNotFoundError: there is no such job.
            OSError: Google could not be reached.
        """
        if (state := self.state()) in ENDED:
            print(f"Nothing to cancel: the job {_MEANS[state]}.")
            return
        with explained(self._asked("It may be running, and cost money")):
            connection.vertex(self.region).cancel(name=self.name, body={}).execute(num_retries=connection.TRIES)
        print(f"Vertex AI stops the machines, which takes a minute. What is in {self.run} stays.")

    def follow(self, seconds: float = 30.0) -> None:
        """Print each change of the job's state and each checkpoint of the run, until the job ends.

        Interrupting it ends only the printing: the job goes on. `find` finds it again.

        Args:
            seconds: between two looks.

        Raises:
            RuntimeError: the job failed or was cancelled; the message says why, and what to do.
            OSError: it cannot be read.
        """
        print(f"What the machines print: {self.log}\nTheir load, and the log too: {self.page}")
        seen, step, since = "", 0, time.monotonic()
        try:
            for job in self._looks(seconds):
                state = state_of(job)
                if state != seen:
                    _say(f"{state}: {_MEANS.get(state, 'see its page')}")
                    seen, since = state, time.monotonic()
                elif state == "QUEUED" and time.monotonic() - since > _SLOW:
                    _say(f"still waiting; the project may have too little quota in {self.region}")
                    since = float("inf")
                if state not in ("QUEUED", "PENDING"):
                    step = self._say_step(step)
        except KeyboardInterrupt:
            print(f"No longer followed; the job goes on, and costs money. Stop it: jobs.find({self.run!r}).cancel()")
            return
        if state != "SUCCEEDED":
            raise RuntimeError(self._why(job, state))
        print(f"Bring it home: jobs.find({self.run!r}).bring_home('runs/{self.run.rpartition('/')[2]}')")

    def bring_home(self, folder: storage.AnyPath) -> Run:
        """Copy the run to this machine, once the job has ended, and return it; a copy that broke off is finished.

        Args:
            folder: the run folder here, made where it is new.

        Raises:
            RuntimeError: the job is still running, and changes the run.
            FileExistsError: another run is in the folder.
            FileNotFoundError: there is nothing in the run folder yet.
            OSError: the bucket cannot be reached, or the disk is too small.
        """
        if (state := self.state()) not in ENDED:
            how = f"Wait with follow(), or look at it where it is: training.evaluate({self.run!r})"
            raise RuntimeError(f"{self.run}: the job still writes it ({state}). Nothing was copied. {how}.")
        run = Run(Path(storage.address(folder)))
        here, there = run.read_manifest(), read_json(storage.join(self.run, "run.json"))
        if here and here.get("id") != there.get("id"):
            raise FileExistsError(f"{run.folder}: another run is here. Nothing was copied. Choose another folder.")
        print(f"{run.folder}: {storage.download_folder(self.run, run.folder)}.")
        return run

    def _looks(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the job at each look, until it has ended; a network that is gone for a while ends nothing."""
        missed = 0
        while True:
            try:
                job = self.read()
            except (PermissionError, FileNotFoundError):
                raise
            except OSError as error:
                missed += 1
                if missed > _MISSES:
                    raise
                why = str(error).partition(". ")[0]
                _say(f"{why}. Missed {missed} of {_MISSES} looks in a row; the job goes on")
            else:
                missed = 0
                yield job
                if state_of(job) in ENDED:
                    return
            time.sleep(seconds)

    def _say_step(self, before: int) -> int:
        """Say how far the run is, where that is news; return its step."""
        try:
            manifest = read_json(storage.join(self.run, "run.json"))
        except OSError:  # it is news only, and the next look brings it
            return before
        step = int(manifest.get("step") or 0)
        if step != before:
            scores = [one for one in manifest.get("models", []) if one.get("step") == step]
            _say(f"step {step} is in the bucket" + "".join(f", AP {one['ap']:.3f}" for one in scores))
        return step

    def _why(self, job: Mapping[str, Any], state: str) -> str:
        """Return why a job did not succeed."""
        where = f"Vertex AI job {self.id}"
        safe = f"What was kept until then is in {self.run}"
        if error := job.get("error"):
            return f"{where}: {of_failed_job(dict(error), self._asked())} {safe}. Its log: {self.log}"
        return f"{where}: {_MEANS[state]}. {safe}; the same plan, sent again, goes on from there."

    def _asked(self, safe: str = "") -> Asked:
        return Asked(f"Vertex AI job {self.id}", self.project, self.region, self.image, safe)


def find(run: storage.AnyPath) -> VertexJob:
    """Return the job that was sent last for a run folder, such as after this notebook was closed.

    Args:
        run: the address of the run folder.

    Raises:
        FileNotFoundError: none was sent for it.
        OSError: the bucket cannot be reached.
    """
    address = storage.address(run).rstrip("/")
    sent = read_json(storage.join(address, f"{FOLDER}/job.json"))
    if not sent:
        raise FileNotFoundError(f"{address}: no job was sent for this run folder. Check the address, or make a job.")
    return VertexJob(sent["name"], address, sent["project"], sent["region"], sent["image"])


def state_of(job: Mapping[str, Any]) -> str:
    """Return the state of a job in one word; ``UNKNOWN`` where Vertex AI says none."""
    return str(job.get("state", "UNKNOWN")).removeprefix("JOB_STATE_")


def _say(words: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {words}", flush=True)
