"""What Vertex AI's refusals mean: where, what, whether anything was started, and what to do."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfod_helpers.files.storage.refusals import PROJECTS, member
from tfod_helpers.jobs.command import TAKEN_AWAY

_CRASHED = 139  # by a bad access to memory, which Vertex AI starts again too
_LONGEST = 600  # characters of the server's message
_SIGN_IN = "In Colab run google.colab.auth.authenticate_user(), elsewhere 'gcloud auth application-default login'"
_PACKAGES = ("google", "googleapiclient", "httplib2", "google_auth_httplib2", "http", "socket", "ssl")
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto; a job that failed says such a number.
_OF_RPC = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}

Meaning = tuple[type[Exception], str, str]  # which error it is, what happened, what to do


@dataclass(frozen=True)
class Asked:
    """What was asked of Google.

    Attributes:
        where: what the message begins with, such as ``Vertex AI job 'pets'``.
        project: its id.
        region: of the machines.
        image: of the job.
        safe: what holds all the same, such as ``Nothing was started``.
    """

    where: str
    project: str
    region: str
    image: str = ""
    safe: str = ""


@contextlib.contextmanager
def explained(asked: Asked) -> Iterator[None]:
    """Turn what Google's client raises into an error that says where, what, what is safe, and what to do.

    Raises:
        PermissionError: nobody is signed in, or this account or project does not allow it.
        FileNotFoundError: there is no such project, region, image or job.
        ValueError: Vertex AI refuses the job as it is.
        OSError: Google could not be reached, or has no room: no quota, or no such machine at the moment.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _PACKAGES and not isinstance(error, OSError):
            raise
        kind, what, fix = _meaning(error, asked)
        raise kind(". ".join(filter(None, [f"{asked.where}: {what}", asked.safe, f"{fix}."]))) from error


def of_failed_job(error: dict[str, Any], asked: Asked) -> str:
    """Return why a job failed and what to do, from its field ``error``."""
    text = _short(str(error.get("message", "")))
    _, what, fix = _of_answer(_OF_RPC.get(error.get("code", 0), 0), text, "", asked)
    return f"{what}. {fix}."


def _meaning(error: Any, asked: Asked) -> Meaning:
    name = type(error).__name__
    if name in ("DefaultCredentialsError", "RefreshError", "InvalidOperation"):
        return PermissionError, "nobody is signed in to Google Cloud, or no longer", f"{_SIGN_IN}, then run it again"
    if name != "HttpError":
        what = f"Google could not be reached ({_short(str(error)) or name})"
        return OSError, what, "Check the network, and try again"
    answer: dict[str, Any] = {}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        answer = dict(json.loads(error.content)["error"])
    reasons = [str(one.get("reason", "")) for one in answer.get("details", []) if isinstance(one, dict)]
    text = _short(answer.get("message") or str(error.reason or error))
    return _of_answer(int(error.status_code), text, next(filter(None, reasons), ""), asked)


def _short(text: str) -> str:
    return " ".join(text.split())[:_LONGEST].rstrip(". ")


def _of_answer(status: int, text: str, reason: str, asked: Asked) -> Meaning:
    """Return what an answer means.

    Args:
        status: of HTTP; 0 where it is not known.
        text: the server's message.
        reason: Google's word for it, such as ``SERVICE_DISABLED``.
        asked: what was asked.
    """
    for look in (_of_machine, _of_project, _of_room, _of_image, _of_permission, _of_request):
        if meaning := look(status, text, reason, asked):
            return meaning
    if status == 401:
        return PermissionError, f"the sign-in to Google Cloud is not valid ({text})", f"{_SIGN_IN}, then run it again"
    if status == 404:
        fix = f"Check the region, {asked.region!r}, and the project, {asked.project!r}"
        return FileNotFoundError, f"Google finds no such thing ({text})", fix
    return OSError, f"Vertex AI did not do it ({text})", "Try again later, or read the job's log"


def _of_project(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    project = asked.project
    if reason == "SERVICE_DISABLED" or "has not been used in project" in text or "is disabled" in text:
        service = re.search(r"\b([a-z]+\.googleapis\.com)", text)
        name = service[1] if service else "aiplatform.googleapis.com"
        fix = f"Run: gcloud services enable {name} --project={project}, wait a minute, and run it again"
        return PermissionError, f"the API {name} is switched off in project {project!r} ({text})", fix
    if reason == "BILLING_DISABLED" or "billing" in text.lower():
        fix = f"Run: gcloud billing projects link {project} --billing-account=ACCOUNT; "
        fix += "your accounts: gcloud billing accounts list"
        return PermissionError, f"project {project!r} has no billing account ({text})", fix
    hidden = status in (403, 404) and re.search(r"(?i)resource project|project .*not found", text)
    if reason == "CONSUMER_INVALID" or hidden:
        what = f"there is no project {project!r}, or this account may not see it ({text})"
        return FileNotFoundError, what, PROJECTS
    if "VPC Service Controls" in text or "constraints/" in text:
        return PermissionError, f"your organisation does not allow it ({text})", "Ask its administrator"
    return None


def _of_room(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    """Return which quota is used up, or that there is no such machine at the moment."""
    if "insufficient" in text.lower() or "stockout" in text.lower() or "does not have enough resources" in text:
        what = f"{asked.region} has no such machines left at the moment ({text})"
        return OSError, what, "Try again later, in another region, with other machines, or with spot=False"
    if status != 429:
        return None
    metrics = re.findall(r"aiplatform\.googleapis\.com/(\w+)", text)
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={asked.project}"
    which = f"quota of {' and '.join(metrics)} in {asked.region}" if metrics else "quota"
    fix = f"Ask for more at {page} (it takes hours or days), take fewer workers or other machines, or another region"
    return OSError, f"project {asked.project!r} has not enough {which} ({text})", fix


def _of_image(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    """Return that Vertex AI cannot fetch the image."""
    if not re.search(r"(?i)\bimage\b", text):
        return None
    fix = "Build and push it (the lines are at the top of the Dockerfile), or let Vertex AI read it: gcloud projects "
    fix += "add-iam-policy-binding PROJECT_OF_THE_IMAGE --role=roles/artifactregistry.reader --member="
    fix += "serviceAccount:service-PROJECT_NUMBER@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
    return FileNotFoundError, f"the image {asked.image} is not there, or Vertex AI may not read it ({text})", fix


def _of_permission(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    if status != 403:
        return None
    gives = f"gcloud projects add-iam-policy-binding {asked.project} --member={member('ACCOUNT')}"
    if "actAs" in text:
        account = re.search(r"[\w.-]+@[\w.-]+gserviceaccount\.com", text)
        gives = f"gcloud iam service-accounts add-iam-policy-binding {account[0] if account else 'SERVICE_ACCOUNT'} "
        fix = f"Ask the project's owner to run: {gives}--member={member('ACCOUNT')} --role=roles/iam.serviceAccountUser"
        return PermissionError, f"this account may not let a job act as that service account ({text})", fix
    what = f"this account may not run jobs in project {asked.project!r} ({text})"
    return PermissionError, what, f"Ask the project's owner to run: {gives} --role=roles/aiplatform.user"


def _of_request(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    """Return what Vertex AI finds wrong with the job itself, field by field."""
    if status != 400:
        return None
    found = re.findall(r"Field: ([\w.\[\]]+); Message: (.*?)(?=\s*\d+\.\s*Field:|$)", text)
    listed = "; ".join(f"{field}: {words.rstrip('. ')}" for field, words in found) or text
    return ValueError, f"Vertex AI refuses the job ({listed})", "Change that, and make the job again"


def _of_machine(status: int, text: str, reason: str, asked: Asked) -> Meaning | None:
    """Return what the exit code of a machine means; `python -m tfod_helpers.training` says which there are."""
    code = re.search(r"non-zero status of (\d+)", text)
    if not code:
        return None
    why = "Its last lines in the log say why"
    if code[1] == "2":
        return RuntimeError, f"the training refused its config or its data ({text})", why
    if int(code[1]) in (TAKEN_AWAY, _CRASHED):
        what = "machines were taken away, or the bucket did not answer, more often than Vertex AI starts a job again"
        return (
            RuntimeError,
            f"{what} ({text})",
            "Submit it again: it goes on from the last checkpoint; spot=False keeps machines",
        )
    return RuntimeError, f"the training ended with exit code {code[1]} ({text})", why
