"""A Cloud Storage on this machine that knows who may do what: roles, access lists, the two settings, refusals.

The real google-cloud-storage client talks to it, as it does to gcp-storage-emulator, which keeps policies without
their etags and refuses nothing. Its answers follow https://cloud.google.com/storage/docs/json_api/v1, and what it
says where it refuses is what Google says.
"""

from __future__ import annotations

import base64
import email
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from served import JsonHandler, Listening

ME = "tester@example.com"
LOCATIONS = ("us", "eu", "asia", "nam4", "us-central1", "us-east1", "europe-west4", "europe-west2", "asia-east1")
GOES_ON = "Permission '{}' denied on resource (or it may not exist)."
TAKEN = (
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
    "Please select a different name and try again."
)
MINE = "Your previous request to create the named bucket succeeded and you already own it."
NO_ACL = (
    "Cannot get legacy ACL for a bucket that has uniform bucket-level access. Read more at "
    "https://cloud.google.com/storage/docs/uniform-bucket-level-access"
)
PREVENTED = (
    "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention is enforced."
)
PUBLIC = {"allUsers", "allAuthenticatedUsers"}
JSON = dict[str, Any]


class Refused(Exception):  # noqa: N818 - it is Google's answer, not a fault
    """An answer other than success, in the form of Google's."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        one = {"message": message, "domain": "global", "reason": reason}
        self.code, self.body = code, {"error": {"code": code, "message": message, "errors": [one]}}


@dataclass
class Held:
    """A bucket.

    Attributes:
        resource: as the server shows it.
        bindings: of its policy.
        stranger: whether it is somebody else's, who shares nothing.
        default: the access list of new files.
        files: name -> bytes.
        lists: name -> the file's access list; None hides it.
    """

    resource: JSON
    bindings: list[JSON]
    stranger: bool = False
    default: list[JSON] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    lists: dict[str, list[JSON] | None] = field(default_factory=dict)
    version: int = 1

    @property
    def etag(self) -> str:
        """What changes with the policy."""
        return base64.b64encode(bytes([8, self.version])).decode()

    @property
    def settings(self) -> JSON:
        """Uniform access and public access prevention."""
        return self.resource["iamConfiguration"]


class BucketServer(Listening):
    """Cloud Storage, with its projects and buckets.

    Attributes:
        projects: id -> number.
        buckets: name -> bucket.
        denied: permissions that the caller lacks.
        accounts: the service accounts that there are; None for all.
        plan: refusals to give before anything else, by a pattern of 'METHOD /path?query'.
        meanwhile: what somebody else does just before the next policies are written.
        asked: 'METHOD /path?query' of each request.
    """

    def __init__(self) -> None:
        self.projects = {"my-photos-481516": "1001", "elsewhere-234200": "2002"}
        self.buckets: dict[str, Held] = {}
        self.denied: set[str] = set()
        self.accounts: set[str] | None = None
        self.plan: dict[str, Refused] = {}
        self.meanwhile: list[Callable[[Held], None]] = []
        self.asked: list[str] = []
        self.bodies: list[JSON] = []
        server = self

        class BucketHandler(JsonHandler):
            def answer(self) -> None:
                kind = self.headers.get("Content-Type", "")
                try:
                    self.give_json(*server.answer(self.command, self.path, self.read(), kind))
                except Refused as refused:
                    self.give_json(refused.code, refused.body)

        super().__init__(BucketHandler)

    def add(
        self, name: str, project: str = "my-photos-481516", location: str = "US-CENTRAL1", closed: bool = False
    ) -> Held:
        """Put a bucket there, as the console of long ago made it, or closed."""
        kind = "region" if "-" in location else "dual-region" if location == "NAM4" else "multi-region"
        settings = {"uniformBucketLevelAccess": {"enabled": closed}, "bucketPolicyOnly": {"enabled": closed}}
        settings["publicAccessPrevention"] = "enforced" if closed else "inherited"
        resource = {"kind": "storage#bucket", "id": name, "name": name, "projectNumber": self.projects[project]}
        resource |= {"location": location, "locationType": kind, "metageneration": "1", "iamConfiguration": settings}
        own = [f"projectEditor:{project}", f"projectOwner:{project}"]
        bindings = [
            {"role": "roles/storage.legacyBucketOwner", "members": own},
            {"role": "roles/storage.legacyBucketReader", "members": [f"projectViewer:{project}"]},
        ]
        held = self.buckets[name] = Held(resource, bindings)
        held.default = [{"entity": f"project-owners-{self.projects[project]}", "role": "OWNER"}]
        return held

    # --- requests -------------------------------------------------------------------------------------

    def answer(self, method: str, address: str, data: bytes, kind: str) -> tuple[int, JSON | bytes | None]:
        """Return the number and the body of an answer."""
        line = f"{method} {address}"
        self.asked.append(line)
        for pattern, refused in self.plan.items():
            if re.search(pattern, line):
                raise refused
        if address == "/token":  # where a signed-in user's credentials are renewed
            raise Refused(400, "invalid_grant", "Token has been expired or revoked.")
        url = urllib.parse.urlsplit(address)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = [urllib.parse.unquote(part) for part in url.path.split("/storage/v1/")[1].split("/")]
        if parts[0] == "projects":
            return 200, self._account(parts[1])
        if parts == ["b"]:
            return 200, self._insert(query, json.loads(data))
        held = self._held(parts[1])
        if url.path.startswith("/upload/"):
            return 200, self._upload(held, query, data, kind)
        rest = parts[2:]
        if rest[:1] == ["o"] and len(rest) > 1:
            return self._file(held, method, "/".join(rest[1:]))
        body = json.loads(data) if data else {}
        self.bodies.append(body)
        return 200, self._bucket(held, method, "/".join(rest), query, body)

    def _bucket(self, held: Held, method: str, rest: str, query: JSON, body: JSON) -> JSON:
        if rest == "iam":
            return self._set_policy(held, body) if method == "PUT" else self._policy(held, query)
        if rest == "o":
            return self._list(held, query)
        if rest in ("acl", "defaultObjectAcl"):
            self._may("storage.buckets.getIamPolicy", held)
            if held.settings["uniformBucketLevelAccess"]["enabled"]:
                raise Refused(400, "invalid", NO_ACL)
            return {"kind": "storage#objectAccessControls", "items": held.default}
        if method == "PATCH":
            return self._patch(held, query, body)
        self._may("storage.buckets.get", held)
        return held.resource

    def _held(self, name: str) -> Held:
        if name not in self.buckets:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def _may(self, permission: str, held: Held | None = None) -> None:
        if permission in self.denied or (held is not None and held.stranger):
            thing = "object" if ".objects." in permission else "bucket"
            words = f"{ME} does not have {permission} access to the Google Cloud Storage {thing}. "
            if permission == "storage.buckets.create":
                words = f"{ME} does not have {permission} access to the Google Cloud project. "
            raise Refused(403, "forbidden", words + GOES_ON.format(permission))

    def _account(self, project: str) -> JSON:
        if project not in self.projects:
            raise Refused(404, "notFound", "The requested project was not found.")
        self._may("resourcemanager.projects.get")
        address = f"service-{self.projects[project]}@gs-project-accounts.iam.gserviceaccount.com"
        return {"kind": "storage#serviceAccount", "email_address": address}

    def _insert(self, query: JSON, body: JSON) -> JSON:
        self.bodies.append(body)
        project, name, location = query.get("project"), body["name"], body.get("location", "US")
        if project not in self.projects:
            raise Refused(400, "invalid", f"Unknown project id: {project}")
        self._may("storage.buckets.create")
        if name in self.buckets:
            raise Refused(409, "conflict", TAKEN if self.buckets[name].stranger else MINE)
        if location.lower() not in LOCATIONS:
            raise Refused(400, "invalid", "The specified location constraint is not valid.")
        held = self.add(name, project, location.upper())
        held.settings.update(body.get("iamConfiguration", {}))
        return held.resource

    def _patch(self, held: Held, query: JSON, body: JSON) -> JSON:
        self._may("storage.buckets.update", held)
        now = held.resource["metageneration"]
        if query.get("ifMetagenerationMatch", now) != now:
            raise Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        held.settings.update(body.get("iamConfiguration", {}))
        held.resource["metageneration"] = str(int(now) + 1)
        return held.resource

    def _policy(self, held: Held, query: JSON) -> JSON:
        self._may("storage.buckets.getIamPolicy", held)
        conditions = any("condition" in one for one in held.bindings)
        shown = held.bindings
        if conditions and query.get("optionsRequestedPolicyVersion") != "3":
            shown = [one for one in shown if "condition" not in one]
        return {"kind": "storage#policy", "version": 3 if conditions else 1, "etag": held.etag, "bindings": shown}

    def _set_policy(self, held: Held, body: JSON) -> JSON:
        self._may("storage.buckets.setIamPolicy", held)
        if self.meanwhile:
            self.meanwhile.pop(0)(held)
            held.version += 1
        if body.get("etag", held.etag) != held.etag:
            raise Refused(412, "conditionNotMet", "Precondition Failed")
        bindings = body.get("bindings", [])
        if any("condition" in one for one in bindings) and body.get("version") != 3:
            raise Refused(400, "invalid", "Policies with conditions need version 3.")
        members = {member for one in bindings for member in one["members"]}
        if members & PUBLIC and held.settings["publicAccessPrevention"] == "enforced":
            raise Refused(412, "conditionNotMet", PREVENTED)
        for account in (one.removeprefix("serviceAccount:") for one in members if one.startswith("serviceAccount:")):
            if self.accounts is not None and account not in self.accounts:
                raise Refused(400, "invalid", f"Service account {account} does not exist.")
        held.bindings, held.version = bindings, held.version + 1
        held.resource["metageneration"] = str(int(held.resource["metageneration"]) + 1)
        return self._policy(held, {"optionsRequestedPolicyVersion": "3"})

    # --- files ----------------------------------------------------------------------------------------

    def _list(self, held: Held, query: JSON) -> JSON:
        self._may("storage.objects.list", held)
        names, most = sorted(held.files), int(query.get("maxResults", 1000))
        items = [{"kind": "storage#object", "name": name, "bucket": held.resource["name"]} for name in names[:most]]
        for item in items if query.get("projection") == "full" else ():
            if (entries := held.lists.get(item["name"], held.default)) is not None:
                item["acl"] = entries
        return {"kind": "storage#objects", "items": items} | ({"nextPageToken": "on"} if len(names) > most else {})

    def _upload(self, held: Held, query: JSON, data: bytes, kind: str) -> JSON:
        self._may("storage.objects.create", held)
        message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
        described, content = [part.get_payload(decode=True) for part in message.get_payload()]
        name = json.loads(described)["name"]
        if query.get("ifGenerationMatch") == "0" and name in held.files:
            raise Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        held.files[name] = content
        return {"kind": "storage#object", "name": name, "bucket": held.resource["name"], "generation": "1"}

    def _file(self, held: Held, method: str, name: str) -> tuple[int, bytes | None]:
        self._may(f"storage.objects.{'delete' if method == 'DELETE' else 'get'}", held)
        if name not in held.files:
            raise Refused(404, "notFound", f"No such object: {held.resource['name']}/{name}")
        if method == "DELETE":
            del held.files[name]
            return 204, None
        return 200, held.files[name]
