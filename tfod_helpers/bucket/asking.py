"""Google's client, and what its refusals mean: where, what was found, what is safe, and the line that mends it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_helpers.bucket import names
from tfod_helpers.files.storage.client import SIGN_IN, client, forget

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError


@dataclass(frozen=True)
class Asked:
    """What was asked of Cloud Storage, for the words about its refusal.

    Attributes:
        bucket: the bucket's name; empty where a project alone was asked about.
        safe: what holds all the same, such as "No bucket was made".
        project: in which project the bucket was to be made.
        location: where.
    """

    bucket: str
    safe: str
    project: str | None = None
    location: str | None = None

    @property
    def where(self) -> str:
        """The bucket's address, or the project."""
        return f"gs://{self.bucket}" if self.bucket else f"project {self.project}"


@contextlib.contextmanager
def told(asked: Asked) -> Iterator[None]:
    """Turn what Google's client raises into an error that says where, what, what is safe, and what to do.

    Raises:
        PermissionError: nobody is signed in, or this account, project or organisation does not allow it.
        FileNotFoundError: there is no such bucket.
        FileExistsError: somebody else has a bucket of this name.
        ValueError: there is no such project, location or account.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    try:
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth
        from google.cloud.storage import exceptions as transfer
    except ImportError:
        how = "Install it: pip install 'tfod_helpers[cloud]'"
        raise ModuleNotFoundError(f"{asked.where}: google-cloud-storage is not installed. {how}.") from None
    try:
        yield
    except OSError as error:
        # What the library below raises where a call is not tried again; this machine's own errors pass.
        if not type(error).__module__.startswith(("requests", "urllib3")):
            raise
        raise OSError(f"{asked.where}: Google could not be reached ({error}). {asked.safe}. Try again.") from error
    except auth.TransportError as error:
        raise OSError(f"{asked.where}: Google could not be reached ({error}). {asked.safe}. Try again.") from error
    except (auth.GoogleAuthError, api.Unauthorized) as error:
        forget()
        what = f"{asked.where}: nobody is signed in to Google Cloud, or no longer ({plain(error)})"
        raise PermissionError(f"{what}. {asked.safe}. {SIGN_IN}.") from error
    except api.GoogleAPICallError as error:
        kind, what, fix = _meaning(error, asked)
        raise kind(f"{asked.where}: {what} ({plain(error)}). {asked.safe}. {fix}.") from error
    except (api.GoogleAPIError, transfer.DataCorruption) as error:
        raise OSError(f"{asked.where}: Cloud Storage did not do it ({error}). {asked.safe}. Try again.") from error


def plain(error: Exception) -> str:
    """Return what Google says, without the address that was asked and the form that it came in."""
    return str(_details(error).get("message") or error).strip().rstrip(".")


def _details(error: Exception) -> dict[str, Any]:
    """Return the ``message`` and ``reason`` of an answer.

    The form is that of https://cloud.google.com/storage/docs/json_api/v1/status-codes; uploads hide it in the text.
    """
    response = getattr(error, "response", None)
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
        body = response.json()["error"]
        return {"message": body["message"], "reason": body.get("errors", [{}])[0].get("reason", "")}
    return {}


def reason(error: Exception) -> str:
    """Return Google's word for an error, such as ``accountDisabled``; empty where it gave none."""
    return _details(error).get("reason", "")


def project_number(project: str) -> str | None:
    """Return the number of a project, from the address of its own account of Cloud Storage; None where it is hidden."""
    from google.api_core import exceptions as api

    try:
        address = client().get_service_account_email(project=project)
    except (api.BadRequest, api.Forbidden, api.NotFound):
        return None
    found = re.match(r"service-(\d+)@", address)
    return found[1] if found else None


def free_name(name: str, project: str | None) -> str:
    """Return a name that nobody else is likely to have: an id of a project is the world's only one."""
    longer = f"{(project or 'my-project-id').rpartition(':')[2]}-{name}"
    return longer if len(longer) <= 63 and not name.startswith(f"{project}-") else f"{name[:58]}-{os.urandom(2).hex()}"


def _meaning(error: GoogleAPICallError, asked: Asked) -> tuple[type[Exception], str, str]:
    """Return which error it is, what happened, and what to do."""
    said, project = plain(error), asked.project or "PROJECT"
    if "constraints/" in said or "permitted customer" in said:
        return PermissionError, "your organisation does not allow it", _organisation(said)
    if reason(error) == "accountDisabled" or "billing" in said.lower():
        fix = "Link a billing account (gcloud billing accounts list shows yours): "
        fix += f"gcloud billing projects link {project} --billing-account=ACCOUNT"
        return PermissionError, "the project has no billing account, and buckets need one", fix
    if reason(error) == "accessNotConfigured" or "has not been used in project" in said:
        number = re.search(r"in project (\w\S+)", said)
        fix = f"Run: gcloud services enable storage.googleapis.com --project={number[1] if number else project}"
        return PermissionError, "Cloud Storage is switched off in the project", f"{fix}, and wait a minute"
    if error.code == 403:
        return PermissionError, *_forbidden(said, asked)
    if error.code == 409 and asked.project:
        fix = f"Choose another name, such as {free_name(asked.bucket, asked.project)!r}"
        return FileExistsError, "the name is taken by somebody else; all the world shares the names", fix
    if error.code in (400, 404):
        return _no_such(said, asked)
    if error.code in (409, 412):
        return OSError, "somebody else changed it at the same time", "Try again"
    return OSError, "Cloud Storage did not do it", "Try again"


def _no_such(said: str, asked: Asked) -> tuple[type[Exception], str, str]:
    if asked.project and "project" in said.lower():
        return ValueError, f"there is no project {asked.project!r}", names.PROJECTS
    if asked.location and "location" in said.lower():
        fix = "Give one of https://cloud.google.com/storage/docs/locations, such as location='us-central1'"
        return ValueError, f"Cloud Storage has no location {asked.location!r}", fix
    if "ccount" in said:
        return ValueError, "there is no such account", "Yours are listed by: gcloud iam service-accounts list"
    if "bucket does not exist" in said:
        fix = f"Check the name, or make it: bucket.ensure({asked.bucket!r})"
        return FileNotFoundError, "there is no such bucket", fix
    return OSError, "Cloud Storage cannot do that", "Check what was given"


def _organisation(said: str) -> str:
    constraint = re.search(r"constraints/[\w.]+", said)
    if constraint and "resourceLocations" in constraint[0]:
        return "Ask its administrator which regions are allowed, and give one: location='...'"
    which = constraint[0] if constraint else "constraints/iam.allowedPolicyMemberDomains"
    return f"Ask its administrator about {which}"


def _forbidden(said: str, asked: Asked) -> tuple[str, str]:
    """Return what an account lacks, and the line by which the bucket's owner gives it."""
    address = re.match(r"\S+@\S+", said)
    who = member(address[0]) if address else "user:YOUR_ADDRESS"
    asks = f"gcloud storage buckets add-iam-policy-binding {asked.where} --member={who}"
    if "storage.buckets.create" in said:
        project, place = asked.project or "PROJECT", asked.location or "LOCATION"
        fix = "Check the project's id (gcloud projects list). If it is right, ask its owner to run: "
        fix += f"gcloud storage buckets create {asked.where} --project={project} --location={place} "
        fix += f"--uniform-bucket-level-access --public-access-prevention && {asks} --role=roles/storage.admin"
        return f"this account may not make buckets in project {project!r}, or there is no such project", fix
    asks = f"Ask its owner to run: {asks}"
    if "storage.objects." in said:
        what = "this account may not do that with its files, or the bucket is somebody else's"
        return what, f"{asks} --role=roles/storage.objectUser"
    return (
        "this account may not do that with the bucket, or it is somebody else's",
        f"{asks} --role=roles/storage.admin",
    )


def member(address: str) -> str:
    """Return an address as IAM names it: ``serviceAccount:...`` or ``user:...``."""
    return f"{'serviceAccount' if address.endswith('.gserviceaccount.com') else 'user'}:{address}"
