"""What Google's refusals mean: where, what, what is safe, and what to do, such as the line of gcloud that helps."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfod_helpers.files.storage import client
from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name, is_remote

PROJECTS = "The ids are in the first column of: gcloud projects list"
_PACKAGES = ("google", "requests", "urllib3", "http")  # whose errors Google's client lets through
_LONGEST = 300  # characters of the server's message
_SIGN_IN = (
    "In Colab run google.colab.auth.authenticate_user(), elsewhere 'gcloud auth application-default login', then run "
    "it again"
)
_AGAIN = "Check the network, and try again"

Meaning = tuple[type[Exception], str, str]  # which error it is, what happened, what to do


@dataclass(frozen=True)
class _Asked:
    """What was asked of Google: the arguments of `explained`."""

    where: str
    project: str | None
    location: str | None

    @property
    def bucket(self) -> str:
        """The bucket's name; empty where a project alone was asked about."""
        return bucket_and_name(self.where)[0] if is_remote(self.where) else ""


@contextlib.contextmanager
def explained(
    where: AnyPath, safe: str = "", *, project: str | None = None, location: str | None = None
) -> Iterator[None]:
    """Turn what Google's client raises into an error that says where, what, what is safe, and what to do.

    Args:
        where: the address of the file, folder or bucket, or ``project ID``.
        safe: what holds all the same, such as ``No bucket was made``.
        project: in which project a bucket was to be made.
        location: where.

    Raises:
        PermissionError: nobody is signed in, or this account, project or organisation does not allow it.
        FileNotFoundError: there is no such file or bucket.
        ValueError: there is no such project, location or account.
        ConnectionError: it could not be reached or did not do it, for a reason that passes, as often as it was tried.
        OSError: it answered as it should not, which stays.
        ModuleNotFoundError: google-cloud-storage is not installed.
    """
    asked = _Asked(address(where), project, location)
    try:
        from google.api_core import exceptions as api
        from google.cloud.storage import exceptions as transfer
    except ImportError:
        how = "Install it: pip install 'tfod_helpers[cloud]'"
        raise ModuleNotFoundError(f"{asked.where}: google-cloud-storage is not installed. {how}.") from None
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package not in _PACKAGES and not isinstance(error, ConnectionError | TimeoutError):
            raise  # this machine's own, such as a full disk
        last: Any = error.cause if isinstance(error, api.RetryError) else error  # what the last try met
        if isinstance(last, transfer.InvalidResponse):
            last = api.from_http_response(last.response)
        kind, what, fix = _meaning(last, asked)
        raise kind(". ".join(filter(None, [f"{asked.where}: {what} ({message(last)})", safe, f"{fix}."]))) from error


def message(error: Exception) -> str:
    """Return Google's message, without the URL that was asked and the form that it came in."""
    text = _answer(error).get("message") or getattr(error, "message", "") or str(error) or type(error).__name__
    text = re.sub(r"^[A-Z]+ https?://\S+: ", "", " ".join(text.split()))
    return text[:_LONGEST].rstrip(".")


def reason(error: Exception) -> str:
    """Return Google's word for an error, such as ``accountDisabled``; empty where it gave none."""
    return next((one.get("reason", "") for one in _answer(error).get("errors", [])), "")


def _answer(error: Exception) -> dict[str, Any]:
    """Return the ``message`` and ``errors`` of an answer, which uploads hide in their text.

    The form is that of https://cloud.google.com/storage/docs/json_api/v1/status-codes.
    """
    response: Any = getattr(error, "response", None)
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        return dict(response.json()["error"])
    return {}


def member(account: str) -> str:
    """Return an account's address as IAM names it: ``serviceAccount:...`` or ``user:...``."""
    return f"{'serviceAccount' if account.endswith('.gserviceaccount.com') else 'user'}:{account}"


def _meaning(error: Any, asked: _Asked) -> Meaning:
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    text = message(error)
    if isinstance(error, auth.DefaultCredentialsError) or "anonymous caller" in text.lower():
        client.forget()
        return PermissionError, "nobody is signed in to Google Cloud", _SIGN_IN
    if isinstance(error, auth.RefreshError) and isinstance(error.__cause__, auth.TransportError):
        return ConnectionError, "Google could not be reached", _AGAIN  # whoever gives the sign-in did not answer
    if isinstance(error, auth.RefreshError | api.Unauthorized):
        client.forget()
        return PermissionError, "the sign-in to Google Cloud is no longer valid", _SIGN_IN
    if client.is_wrong_checksum(error):
        fix = "Something on the way changes them: try another network, or without a proxy"
        return OSError, f"its bytes arrive with a wrong checksum, each of {client.TRIES} times", fix
    if not isinstance(error, api.GoogleAPICallError):
        return ConnectionError, "Google could not be reached", _AGAIN
    for look in (_of_project, _forbidden, _missing):
        if meaning := look(error, text, asked):
            return meaning
    if error.code == 429:
        fix = "Wait some minutes and run it again; where it stays, ask for more quota or use fewer threads"
        return ConnectionError, "Cloud Storage has too many requests of this project", fix
    if error.code in (409, 412):
        return OSError, "somebody else changed it at the same time", "Try again"
    passes = error.code == 408 or (error.code or 0) >= 500
    return ConnectionError if passes else OSError, "Cloud Storage did not do it", _AGAIN


def _of_project(error: Any, text: str, asked: _Asked) -> Meaning | None:
    """Return what the project, or the organisation that it belongs to, does not allow."""
    project = asked.project or "PROJECT"
    if "constraints/" in text or "permitted customer" in text:
        constraint = re.search(r"constraints/[\w.]+", text)
        which = constraint[0] if constraint else "constraints/iam.allowedPolicyMemberDomains"
        fix = f"Ask its administrator about {which}"
        if "resourceLocations" in which:
            fix = "Ask its administrator which regions are allowed, and give one: location='...'"
        return PermissionError, "your organisation does not allow it", fix
    if reason(error) == "accountDisabled" or "billing" in text.lower():
        fix = "Link a billing account (gcloud billing accounts list shows yours): "
        fix += f"gcloud billing projects link {project} --billing-account=ACCOUNT"
        return PermissionError, "the project has no billing account, and buckets need one", fix
    if reason(error) == "accessNotConfigured" or "has not been used in project" in text:
        number = re.search(r"in project (\w\S+)", text)
        fix = f"Run: gcloud services enable storage.googleapis.com --project={number[1] if number else project}"
        return PermissionError, "Cloud Storage is switched off in the project", f"{fix}, and wait a minute"
    return None


def _forbidden(error: Any, text: str, asked: _Asked) -> Meaning | None:
    """Return what an account lacks, and the line by which the bucket's owner gives it."""
    if error.code != 403:
        return None
    account = _account(text)
    who, bucket = account or "this account", f"gs://{asked.bucket}"
    gives = f"gcloud storage buckets add-iam-policy-binding {bucket} --member={member(account or 'ACCOUNT')}"
    if "storage.buckets.create" in text:
        project, place = asked.project or "PROJECT", asked.location or "LOCATION"
        fix = "Check the project's id (gcloud projects list). If it is right, ask its owner to run: "
        fix += f"gcloud storage buckets create {bucket} --project={project} --location={place} "
        fix += f"--uniform-bucket-level-access --public-access-prevention && {gives} --role=roles/storage.admin"
        return PermissionError, f"{who} may not make buckets in project {project!r}, or there is no such project", fix
    files = "storage.objects." in text or bool(bucket_and_name(asked.where)[1])
    thing, role = ("its files", "objectUser") if files else ("the bucket", "admin")
    what = f"{who} may not do that with {thing}, or the bucket is somebody else's"
    return PermissionError, what, f"Ask its owner to run: {gives} --role=roles/storage.{role}"


def _account(text: str) -> str:
    """Return the account that a refusal is about: the answer names it, or the key that this machine has."""
    if named := re.match(r"(\S+@\S+) does not have", text):
        return named[1]
    with contextlib.suppress(Exception):  # only for a better word
        email = getattr(client.client()._credentials, "service_account_email", "")
        return email if "@" in email else ""
    return ""


def _missing(error: Any, text: str, asked: _Asked) -> Meaning | None:
    """Return what there is not: a project, a location, an account, a bucket or a file."""
    if error.code not in (400, 404):
        return None
    if asked.project and "project" in text.lower():
        return ValueError, f"there is no project {asked.project!r}", PROJECTS
    if asked.location and "location" in text.lower():
        fix = "Give one of https://cloud.google.com/storage/docs/locations, such as location='us-central1'"
        return ValueError, f"Cloud Storage has no location {asked.location!r}", fix
    if "ccount" in text:
        return ValueError, "there is no such account", "Yours are listed by: gcloud iam service-accounts list"
    if "bucket does not exist" in text:
        fix = f"Check the name, or make it: bucket.ensure({asked.bucket!r})"
        return FileNotFoundError, "there is no such bucket", fix
    if error.code == 404:
        fix = f"Check the bucket and the name: gcloud storage ls gs://{asked.bucket}"
        return FileNotFoundError, "not there", fix
    return OSError, "Cloud Storage cannot do that", "Check what was given"
