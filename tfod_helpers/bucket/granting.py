"""One service account is let into one bucket, with the narrowest role that does it; and out again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfod_helpers.bucket import names, policy
from tfod_helpers.bucket.policy import Binding
from tfod_helpers.files.storage.client import client
from tfod_helpers.files.storage.refusals import explained, member

# https://cloud.google.com/storage/docs/access-control/iam-roles
ROLES = {
    "roles/storage.objectUser": "read, write and delete its files",
    "roles/storage.objectViewer": "read its files",
    "roles/storage.objectCreator": "add files to it",
    "roles/storage.legacyBucketReader": "list its files and look at its settings",
}
# Which account a program runs as when none was chosen, with the number of its project:
# https://cloud.google.com/vertex-ai/docs/general/custom-service-account,
# https://cloud.google.com/compute/docs/access/service-accounts, and TPU VMs are VMs.
_ACCOUNTS = {
    "vertex": "service-{}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com",
    "tpu": "{}-compute@developer.gserviceaccount.com",
    "vm": "{}-compute@developer.gserviceaccount.com",
}


@dataclass(frozen=True)
class Grant:
    """What an account may do with a bucket.

    Attributes:
        bucket: its name.
        account: the address of the service account.
        role: such as ``roles/storage.objectUser``.
        given: whether it holds the role now; else it was taken back.
        changed: whether that is new.
    """

    bucket: str
    account: str
    role: str
    given: bool
    changed: bool

    def __str__(self) -> str:
        does = ROLES.get(self.role, f"do what {self.role} allows")
        if not self.given:
            held = "may no longer" if self.changed else "was never given the role to"
            return f"gs://{self.bucket}: {self.account} {held} {does} ({self.role})."
        since = "may now" if self.changed else "might already, and may still"
        back = f"bucket.revoke({self.bucket!r}, {self.account!r}, {self.role!r})"
        line = f"gcloud storage buckets remove-iam-policy-binding gs://{self.bucket} "
        line += f"--member=serviceAccount:{self.account} --role={self.role}"
        words = f"gs://{self.bucket}: {self.account} {since} {does} ({self.role}), and got nothing else by this."
        return f"{words} It holds within minutes.\nTo take it back: {back}, or\n{line}"


def grant(name: str, service_account: str, role: str = "roles/storage.objectUser") -> Grant:
    """Let one service account into one bucket; doing it twice does no harm.

    Args:
        name: the bucket.
        service_account: its address, ``NAME@PROJECT.iam.gserviceaccount.com``; see `service_account`.
        role: one of `ROLES`.

    Raises:
        ValueError: the account is everybody, many or a person, or there is none; or the role is too wide.
        PermissionError: this account may not let others in, or the organisation does not allow it.
        FileNotFoundError: there is no such bucket.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    name, _ = names.bucket(name)
    account = names.account(service_account)
    _check(role)
    who = member(account)

    def add(bindings: list[Binding]) -> bool:
        for binding in bindings:
            if binding["role"] == role and not binding.get("condition"):
                if who in binding["members"]:
                    return False
                binding["members"].add(who)
                return True
        bindings.append({"role": role, "members": {who}})
        return True

    with explained(f"gs://{name}", "Nobody was let in"):
        return Grant(name, account, role, given=True, changed=policy.change(name, add))


def revoke(name: str, service_account: str, role: str = "roles/storage.objectUser") -> Grant:
    """Take a role on a bucket back from a service account, with conditions or without; others keep theirs.

    Args:
        name: the bucket.
        service_account: its address.
        role: the role that it holds, of any width.

    Raises:
        ValueError: the account is none; `close` is for everybody.
        PermissionError: this account may not change who gets in.
        FileNotFoundError: there is no such bucket.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    name, _ = names.bucket(name)
    account = names.account(service_account)
    who = member(account)

    def take(bindings: list[Binding]) -> bool:
        held = [binding for binding in bindings if binding["role"] == role and who in binding["members"]]
        for binding in held:
            binding["members"].discard(who)
        return bool(held)

    with explained(f"gs://{name}", "Nothing was taken back"):
        return Grant(name, account, role, given=False, changed=policy.change(name, take))


def service_account(runs_on: str, project: str) -> str:
    """Return the address of the account that a program runs as, where nobody chose another.

    Args:
        runs_on: ``vertex`` for Vertex AI's custom training, ``tpu`` for a TPU VM, ``vm`` for any other machine of
            Compute Engine.
        project: the id of the project that it runs in.

    Raises:
        ValueError: it runs on something else, or the project is none, or this account may not look at it.
        PermissionError: nobody is signed in.
        OSError: Google could not be reached.
    """
    if runs_on not in _ACCOUNTS:
        raise ValueError(f"runs_on: {runs_on!r} is not known. Give one of {', '.join(map(repr, _ACCOUNTS))}.")
    project = names.project(project)
    with explained(f"project {project}", "Nothing was changed"):
        number = project_number(project)
    if number is None:
        what = f"project: there is no {project!r}, or this account may not look at it"
        raise ValueError(f"{what}. Check it: gcloud projects describe {project}")
    return _ACCOUNTS[runs_on].format(number)


def project_number(project: str) -> str | None:
    """Return the number of a project, from the address of its own account of Cloud Storage; None where it is hidden."""
    from google.api_core import exceptions as api

    try:
        address = client().get_service_account_email(project=project)
    except (api.BadRequest, api.Forbidden, api.NotFound):
        return None
    found = re.match(r"service-(\d+)@", address)
    return found[1] if found else None


def _check(role: str) -> None:
    """Refuse a role that gives more than files.

    Raises:
        ValueError: saying why.
    """
    if role in ROLES:
        return
    if f"roles/storage.{role}" in ROLES:
        why = f"has its full name to be given, 'roles/storage.{role}'"
    elif any(word in role.lower() for word in ("admin", "owner", "editor")):
        why = "would let the account open the bucket to others, or delete all of it; training needs files alone"
    else:
        why = "is not known to be narrow"
    known = "; ".join(f"{one} may {does}" for one, does in ROLES.items())
    raise ValueError(f"role: {role!r} {why}. Nobody was let in. {known}.")
