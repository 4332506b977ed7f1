"""A Vertex AI and an Artifact Registry on this machine, for Google's real client to talk to.

The answers have the form of https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs;
what is said where something is refused is what Google says, as people quote it in their reports.
"""

from __future__ import annotations

import json
import re
import socket
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from served import JsonHandler, Listening

JSON = dict[str, Any]
NUMBER = "1001"  # of the project


@dataclass
class VertexServer(Listening):
    """The server.

    Attributes:
        jobs: name -> the job, as the server shows it.
        tags: of images: ``name:tag``, as they are in names of images.
        states: through which a job goes, one at each look; the last one stays.
        refusals: the answer to a kind of request, such as ``POST create``: status, message, Google's reason.
        failure: the field ``error`` of a job that fails.
        lose: whether the next job is made, and the connection breaks before the answer is sent.
        asked: the kind of each request.
    """

    jobs: dict[str, JSON] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "SUCCEEDED"])
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    failure: JSON = field(default_factory=dict)
    lose: bool = False
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = self

        class JobHandler(JsonHandler):
            def answer(self) -> None:
                assert "Authorization" not in self.headers
                answer = server.answer(self.command, self.path, json.loads(self.read() or b"{}"))
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self.give_json(*answer)

        super().__init__(JobHandler)

    def answer(self, method: str, path: str, body: JSON) -> tuple[int, JSON] | None:
        """Return status and body of the answer to a request; None breaks the connection."""
        place, _, query = path.partition("?")
        tag = re.fullmatch(
            r"/v1/projects/([^/]+)/locations/([^/]+)/repositories/([^/]+)/packages/([^/]+)/tags/([^/]+)", place
        )
        if tag:
            kind = "GET tag"
        elif place.endswith("/customJobs"):
            kind = "POST create" if method == "POST" else "GET list"
        else:
            kind = "POST cancel" if place.endswith(":cancel") else "GET job"
        self.asked.append(kind)
        if kind in self.refusals:
            return refused(*self.refusals[kind])
        match kind:
            case "GET tag":
                project, region, repository, package, name = tag.groups()
                there = f"{region}-docker.pkg.dev/{project}/{repository}/{urllib.parse.unquote(package)}:{name}"
                return (200, {"name": place}) if there in self.tags else refused(404, "Requested entity was not found.")
            case "POST create":
                return self._create(place, body)
            case "GET list":
                wanted = re.fullmatch(r"labels\.\w+=(\w+)", urllib.parse.parse_qs(query)["filter"][0])[1]
                found = [job for job in self.jobs.values() if wanted in job["labels"].values()]
                return 200, {"customJobs": found} if found else {}
            case "POST cancel":
                self.jobs[place.removeprefix("/v1/").removesuffix(":cancel")]["state"] = "JOB_STATE_CANCELLED"
                self.states = ["CANCELLED"]
                return 200, {}
        return self._show(place.removeprefix("/v1/"))

    def _create(self, place: str, body: JSON) -> tuple[int, JSON] | None:
        parent = re.sub(r"projects/[^/]+", f"projects/{NUMBER}", place.removeprefix("/v1/"))
        name = f"{parent}/{len(self.jobs) + 77}"
        self.jobs[name] = body | {"name": name, "state": "JOB_STATE_QUEUED"}
        if self.lose:
            self.lose = False
            return None
        return 200, self.jobs[name]

    def _show(self, name: str) -> tuple[int, JSON]:
        if name not in self.jobs:
            return refused(404, f"CustomJob {name} is not found.")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        self.jobs[name]["state"] = f"JOB_STATE_{state}"
        if state == "FAILED":
            self.jobs[name]["error"] = self.failure
        return 200, self.jobs[name]


def refused(code: int, message: str, reason: str = "") -> tuple[int, JSON]:
    """Return an answer other than success, in the form of Google's."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return code, {"error": {"code": code, "message": message, "details": [info] if reason else []}}
