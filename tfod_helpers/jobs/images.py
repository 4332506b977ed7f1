"""The container image of a job: whether its name can be one, is of this version, and whether it is there."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

from tfod_helpers import __version__
from tfod_helpers.jobs import connection
from tfod_helpers.problems import Problem, Severity

_FORM = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME:TAG"
_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REGISTRY = re.compile(
    rf"(?P<place>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>{_PART}(?::{_PART})?)/(?P<repository>{_PART})"
    rf"/(?P<name>{_PART}(?:/{_PART})*)"
)
_ELSEWHERE = re.compile(rf"(?:[a-z]+\.)?gcr\.io/{_PART}(?:/{_PART})+|docker\.io/{_PART}/{_PART}")
CHIPS = ("gpu", "tpu")  # a tag ends with what the image was built for: Dockerfile, ARG CHIP


@dataclass(frozen=True)
class Image:
    """A name of an image, taken apart.

    Attributes:
        name: without its tag and digest.
        tag: such as ``0.1.0-gpu``; empty where only a digest was given.
        digest: ``sha256:...``, or empty.
    """

    name: str
    tag: str
    digest: str


def read(text: str) -> Image:
    """Take the name of an image apart."""
    rest, _, digest = text.strip().partition("@")
    name, colon, tag = rest.rpartition(":")
    return Image(name, tag, digest) if colon and "/" not in tag else Image(rest, "", digest)


def example(region: str, project: str, chip: str = "gpu") -> str:
    """Return the name that the image would have in a project."""
    return f"{region}-docker.pkg.dev/{project}/tfod-helpers/tfod-helpers:{__version__}-{chip}"


def problems(text: str, region: str, project: str, tpu: bool) -> Iterator[Problem]:
    """Yield why an image cannot be the one of a job; as a warning, what cannot be known from its name.

    Args:
        text: the name.
        region: of the job.
        project: of the job.
        tpu: whether the job has TPUs.
    """
    image = read(text)
    chip = "tpu" if tpu else "gpu"
    good = f"such as {example(region or 'us-central1', project or 'PROJECT', chip)}"
    if not _REGISTRY.fullmatch(image.name) and not _ELSEWHERE.fullmatch(image.name):
        what = f"{text!r} is no name of an image that Vertex AI can fetch"
        yield _problem(what, f"Give one of Artifact Registry, {_FORM}, {good}.")
    elif image.digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", image.digest):
        yield _problem(f"{image.digest!r} is no digest", "It is sha256: and 64 hex digits, as docker push prints it.")
    elif image.digest and not image.tag:
        what = "a digest does not say which version is in the image, which has to be this one"
        yield _problem(what, f"This is {__version__}.", severity="warning")
    elif not image.tag:
        yield _problem(f"{text!r} has no tag, which says the version", f"Give the whole name, {good}.")
    else:
        yield from _other_tag(image, chip, good)


def _other_tag(image: Image, chip: str, good: str) -> Iterator[Problem]:
    version, _, made_for = image.tag.partition("-")
    if version != __version__:
        what = f"its tag says {image.tag!r}, and this is version {__version__}: another one may read the config in "
        what += "another way"
        yield _problem(what, f"Build and push this version (the lines are at the top of the Dockerfile), {good}.")
    elif made_for in CHIPS and made_for != chip:
        what = f"it was built for {made_for.upper()}s, and the machines have {'TPUs' if chip == 'tpu' else 'none'}"
        yield _problem(what, f"Build it with --build-arg CHIP={chip}, {good}.")


def missing(text: str) -> Iterator[Problem]:
    """Ask the registry for an image; yield that it is not there, or, as a warning, that this account may not look.

    Only names of Artifact Registry with a tag can be asked for.

    Raises:
        Exception: what Google's client raises, but for 403 and 404.
    """
    image = read(text)
    form = _REGISTRY.fullmatch(image.name)
    if not form or not image.tag:
        return
    from googleapiclient.errors import HttpError

    package = urllib.parse.quote(form["name"], safe="")
    name = f"projects/{form['project']}/locations/{form['place']}/repositories/{form['repository']}/packages/{package}"
    registry = connection.connect("artifactregistry", "v1", "https://artifactregistry.googleapis.com/")
    tags = registry.projects().locations().repositories().packages().tags()
    try:
        tags.get(name=f"{name}/tags/{image.tag}").execute(num_retries=connection.TRIES)
    except HttpError as error:
        if error.status_code == 404:
            fix = "Build and push it; the lines are at the top of the Dockerfile. There are: gcloud artifacts docker "
            yield _problem(f"{text} is not there", f"{fix}tags list {image.name}")
        elif error.status_code == 403:
            what = f"whether {text} is there could not be seen: this account may not look into that registry"
            yield _problem(what, "roles/artifactregistry.reader may.", severity="warning")
        else:
            raise


def _problem(what: str, fix: str, severity: Severity = "error") -> Problem:
    return Problem(where="image", what=what, fix=fix, severity=severity)
