"""What a bucket, a project, a location and a service account may be called; checked before the network is asked.

Sources: https://cloud.google.com/storage/docs/buckets#naming,
https://cloud.google.com/resource-manager/docs/creating-managing-projects,
https://cloud.google.com/storage/docs/locations.
"""

from __future__ import annotations

import os
import re

from tfod_helpers.files.storage.refusals import PROJECTS

_SHORTEST, _LONGEST, _LONGEST_WITH_DOTS = 3, 63, 222
_REGIONS = "africa|asia|australia|europe|me|northamerica|southamerica|us"
_REGION = re.compile(rf"(?:{_REGIONS})-(?:north|south|east|west|central)+\d{{1,2}}")
_MULTI = re.compile(r"us|eu|asia|[a-z]{3,4}\d{1,2}")  # with the dual-regions: NAM4, EUR4, ASIA1
_MANY = ("domain:", "group:", "principalSet:", "projectOwner:", "projectEditor:", "projectViewer:")


def bucket(text: str) -> tuple[str, list[str]]:
    """Return the name of a bucket as Cloud Storage wants it, and what was changed for that.

    Args:
        text: a name, or ``gs://name``.

    Raises:
        ValueError: no bucket can be called that.
    """
    name, words = text.strip(), []
    if name.lower().startswith("gs:/"):
        name = name[4:].strip("/")
        words.append(f"The name was taken without 'gs://': {name!r}.")
    if "/" in name.rstrip("/"):
        first = name.split("/")[0]
        raise ValueError(f"{text!r}: this is a path within a bucket. Give the bucket alone: {first!r}.")
    name = name.rstrip("/")
    if name != name.lower():
        words.append(f"Names of buckets have no capital letters: {name!r} became {name.lower()!r}.")
        name = name.lower()
    if wrong := _wrong(name):
        rules = "https://cloud.google.com/storage/docs/buckets#naming has the rules"
        raise ValueError(f"{text!r}: no bucket can be called that: {wrong}. Choose another name; {rules}.")
    return name, words


def _wrong(name: str) -> str | None:
    """Return which rule a name breaks."""
    strange = sorted(set(re.findall(r"[^a-z0-9._-]", name)))
    parts = name.split(".")
    if strange:
        return f"only a to z, digits, '-', '_' and '.' are allowed, and there is {', '.join(map(repr, strange))}"
    if not re.fullmatch(r"[a-z0-9](.*[a-z0-9])?", name):
        return "it has to begin and end with a letter or a digit"
    longest = _LONGEST_WITH_DOTS if "." in name else _LONGEST
    if not _SHORTEST <= len(name) <= longest or max(map(len, parts)) > _LONGEST:
        allowed = f"{_SHORTEST} to {_LONGEST} characters, with dots {_LONGEST} between two of them"
        return f"it has {len(name)} characters, and may have {allowed}"
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", name):
        return "it is an IP address"
    if "" in parts:
        return "there are two dots in a row"
    # Google's own example of a misspelling is 'g00gle'.
    if name.startswith("goog") or "google" in name.replace("0", "o").replace("1", "l"):
        return "it begins with 'goog' or holds 'google', which Google keeps to itself"
    return None


def new_bucket(name: str) -> None:
    """Refuse what only an old bucket, or one of a domain's owner, can be called.

    Raises:
        ValueError: there is a dot in the name.
    """
    if "." in name:
        what = (
            f"{name!r}: with a dot it is a domain's name, and whoever makes it has to prove that the domain is theirs"
        )
        raise ValueError(f"{what}. No bucket was made. Without dots no proof is needed: {name.replace('.', '-')!r}.")


def free(name: str, project: str | None) -> str:
    """Return a name that nobody else is likely to have: an id of a project is the world's only one."""
    longer = f"{(project or 'my-project-id').rpartition(':')[2]}-{name}"
    return longer if len(longer) <= 63 and not name.startswith(f"{project}-") else f"{name[:58]}-{os.urandom(2).hex()}"


def project(text: str) -> str:
    """Return a project's id.

    Raises:
        ValueError: it is a number, a name, or nothing that an id can be.
    """
    text = text.strip()
    # The ids of old projects of companies begin with a domain: example.com:my-project.
    if re.fullmatch(r"(?:[a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", text):
        return text
    if text.isdigit():
        found = f"{text!r} is a project's number, and its id is needed"
    elif re.search(r"\s", text):
        found = f"{text!r} is a project's name, and its id is needed, such as 'my-photos-481516'"
    elif text != text.lower():
        found = f"{text!r} has capital letters, and the id of a project has none"
    else:
        found = f"{text!r} is no id: 6 to 30 letters a to z, digits and '-', beginning with a letter"
    raise ValueError(f"project: {found}. {PROJECTS}, or at https://console.cloud.google.com.")


def location(text: str) -> str:
    """Return a region such as ``us-central1``, or a multi-region such as ``us``, in small letters.

    Raises:
        ValueError: it is no place of Google's, or a zone, which is a part of a region.
    """
    place = text.strip().lower()
    if _REGION.fullmatch(place) or _MULTI.fullmatch(place):
        return place
    if zone := re.fullmatch(r"([a-z]+-[a-z]+\d+)-[a-z]", place):
        raise ValueError(f"location: {text!r} is a zone, and a bucket is in a region. Give {zone[1]!r}.")
    loose = re.sub(r"[\s_-]+(?=\d+$)", "", re.sub(r"[\s_]+", "-", place))  # us-central-1, as another cloud writes it
    hint = f"Did you mean {loose!r}?" if _REGION.fullmatch(loose) else "Give one such as 'us-central1'."
    where = "https://cloud.google.com/storage/docs/locations lists them"
    raise ValueError(f"location: Cloud Storage has no {text!r}. {hint} {where}.")


def account(text: str) -> str:
    """Return the address of a service account.

    Raises:
        ValueError: it is everybody, a whole company, a person, or no address.
    """
    address = text.strip().removeprefix("serviceAccount:")
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*@[a-z0-9][a-z0-9.-]*\.gserviceaccount\.com", address):
        return address
    if address.lower() in ("allusers", "allauthenticatedusers"):
        whom = "everybody on the internet" if address.lower() == "allusers" else "everybody with a Google account"
        found = f"{text!r} is {whom}, which no training needs"
    elif address.startswith(_MANY):
        found = f"{text!r} is many people at once"
    elif "@" in address:
        found = f"{text!r} is no service account; for a person, the bucket's owner decides, in the console"
    else:
        found = f"{text!r} is no address"
    how = "Give the one service account that needs the files, NAME@PROJECT.iam.gserviceaccount.com"
    raise ValueError(f"service_account: {found}. Nothing was changed. {how}. Yours: gcloud iam service-accounts list")
