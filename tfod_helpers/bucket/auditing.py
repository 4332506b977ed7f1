"""Who gets into a bucket besides you, and the call that shuts the world out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_helpers.bucket import names, policy
from tfod_helpers.bucket.findings import EVERYBODY, Finding, of_lists, of_policy, of_settings
from tfod_helpers.bucket.policy import Binding
from tfod_helpers.files.storage.client import client
from tfod_helpers.files.storage.refusals import explained

if TYPE_CHECKING:
    from google.cloud import storage

_FILES = 1000  # looked at: what one answer holds
# What the lists of files gave a project's own people; the console offers to keep it by the same roles:
# https://cloud.google.com/storage/docs/using-uniform-bucket-level-access
_KEPT = {
    "projectOwner:": "roles/storage.legacyObjectOwner",
    "projectEditor:": "roles/storage.legacyObjectOwner",
    "projectViewer:": "roles/storage.legacyObjectReader",
}
_ON_BUCKET = ("roles/storage.legacyBucketOwner", "roles/storage.legacyBucketReader")


@dataclass(frozen=True)
class Audit:
    """Who gets into a bucket.

    Attributes:
        name: of the bucket.
        findings: what is open first, then what is loose, then what is well.
        can_close: whether `close` has something to do.
        listed: whom access lists of files let in besides a project's own people; uniform access ends that.
    """

    name: str
    findings: tuple[Finding, ...]
    can_close: bool
    listed: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether everybody gets in, in one way or another."""
        return any(finding.state == "OPEN" for finding in self.findings)

    def close(self) -> Audit:
        """Shut the world out, as `close` does, and look again."""
        return close(self.name)

    def __str__(self) -> str:
        loose = any(finding.state == "LOOSE" for finding in self.findings)
        verdict = "OPEN TO THE WORLD" if self.is_open else "closed, and looser than it need be" if loose else "closed"
        lines = [f"gs://{self.name}: {verdict}", *map(str, self.findings)]
        if self.can_close:
            lines.append(f"bucket.close({self.name!r}) takes everybody's roles away and turns the two settings on.")
        return "\n".join(lines)


def audit(name: str) -> Audit:
    """Look who gets into a bucket; nothing is changed.

    Not seen, because the bucket does not show it: roles given on the project or on folders within the bucket, and
    an organisation's own public access prevention, which would hold off what is called open here.

    Args:
        name: the bucket.

    Raises:
        FileNotFoundError: there is no such bucket.
        PermissionError: nobody is signed in, or this account may not look; roles/storage.admin on the bucket may.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    name, _ = names.bucket(name)
    with explained(f"gs://{name}", "Nothing was changed"):
        bucket = client().get_bucket(name)
        uniform, prevented = _settings(bucket)
        bindings = policy.read(name)
        found = [*of_settings(name, uniform, prevented), *of_policy(name, bindings, prevented)]
        listed: set[str] = set()
        if not uniform:
            default, (files, more) = list(bucket.default_object_acl), _files(name)
            found += of_lists(name, default, files, more, prevented)
            lists = [default, *(file.get("acl", []) for file in files)]
            listed = {entry["entity"] for entries in lists for entry in entries}
    order = ["OPEN", "LOOSE", "OK"]
    found.sort(key=lambda finding: order.index(finding.state))
    people = [who for who in sorted(listed) if who not in EVERYBODY and not who.startswith("project-")]
    everybody = any(EVERYBODY.keys() & binding["members"] for binding in bindings)
    return Audit(name, tuple(found), everybody or not (uniform and prevented), tuple(people))


def close(name: str) -> Audit:
    """Shut the world out of a bucket, print what was changed, and look again.

    Everybody loses every role on it, public access prevention and uniform access are turned on, and with uniform
    access the lists of single files end. The project's own people keep what those lists gave them. Roles of accounts
    stay; what is too wide of them is in the audit.

    Args:
        name: the bucket.

    Raises:
        FileNotFoundError: there is no such bucket.
        PermissionError: this account may not change who gets in.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    before = audit(name)
    name = before.name
    done: list[str] = []
    with explained(f"gs://{name}", "Nothing was changed"):
        bucket = client().get_bucket(name)
        uniform, prevented = _settings(bucket)
        policy.change(name, lambda bindings: _without_everybody(bindings, done, keep=not uniform))
    print(*[f"gs://{name}: {one}" for one in done], sep="\n", end="\n" if done else "")
    if not (uniform and prevented):
        with explained(f"gs://{name}", "Everybody's roles are gone; the two settings are as they were"):
            bucket.reload()  # the change of the policy gave it another number
            bucket.iam_configuration.uniform_bucket_level_access_enabled = True
            bucket.iam_configuration.public_access_prevention = "enforced"
            bucket.patch(if_metageneration_match=bucket.metageneration)
    for word in _turned_on(before, uniform, prevented):
        print(f"gs://{name}: {word}")
    if not done and uniform and prevented:
        print(f"gs://{name}: was closed already; nothing was changed.")
    return audit(name)


def _settings(bucket: storage.Bucket) -> tuple[bool, bool]:
    """Return whether uniform access is on, and whether public access prevention is enforced."""
    settings = bucket.iam_configuration
    return settings.uniform_bucket_level_access_enabled, settings.public_access_prevention == "enforced"


def _files(name: str) -> tuple[list[dict[str, Any]], bool]:
    """Return some files with their access lists, and whether there are more, in one answer."""
    listing = client().list_blobs(name, projection="full", page_size=_FILES)
    answer = next(listing.pages).raw_page
    return answer.get("items", []), "nextPageToken" in answer


def _without_everybody(bindings: list[Binding], done: list[str], keep: bool) -> bool:
    """Take everybody out of a policy, in place; with ``keep``, give the project's own people the roles on files."""
    done.clear()  # a second turn starts from what somebody else wrote
    for binding in bindings:
        for member in sorted(binding["members"] & EVERYBODY.keys()):
            binding["members"].discard(member)
            done.append(f"took {binding['role']} from {member}.")
    held = [one for one in bindings if one["role"] in _ON_BUCKET and not one.get("condition")]
    own = {member for one in held for member in one["members"]}
    for member in sorted(own) if keep else ():
        role = next((role for start, role in _KEPT.items() if member.startswith(start)), None)
        plain = [one for one in bindings if one["role"] == role and not one.get("condition")]
        if role and not any(member in one["members"] for one in plain):
            (plain[0]["members"].add(member) if plain else bindings.append({"role": role, "members": {member}}))
            done.append(f"gave {role} to {member}, who had it by the lists of files.")
    return bool(done)


def _turned_on(before: Audit, uniform: bool, prevented: bool) -> list[str]:
    """Return what turning the settings on means."""
    words = [] if prevented else ["turned public access prevention on."]
    if not uniform:
        back = f"gcloud storage buckets update gs://{before.name} --no-uniform-bucket-level-access"
        words.append(f"turned uniform access on; for 90 days it can be taken back: {back}")
        if before.listed:
            who = ", ".join(before.listed)
            words.append(f"lists of files let in {who}, and no longer do; bucket.grant lets one in.")
    return words
