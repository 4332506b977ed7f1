"""What is wrong with who gets into a bucket: each thing in plain words, with the line that fixes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfod_helpers.bucket.policy import Binding

EVERYBODY = {"allUsers": "Everybody on the internet", "allAuthenticatedUsers": "Everybody with a Google account"}
# https://cloud.google.com/storage/docs/access-control/iam-roles
_DOES = {
    "roles/storage.admin": "read, replace and delete every file, delete the bucket and let others in",
    "roles/storage.objectAdmin": "read, replace and delete every file",
    "roles/storage.objectUser": "read, replace and delete every file",
    "roles/storage.objectViewer": "list and read every file",
    "roles/storage.objectCreator": "add files, which you pay for",
    "roles/storage.legacyObjectReader": "read every file whose name they know",
    "roles/storage.legacyObjectOwner": "read every file and change who may",
    "roles/storage.legacyBucketReader": "list the files",
    "roles/storage.legacyBucketWriter": "list, replace and delete the files, and add others, which you pay for",
    "roles/storage.legacyBucketOwner": "list, replace and delete the files, and let others in",
}
# What of them lets others in, or all of a project's doors: more than files.
_WIDE = {"roles/storage.admin", "roles/storage.legacyBucketOwner", "roles/owner", "roles/editor"}
_LISTED = {"READER": "read", "WRITER": "change", "OWNER": "read, replace and let others into"}
_OF_PROJECT = ("projectOwner:", "projectEditor:", "projectViewer:")


@dataclass(frozen=True)
class Finding:
    """One thing about who gets into a bucket.

    Attributes:
        state: ``OPEN`` to the world, ``LOOSE`` where it is wider than a training needs, or ``OK``.
        what: what was found, and what it means.
        fix: the line that does; empty where nothing has to be.
    """

    state: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.state:<6}{self.what}" + (f"\n      Fix: {self.fix}" if self.fix else "")


def of_policy(name: str, bindings: list[Binding], prevented: bool) -> Iterator[Finding]:
    """Look through the roles on a bucket. A bucket's own access list stands among them, as ``legacyBucket...``.

    Args:
        name: the bucket.
        bindings: of its policy.
        prevented: whether public access prevention holds.
    """
    public = wide = False
    for binding in bindings:
        for member in sorted(binding["members"]):
            if member in EVERYBODY:
                public = True
                yield _public(name, binding, member, prevented)
            elif found := _too_wide(name, binding, member):
                wide = True
                yield found
    if not public:
        yield Finding("OK", "No role on the bucket is given to everybody.")
    if not wide:
        yield Finding("OK", "No service account, group or company holds a role that is wider than files.")


def _public(name: str, binding: Binding, member: str, prevented: bool) -> Finding:
    role = binding["role"]
    may = f"may {_DOES.get(role, f'do what {role} allows')}"
    words = f"{EVERYBODY[member]} {may}{_when(binding)}: {member} holds {role}."
    if prevented:
        words += " Public access prevention holds them off, as long as it is on."
    return Finding("LOOSE" if prevented else "OPEN", words, _takes(name, binding, member))


def _too_wide(name: str, binding: Binding, member: str) -> Finding | None:
    kind, _, who = member.partition(":")
    role = binding["role"]
    many = {"domain": "Everybody of", "group": "Everybody in"}.get(kind, "The account")
    if member.startswith(_OF_PROJECT) or not (kind == "domain" or (role in _WIDE and kind != "user")):
        return None
    words = (
        f"{many} {who} may {_DOES.get(role, f'do what {role} allows')}{_when(binding)} ({role}), more than it needs."
    )
    narrowed = f"bucket.grant({name!r}, {who!r}); bucket.revoke({name!r}, {who!r}, {role!r})"
    return Finding("LOOSE", words, narrowed if kind == "serviceAccount" else _takes(name, binding, member))


def _when(binding: Binding) -> str:
    condition = binding.get("condition")
    return f", where the condition {condition.get('title', '')!r} holds" if condition else ""


def _takes(name: str, binding: Binding, member: str) -> str:
    line = f"gcloud storage buckets remove-iam-policy-binding gs://{name} --member={member} --role={binding['role']}"
    return f"{line} --all" if binding.get("condition") else line


def of_settings(name: str, uniform: bool, prevented: bool) -> Iterator[Finding]:
    """Look at the two settings that keep a bucket closed.

    Args:
        name: the bucket.
        uniform: whether uniform bucket-level access is on.
        prevented: whether public access prevention is enforced on the bucket itself.
    """
    update = f"gcloud storage buckets update gs://{name}"
    if prevented:
        yield Finding("OK", "Public access prevention is enforced: nobody can open it to the world by mistake.")
    else:
        words = "Public access prevention is not enforced here: one wrong click opens it to the world."
        yield Finding("LOOSE", words, f"{update} --public-access-prevention")
    if uniform:
        yield Finding("OK", "Uniform access is on: no file has an access list of its own.")
    else:
        words = "Uniform access is off: each file can have an access list of its own, which nobody looks at."
        yield Finding("LOOSE", words, f"{update} --uniform-bucket-level-access")


def of_lists(
    name: str, default: list[dict[str, str]], files: list[dict[str, Any]], more: bool, prevented: bool
) -> Iterator[Finding]:
    """Look through the access list that new files get, and those of files.

    Args:
        name: the bucket.
        default: the entries for new files, each with ``entity`` and ``role``.
        files: some of its files, each with ``name`` and ``acl``.
        more: whether there are others.
        prevented: whether public access prevention holds.
    """
    state, held = ("LOOSE", ", held off by public access prevention") if prevented else ("OPEN", "")
    for entry in default:
        if entry["entity"] in EVERYBODY:
            words = f"{EVERYBODY[entry['entity']]} may {_LISTED[entry['role']]} every file that is added{held}: "
            fix = f"gcloud storage buckets update gs://{name} --remove-default-object-acl-grant={entry['entity']}"
            yield Finding(state, f"{words}{entry['entity']} is in the default access list.", fix)
    for who, whom in EVERYBODY.items():
        open_ones = [file["name"] for file in files if any(entry["entity"] == who for entry in file.get("acl", ()))]
        if open_ones:
            some = ", ".join(open_ones[:3]) + (", ..." if len(open_ones) > 3 else "")
            words = f"{whom} may read {len(open_ones):,} of the {_looked_at(files, more)}{held}: {some}"
            fix = f"gcloud storage objects update 'gs://{name}/**' --remove-acl-grant={who}"
            yield Finding(state, words, fix)
    hidden = sum("acl" not in file for file in files)
    if hidden:
        words = f"The access lists of {hidden:,} of the {_looked_at(files, more)} could not be seen with this account."
        yield Finding("LOOSE", words, f"gcloud storage buckets update gs://{name} --uniform-bucket-level-access")


def _looked_at(files: list[dict[str, Any]], more: bool) -> str:
    return f"first {len(files):,} files" if more else f"{len(files):,} files"
