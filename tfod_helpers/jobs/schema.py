"""A job as JSON, held against Google's published schema before anything is sent.

The schema is the discovery document of the API, of which google-api-python-client brings a copy: every field, its type,
the values that it may have, and which of these are deprecated or written by Google alone. What the document says in
words alone (``Required.``) is read too.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfod_helpers.jobs.machines import guess
from tfod_helpers.problems import Problem

_JSON: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
    "array": list,
    "object": dict,
}
_DURATION = re.compile(r"\d+(\.\d{1,9})?s")


@functools.cache
def document() -> dict[str, Any]:
    """Return the discovery document of Vertex AI, version 1.

    Raises:
        ModuleNotFoundError: google-api-python-client is not installed.
        RuntimeError: it is so old that it brings no such document.
    """
    how = "pip install google-api-python-client; the extra [train] brings it"
    try:
        from googleapiclient.discovery_cache import get_static_doc
    except ImportError:
        raise ModuleNotFoundError(f"Vertex AI: google-api-python-client is not installed. Install it: {how}.") from None
    text = get_static_doc("aiplatform", "v1")
    if not text:
        raise RuntimeError(f"Vertex AI: google-api-python-client brings no schema of it. Install a new one: {how}.")
    return json.loads(text)


def regions() -> list[str]:
    """Return the regions that Vertex AI has a server in."""
    found = {one["location"] for one in document()["endpoints"]}
    return sorted(one for one in found if "-" in one)


def problems(job: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield everything in which a job differs from the schema of a CustomJob; each names the field's path."""
    yield from _check(job, {"$ref": "GoogleCloudAiplatformV1CustomJob"}, "")


def _check(value: Any, rule: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong with a value of a field."""
    if name := rule.get("$ref"):
        yield from _fields(value, document()["schemas"][name], path)
        return
    kind = rule.get("type", "any")
    if not _is_of(kind, rule.get("format", ""), value):
        wanted = "a whole number" if rule.get("format") == "int64" else f"of type {kind}"
        yield _problem(path, f"must be {wanted}, and is {value!r}", "Give it so")
    elif rule.get("format") == "google-duration" and not _DURATION.fullmatch(value):
        yield _problem(path, f"must be a number of seconds, and is {value!r}", "Write it like '3600s'")
    elif "enum" in rule:
        yield from _choice(value, rule, path)
    elif kind == "array":
        for index, one in enumerate(value):
            yield from _check(one, rule["items"], f"{path}.{index}")
    elif kind == "object" and "additionalProperties" in rule:
        for key, one in value.items():
            yield from _check(one, rule["additionalProperties"], f"{path}.{key}")


def _is_of(kind: str, form: str, value: Any) -> bool:
    """Whether a value is of a type; whole numbers of 64 bits are written as text too."""
    if form == "int64":
        return type(value) is int or (isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None)
    if kind == "boolean" or isinstance(value, bool):
        return kind in ("boolean", "any") and isinstance(value, bool)
    return kind not in _JSON or isinstance(value, _JSON[kind])


def _fields(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong with the fields of an object; an empty one stands for one that is left out."""
    if not isinstance(value, Mapping):
        yield _problem(path, f"must be an object with fields, and is {value!r}", "Give it so")
        return
    known = schema.get("properties", {})
    for name, one in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name not in known:
            yield _problem(here, "there is no such field", f"{guess(name, known)}There are {', '.join(known)}")
        elif known[name].get("readOnly"):
            yield _problem(here, "Vertex AI writes this field itself", "Leave it out")
        elif known[name].get("deprecated"):
            yield _problem(here, "this field is deprecated", "Leave it out")
        else:
            yield from _check(one, known[name], here)
    for name, rule in known.items() if value else ():
        if rule.get("description", "").startswith("Required.") and value.get(name) in (None, "", [], {}):
            yield _problem(f"{path}.{name}".lstrip("."), "this field is required, and is missing", "Give it")


def _choice(value: str, rule: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield why a value is none of those that a field may have, or one of the past."""
    words = rule.get("enumDescriptions", [""] * len(rule["enum"]))
    past = rule.get("enumDeprecated", [False] * len(rule["enum"]))
    gone = {
        name for name, word, old in zip(rule["enum"], words, past, strict=True) if old or word.startswith("Deprecated")
    }
    current = [name for name in rule["enum"] if name not in gone and not name.endswith("UNSPECIFIED")]
    if value in gone:
        yield _problem(path, f"{value!r} is deprecated", f"There are {', '.join(current)}")
    elif value not in rule["enum"]:
        fix = f"{guess(value, current)}There are {', '.join(current)}"
        yield _problem(path, f"{value!r} is none of its values", fix)


def _problem(path: str, what: str, fix: str) -> Problem:
    return Problem(where="the job", object=path, what=what, fix=f"{fix}.")
