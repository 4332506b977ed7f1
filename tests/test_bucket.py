"""Buckets: made closed, found and never changed silently, granted to one account, audited and closed."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_server import ME, BucketServer, Held, Refused
from served import Handler, Listening

from tfod_helpers import bucket as room
from tfod_helpers.bucket import machine, names
from tfod_helpers.files.storage import client

PROJECT = "my-photos-481516"
ACCOUNT = "trainer@my-photos-481516.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{ACCOUNT}"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The metadata server of a machine of Google's; the test says in which zone, and with which header."""
    told = {"zone": "europe-west4-a", "flavor": "Google", "wait": ""}

    class ZoneHandler(Handler):
        def answer(self) -> None:
            time.sleep(float(told["wait"] or 0))
            right = self.path == "/computeMetadata/v1/instance/zone" and self.headers["Metadata-Flavor"] == "Google"
            zone = f"projects/1001/zones/{told['zone']}".encode()
            self.give(200 if right else 403, zone, {"Metadata-Flavor": told["flavor"]})

    with Listening(ZoneHandler) as server:
        monkeypatch.setenv("GCE_METADATA_HOST", server.address.removeprefix("http://"))
        yield told


def opened(cloud: BucketServer) -> Held:
    """A bucket as the old tutorial left it: everybody with a Google account is its admin."""
    held = cloud.add("tutorial")
    held.bindings.append({"role": "roles/storage.admin", "members": ["allAuthenticatedUsers", "user:me@example.com"]})
    return held


def roles(held: Held, member: str) -> set[str]:
    """The roles that a member has, whatever the condition."""
    return {one["role"] for one in held.bindings if member in one["members"]}


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my-photos", "a2c", "0_0", "a" * 63, "photos.example.com", "gs://my-photos/"])
def test_a_name_that_is_allowed(name: str) -> None:
    """A name within the rules passes as it is, but for the gs:// and the slash."""
    assert names.bucket(name)[0] == name.removeprefix("gs://").rstrip("/")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ab", "2 characters"),
        ("a" * 64, "64 characters"),
        ("-photos", "begin and end"),
        ("photos_", "begin and end"),
        ("my photos", "there is ' '"),
        ("fotografía", "there is 'í'"),
        ("goog-photos", "goog"),
        ("my-g00gle-photos", "goog"),
        ("192.168.5.4", "IP address"),
        ("photos..com", "two dots"),
        ("photos/train", "Give the bucket alone: 'photos'"),
        ("gs://photos/train", "Give the bucket alone: 'photos'"),
        ("", "begin and end"),
    ],
)
def test_a_name_that_is_not_allowed(cloud: BucketServer, name: str, why: str) -> None:
    """A name against the rules is refused with the rule, before the network is asked."""
    with pytest.raises(ValueError, match=why):
        room.ensure(name, project=PROJECT)
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("project", "why"),
    [("123456789012", "number"), ("My Photos", "name"), ("My-Photos-1", "capital letters"), ("abc", "6 to 30")],
)
def test_a_project_that_is_no_id(cloud: BucketServer, project: str, why: str) -> None:
    """A project's number or name is known for what it is, and the error says where the id stands."""
    with pytest.raises(ValueError, match=rf"project: .*{why}.*gcloud projects list"):
        room.ensure("my-photos", project=project)
    assert cloud.asked == []
    assert names.project("example.com:my-photos") == "example.com:my-photos"


@pytest.mark.parametrize(
    ("location", "hint"),
    [("us-central1-a", "is a zone.*'us-central1'"), ("us-central-1", "mean 'us-central1'"), ("Belgium", "locations")],
)
def test_a_location_that_is_none(cloud: BucketServer, location: str, hint: str) -> None:
    """A zone, another cloud's spelling or a country is refused with what to give, before the network is asked."""
    with pytest.raises(ValueError, match=f"location: .*{hint}"):
        room.ensure("my-photos", project=PROJECT, location=location)
    assert cloud.asked == []
    assert [names.location(one) for one in ("US", "NAM4", "Europe-West4")] == ["us", "nam4", "europe-west4"]


# --- ensure ---------------------------------------------------------------------------------------


def test_a_bucket_is_made_closed_from_the_first_moment(cloud: BucketServer) -> None:
    """The call that makes a bucket turns both settings on; a file was written there, and none is left."""
    made = room.ensure("gs://My-Photos", project=PROJECT, location="US")
    assert (made.name, made.address, made.location) == ("my-photos", "gs://my-photos", "us")
    assert (made.project, made.created, made.closed) == (PROJECT, True, True)
    settings = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
    assert cloud.bodies == [{"name": "my-photos", "location": "us", "iamConfiguration": settings}]
    assert [line.split("?")[0].split(".probe")[0] for line in cloud.asked[2:]] == [
        "POST /upload/storage/v1/b/my-photos/o",
        "GET /download/storage/v1/b/my-photos/o/",
        "DELETE /storage/v1/b/my-photos/o/",
    ]
    assert cloud.buckets["my-photos"].files == {}
    assert str(made).startswith(f"gs://my-photos: made in us, project {PROJECT}; closed to the world.")
    assert "without 'gs://'" in str(made)
    assert "'My-Photos' became 'my-photos'" in str(made)


def test_running_it_again_finds_what_was_made(cloud: BucketServer) -> None:
    """The second call makes nothing and has nothing to complain of."""
    first = room.ensure("my-photos", project=PROJECT)
    second = room.ensure("my-photos", project=PROJECT)
    assert (first.created, second.created) == (True, False)
    assert (second.closed, second.location, second.notes) == (True, "us-central1", ())
    assert sum(line.startswith("POST /storage/v1/b?") for line in cloud.asked) == 1


def test_two_at_once_make_one(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that this account made between the look and the making is found."""
    real = BucketServer._held

    def first_missing(server: BucketServer, name: str) -> Held:
        if name not in server.buckets:
            server.add(name, closed=True)
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return real(server, name)

    monkeypatch.setattr(BucketServer, "_held", first_missing)
    found = room.ensure("my-photos", project=PROJECT)
    assert (found.created, found.closed) == (False, True)


def test_an_open_bucket_is_found_and_left_alone(cloud: BucketServer) -> None:
    """A bucket that is not closed is said to be so, with the two calls for it, and nothing of it changes."""
    held = opened(cloud)
    found = room.ensure("tutorial")
    assert (found.created, found.closed, found.project) == (False, False, "1001")
    assert "uniform access and public access prevention off. Nothing was changed" in str(found)
    assert "bucket.audit('tutorial')" in str(found)
    assert "bucket.close('tutorial')" in str(found)
    assert held.resource["metageneration"] == "1"
    assert not [line for line in cloud.asked if line.startswith(("PATCH", "PUT"))]


def test_a_project_of_the_environment(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project the environment's is taken; without that, the error says where ids stand."""
    with pytest.raises(ValueError, match=r"gs://my-photos: there is no such bucket yet.*gcloud projects list"):
        room.ensure("my-photos")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    assert room.ensure("my-photos").project == PROJECT
    assert "us-central1 was chosen" in str(room.ensure("others"))


def test_a_dot_needs_a_domain(cloud: BucketServer) -> None:
    """A new bucket cannot have a dot in its name; an old one that has is found."""
    with pytest.raises(ValueError, match=r"prove that the domain is theirs.*'photos-example-com'"):
        room.ensure("photos.example.com", project=PROJECT)
    cloud.add("photos.example.com")
    assert not room.ensure("photos.example.com", project=PROJECT).created


def test_a_bucket_of_somebody_else_gets_nothing(cloud: BucketServer) -> None:
    """A name that is taken, by a bucket that is hidden or of another project, is refused before a byte is written."""
    held = cloud.add("my-photos")
    with pytest.raises(PermissionError, match=r"the name is taken.* number 1001, .*'elsewhere-234200-my-photos'"):
        room.ensure("my-photos", project="elsewhere-234200")
    held.stranger = True
    with pytest.raises(FileExistsError, match=rf"the name is taken by somebody else.*'{PROJECT}-my-photos'"):
        room.ensure("my-photos", project=PROJECT)
    assert not [line for line in cloud.asked if "upload" in line]
    with pytest.raises(PermissionError, match="with its files, or the bucket is somebody else's"):
        room.ensure("my-photos")
    assert held.files == {}


def test_a_hidden_bucket_of_this_account(cloud: BucketServer) -> None:
    """A bucket of the own project that this account may not look at is told with the line that lets it."""
    cloud.add("my-photos", closed=True)
    cloud.denied = {"storage.buckets.get"}
    with pytest.raises(PermissionError, match=r"with the bucket.*nothing was written.*leave the project out.*--role="):
        room.ensure("my-photos", project=PROJECT)
    assert not [line for line in cloud.asked if "upload" in line]


def test_a_name_that_was_taken_meanwhile(cloud: BucketServer) -> None:
    """Where the making itself says that the name is taken, a name that is likely to be free is suggested."""
    held = cloud.add("my-photos")
    held.stranger = True
    cloud.plan["GET /storage/v1/b/my-photos"] = Refused(404, "notFound", "The specified bucket does not exist.")
    with pytest.raises(FileExistsError, match=rf"taken by somebody else.*No bucket was made.*'{PROJECT}-my-photos'"):
        room.ensure("my-photos", project=PROJECT)


def test_an_account_that_may_use_files_alone(cloud: BucketServer) -> None:
    """An account with the role that grant gives cannot look at a bucket, and is let through where files work."""
    cloud.add("my-photos", closed=True)
    cloud.denied = {"storage.buckets.get"}
    found = room.ensure("my-photos")
    assert (found.created, found.location, found.closed) == (False, "", None)
    assert "may use its files, and not look at its settings" in str(found)


def test_a_project_that_cannot_be_looked_at(cloud: BucketServer) -> None:
    """Where the project's number is hidden, it is said that the owner is not known."""
    cloud.add("my-photos", closed=True)
    cloud.denied = {"resourcemanager.projects.get"}
    assert "could not be found out" in str(room.ensure("my-photos", project=PROJECT))


@pytest.mark.parametrize("permission", ["create", "get", "delete"])
def test_a_bucket_without_writing_is_told(cloud: BucketServer, permission: str) -> None:
    """Where the tiny file cannot be written, read or deleted, the line that the owner has to run is there."""
    held = cloud.add("my-photos", closed=True)
    cloud.denied = {f"storage.objects.{permission}"}
    line = f"gcloud storage buckets add-iam-policy-binding gs://my-photos --member=user:{ME} "
    with pytest.raises(PermissionError, match=f"{line}--role=roles/storage.objectUser") as raised:
        room.ensure("my-photos")
    assert ("was left there" in str(raised.value)) == bool(held.files) == (permission == "delete")


def test_what_comes_back_is_compared(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that gives other bytes than were written is not called writable."""
    cloud.add("my-photos", closed=True)
    real = BucketServer._upload

    def spoil(server: BucketServer, held: Held, *given: object) -> dict:
        answer = real(server, held, *given)
        held.files = {name: b"others" for name in held.files}
        return answer

    monkeypatch.setattr(BucketServer, "_upload", spoil)
    with pytest.raises(OSError, match="did not come back"):
        room.ensure("my-photos")


# --- where this machine is ------------------------------------------------------------------------


def test_a_bucket_is_made_where_the_machine_is(cloud: BucketServer, metadata: dict[str, str]) -> None:
    """On a machine of Google's a new bucket is put into its region, and near needs no word."""
    made = room.ensure("my-photos", project=PROJECT)
    assert made.location == "europe-west4"
    assert made.notes == ("It is in europe-west4, because this machine is.",)
    assert room.ensure("my-photos", project=PROJECT).notes == ()


def test_a_far_bucket_is_told(cloud: BucketServer, metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket in another region gets a word about speed and cost, and the lines that make one nearby."""
    cloud.add("my-photos", location="US-EAST1", closed=True)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    (note,) = room.ensure("my-photos", project=PROJECT).notes
    assert "far: in us-east1, and this machine in europe-west4" in note
    assert f"bucket.ensure('my-photos-europe-west4', project='{PROJECT}', location='europe-west4')" in note
    assert "gcloud storage cp --recursive 'gs://my-photos/*' gs://my-photos-europe-west4" in note
    assert "Colab may give you another region" in note
    asked = room.ensure("my-photos", location="europe-west4").notes
    assert "You asked for europe-west4; it is in us-east1" in asked[0]


@pytest.mark.parametrize(
    ("here", "location", "pair", "near"),
    [
        ("us-east1", "us", None, True),
        ("europe-west4", "us", None, False),
        ("europe-west2", "eu", None, False),
        ("us-central1", "nam4", None, True),
        ("us-west1", "nam4", None, False),
        ("us-west1", "us", ["US-WEST1", "US-EAST4"], True),
        ("us-central1", "us", ["US-WEST1", "US-EAST4"], False),
        ("asia-east1", "asia-east1", None, True),
        ("asia-east1", "asia-east2", None, False),
    ],
)
def test_what_is_near(here: str, location: str, pair: list[str] | None, near: bool) -> None:
    """A region is near itself, the multi-region around it, and the pair that it is one of."""
    assert machine.is_near(here, location, pair) == near


def test_a_machine_that_is_not_googles(metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another cloud's server, an odd answer, silence or nobody there mean: no region, and no error."""
    assert machine.region() == "europe-west4"
    metadata["flavor"] = "Other"
    assert machine.region() is None
    metadata.update(flavor="Google", zone="nonsense")
    assert machine.region() is None
    monkeypatch.setattr(machine, "_TIMEOUT", 0.05)
    metadata.update(zone="europe-west4-a", wait="0.5")
    assert machine.region() is None
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    assert machine.region() is None


def test_a_proxy_is_not_asked_where_this_machine_is(metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment has no part in it: it would tell of its own machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert machine.region() == "europe-west4"


# --- what Google refuses --------------------------------------------------------------------------


ABSENT = "The billing account for the owning project is disabled in state absent"
OFF = (
    "Cloud Storage JSON API has not been used in project 1001 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/storage-api.googleapis.com/overview?project=1001 then retry."
)


@pytest.mark.parametrize(
    ("refused", "kind", "what", "fix"),
    [
        (
            Refused(403, "accountDisabled", ABSENT),
            PermissionError,
            "no billing account",
            f"gcloud billing projects link {PROJECT} --billing-account=ACCOUNT",
        ),
        (
            Refused(403, "accessNotConfigured", OFF),
            PermissionError,
            "switched off in the project",
            "gcloud services enable storage.googleapis.com --project=1001, and wait",
        ),
        (
            Refused(412, "conditionNotMet", "'us-central1' violates constraint 'constraints/gcp.resourceLocations'"),
            PermissionError,
            "your organisation does not allow it",
            "which regions are allowed",
        ),
        (
            Refused(412, "conditionNotMet", "Request violates constraint 'constraints/storage.restrictAuthTypes'"),
            PermissionError,
            "your organisation does not allow it",
            "about constraints/storage.restrictAuthTypes",
        ),
        (
            Refused(400, "invalid", "The specified location constraint is not valid."),
            ValueError,
            "no location 'us-central1'",
            "docs/locations",
        ),
        (
            Refused(400, "invalid", "Invalid bucket name: 'my-photos'"),
            OSError,
            "cannot do that",
            "Check what was given",
        ),
        (Refused(501, "notImplemented", "Later."), OSError, "did not do it", "try again"),
    ],
)
def test_a_bucket_that_cannot_be_made(
    cloud: BucketServer, refused: Refused, kind: type[Exception], what: str, fix: str
) -> None:
    """What Google says against making a bucket is said in plain words, with what is safe and the line that mends it."""
    cloud.plan["POST /storage/v1/b"] = refused
    with pytest.raises(kind, match=f"gs://my-photos: .*{what}") as raised:
        room.ensure("my-photos", project=PROJECT)
    assert f"({str(refused).rstrip('.')}). No bucket was made. " in str(raised.value)
    assert fix in str(raised.value)
    assert "POST http" not in str(raised.value)


def test_a_look_that_is_refused_for_the_project(cloud: BucketServer) -> None:
    """A 403 about the project's billing is told as that, and not taken for a bucket that is hidden."""
    cloud.plan["GET /storage/v1/b/my-photos"] = Refused(403, "accountDisabled", ABSENT)
    with pytest.raises(PermissionError, match=f"no billing account.*projects link {PROJECT} "):
        room.ensure("my-photos", project=PROJECT)
    assert len(cloud.asked) == 1


def test_a_project_that_does_not_exist(cloud: BucketServer) -> None:
    """An id that is nobody's is told with the way to find the right one."""
    with pytest.raises(ValueError, match=r"there is no project 'my-fotos-481516'.*No bucket was made.*projects list"):
        room.ensure("my-photos", project="my-fotos-481516")


def test_no_right_to_make_buckets(cloud: BucketServer) -> None:
    """Without the right, the line that somebody who has it can run makes the bucket closed, and this account's."""
    cloud.denied = {"storage.buckets.create"}
    with pytest.raises(PermissionError, match=f"may not make buckets in project '{PROJECT}'") as raised:
        room.ensure("my-photos", project=PROJECT)
    line = f"gcloud storage buckets create gs://my-photos --project={PROJECT} --location=us-central1 "
    line += "--uniform-bucket-level-access --public-access-prevention && gcloud storage buckets add-iam-policy-binding "
    assert f"{line}gs://my-photos --member=user:{ME} --role=roles/storage.admin" in str(raised.value)


def test_credentials_that_expire_in_the_middle(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that end between two calls are told; after signing in anew the same process goes on."""
    from google.cloud import storage
    from google.oauth2.credentials import Credentials

    made = []

    @functools.cache
    def connected(process: int, emulator: str) -> storage.Client:
        made.append(process)
        keys = {"client_id": "id", "client_secret": "secret", "refresh_token": "old", "token": "old"}
        return storage.Client(project=None, credentials=Credentials(token_uri=f"{cloud.address}/token", **keys))

    monkeypatch.setattr(client, "_connected", connected)
    cloud.plan["POST /upload"] = Refused(401, "authError", "Invalid Credentials")
    with pytest.raises(PermissionError, match="the sign-in to Google Cloud is no longer valid") as raised:
        room.ensure("my-photos", project=PROJECT)
    assert "POST /token" in cloud.asked
    assert "Nothing that is in the bucket was touched" in str(raised.value)
    assert "google.colab.auth.authenticate_user()" in str(raised.value)
    assert "secret" not in str(raised.value)
    cloud.plan.clear()
    assert not room.ensure("my-photos", project=PROJECT).created
    assert len(made) == 2


def test_nobody_is_signed_in(tmp_path: Path) -> None:
    """On a machine where nobody signed in to Google, the error says how to, and that nothing was made."""
    code = "from tfod_helpers import bucket; bucket.ensure('my-photos', project='my-photos-481516')"
    environment = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert "PermissionError: gs://my-photos: nobody is signed in to Google Cloud" in done.stderr
    assert "No bucket was made" in done.stderr


def test_google_is_loaded_when_it_is_needed() -> None:
    """Importing the room loads nothing of Google's client."""
    code = "import sys; from tfod_helpers import bucket; print([one for one in sys.modules if one[:6] == 'google'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_emulator_of_the_other_tests_serves_too(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that somebody else wrote is understood: its bucket is found, audited, granted and closed."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    found = room.ensure(bucket)
    assert (found.created, found.closed, found.location) == (False, False, "us")
    assert room.grant(bucket, ACCOUNT).changed
    assert not room.grant(bucket, ACCOUNT).changed
    assert "LOOSE Public access prevention is not enforced" in str(room.audit(bucket))
    closed = room.close(bucket)
    assert not closed.can_close
    assert {finding.state for finding in closed.findings} == {"OK"}


# --- grant and revoke -----------------------------------------------------------------------------


def test_one_account_is_let_in_and_out(cloud: BucketServer) -> None:
    """Grant gives one role to one account on one bucket, once; revoke takes that one back."""
    held = cloud.add("my-photos", closed=True)
    before = [dict(one) for one in held.bindings]
    given = room.grant("gs://my-photos", ACCOUNT)
    assert (given.given, given.changed) == (True, True)
    assert held.bindings == [*before, {"role": "roles/storage.objectUser", "members": [MEMBER]}]
    assert "may now read, write and delete its files" in str(given)
    assert f"bucket.revoke('my-photos', '{ACCOUNT}', 'roles/storage.objectUser')" in str(given)
    assert "remove-iam-policy-binding gs://my-photos --member=serviceAccount:trainer@" in str(given)
    again = room.grant("my-photos", MEMBER)
    assert not again.changed
    assert "might already" in str(again)
    room.grant("my-photos", ACCOUNT, "roles/storage.legacyBucketReader")
    assert room.revoke("my-photos", ACCOUNT).changed
    assert roles(held, MEMBER) == {"roles/storage.legacyBucketReader"}
    assert not room.revoke("my-photos", ACCOUNT).changed


def test_conditions_survive_a_grant(cloud: BucketServer) -> None:
    """A binding with a condition stays as it is beside a new one; revoke takes its account out all the same."""
    held = cloud.add("my-photos", closed=True)
    condition = {"title": "until May", "expression": "request.time < timestamp('2031-05-01T00:00:00Z')"}
    held.bindings.append(
        {"role": "roles/storage.objectUser", "members": [MEMBER, "user:a@b.c"], "condition": condition}
    )
    assert room.grant("my-photos", ACCOUNT).changed
    kept = [one for one in held.bindings if "condition" in one]
    assert kept == [{"role": "roles/storage.objectUser", "members": [MEMBER, "user:a@b.c"], "condition": condition}]
    room.revoke("my-photos", ACCOUNT)
    assert roles(held, MEMBER) == set()
    assert roles(held, "user:a@b.c") == {"roles/storage.objectUser"}


def test_nobody_elses_change_is_lost(cloud: BucketServer) -> None:
    """A policy that somebody else writes in the meantime is read again, and both changes stay."""
    held = cloud.add("my-photos", closed=True)
    others = ["user:one@example.com", "user:two@example.com"]

    def add_another(held: Held) -> None:
        held.bindings.append({"role": "roles/storage.objectViewer", "members": [others[len(cloud.meanwhile)]]})

    cloud.meanwhile = [add_another, add_another]
    assert room.grant("my-photos", ACCOUNT).changed
    assert roles(held, MEMBER) == {"roles/storage.objectUser"}
    assert all(roles(held, one) == {"roles/storage.objectViewer"} for one in others)
    assert sum(line.startswith("PUT") for line in cloud.asked) == 3
    cloud.plan["PUT /storage/v1/b/my-photos/iam"] = Refused(412, "conditionNotMet", "Precondition Failed")
    with pytest.raises(OSError, match=r"somebody else changed it.*Nothing was taken back"):
        room.revoke("my-photos", ACCOUNT)


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ("allUsers", "everybody on the internet"),
        ("allAuthenticatedUsers", "everybody with a Google account"),
        ("domain:example.com", "many people"),
        ("group:team@example.com", "many people"),
        ("projectViewer:my-photos-481516", "many people"),
        ("me@example.com", "no service account"),
        ("user:me@example.com", "no service account"),
        ("trainer", "no address"),
        ("x@evil.com/gserviceaccount.com", "no service account"),
    ],
)
def test_only_a_service_account_is_let_in(cloud: BucketServer, account: str, why: str) -> None:
    """Everybody, a company, a group, a person or a typing error is refused before the network is asked."""
    with pytest.raises(ValueError, match=f"service_account: .*{why}.*Nothing was changed"):
        room.grant("my-photos", account)
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("roles/storage.admin", "open the bucket to others"),
        ("roles/storage.objectAdmin", "open the bucket to others"),
        ("roles/storage.legacyBucketOwner", "open the bucket to others"),
        ("roles/editor", "open the bucket to others"),
        ("projects/p/roles/mine", "not known to be narrow"),
        ("objectUser", "its full name"),
    ],
)
def test_only_a_narrow_role_is_given(cloud: BucketServer, role: str, why: str) -> None:
    """A role of an admin or owner is refused with the reason, and one that nobody knows as well."""
    with pytest.raises(ValueError, match=f"{why}.*Nobody was let in.*roles/storage.objectUser may read"):
        room.grant("my-photos", ACCOUNT, role)
    assert cloud.asked == []


def test_a_grant_that_is_refused(cloud: BucketServer) -> None:
    """No bucket, no account, no right, or an organisation that forbids it: nobody was let in, and what to do."""
    with pytest.raises(FileNotFoundError, match=r"gs://my-photos: there is no such bucket.*Nobody was let in"):
        room.grant("my-photos", ACCOUNT)
    cloud.add("my-photos", closed=True)
    cloud.accounts = set()
    with pytest.raises(ValueError, match=r"no such account.*gcloud iam service-accounts list"):
        room.grant("my-photos", ACCOUNT)
    cloud.denied = {"storage.buckets.setIamPolicy"}
    with pytest.raises(PermissionError, match=r"with the bucket.*Nobody was let in.*--role=roles/storage.admin"):
        room.grant("my-photos", ACCOUNT)
    veto = "One or more users named in the policy do not belong to a permitted customer."
    cloud.plan["PUT"] = Refused(412, "conditionNotMet", veto)
    cloud.asked.clear()
    with pytest.raises(PermissionError, match=r"organisation does not allow it.*allowedPolicyMemberDomains"):
        room.grant("my-photos", ACCOUNT)
    assert sum(line.startswith("PUT") for line in cloud.asked) == 1


def test_the_account_that_needs_it_is_named(cloud: BucketServer) -> None:
    """Vertex AI and machines run as the account that Google's documents say, by the project's number."""
    vertex = "service-1001@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
    assert room.service_account("vertex", PROJECT) == vertex == names.account(vertex)
    assert room.service_account("tpu", PROJECT) == "1001-compute@developer.gserviceaccount.com"
    with pytest.raises(ValueError, match="'vertex', 'tpu', 'vm'"):
        room.service_account("colab", PROJECT)
    with pytest.raises(ValueError, match="gcloud projects describe my-fotos-481516"):
        room.service_account("vm", "my-fotos-481516")


# --- audit and close ------------------------------------------------------------------------------


def test_a_closed_bucket_passes(cloud: BucketServer) -> None:
    """A bucket that ensure made, with one account let in, has nothing that is open or loose."""
    room.ensure("my-photos", project=PROJECT)
    room.grant("my-photos", ACCOUNT)
    seen = room.audit("my-photos")
    assert not seen.is_open
    assert {finding.state for finding in seen.findings} == {"OK"}
    assert str(seen).splitlines()[0] == "gs://my-photos: closed"
    assert "bucket.close" not in str(seen)


def test_the_tutorials_bucket_is_open_to_the_world(cloud: BucketServer) -> None:
    """What the old tutorial told people to do is found, said in plain words, and the line that undoes it is exact."""
    opened(cloud)
    seen = room.audit("tutorial")
    assert seen.is_open
    lines = str(seen).splitlines()
    assert lines[0] == "gs://tutorial: OPEN TO THE WORLD"
    assert lines[1].startswith("OPEN  Everybody with a Google account may read, replace and delete every file")
    line = "gcloud storage buckets remove-iam-policy-binding gs://tutorial --member=allAuthenticatedUsers"
    assert lines[2] == f"      Fix: {line} --role=roles/storage.admin"
    assert "Fix: gcloud storage buckets update gs://tutorial --public-access-prevention" in str(seen)
    assert "user:me@example.com" not in str(seen)


def test_every_way_of_being_open_is_found(cloud: BucketServer) -> None:
    """Conditions, lists of new files and of single files, a role nobody knows: each is found, with its own line."""
    held = cloud.add("my-photos")
    condition = {"title": "in May", "expression": "true"}
    held.bindings.append({"role": "projects/p/roles/mine", "members": ["allUsers"], "condition": condition})
    held.default.append({"entity": "allUsers", "role": "READER"})
    held.files = {f"{number}.jpg": b"" for number in range(6)}
    held.lists = {f"{number}.jpg": [{"entity": "allAuthenticatedUsers", "role": "READER"}] for number in range(5)}
    held.lists["5.jpg"] = None
    text = str(room.audit("my-photos"))
    assert "do what projects/p/roles/mine allows, where the condition 'in May' holds" in text
    assert "--member=allUsers --role=projects/p/roles/mine --all" in text
    assert "Everybody on the internet may read every file that is added" in text
    assert "gs://my-photos --remove-default-object-acl-grant=allUsers" in text
    assert "Everybody with a Google account may read 5 of the 6 files: 0.jpg, 1.jpg, 2.jpg, ..." in text
    assert "gcloud storage objects update 'gs://my-photos/**' --remove-acl-grant=allAuthenticatedUsers" in text
    assert "The access lists of 1 of the 6 files could not be seen" in text


def test_prevention_holds_everybody_off(cloud: BucketServer) -> None:
    """Where public access prevention is on, a role of everybody is loose and not open, and can still be taken away."""
    held = opened(cloud)
    held.settings["publicAccessPrevention"] = "enforced"
    held.settings["uniformBucketLevelAccess"]["enabled"] = True
    seen = room.audit("tutorial")
    assert (seen.is_open, seen.can_close) == (False, True)
    assert "LOOSE Everybody with a Google account" in str(seen)
    assert "Public access prevention holds them off" in str(seen)
    held.settings["uniformBucketLevelAccess"]["enabled"] = False
    held.files, held.default = {"a.jpg": b""}, [{"entity": "allUsers", "role": "READER"}]
    seen = room.audit("tutorial")
    assert not seen.is_open
    assert str(seen).count("held off by public access prevention") == 2


def test_roles_that_are_too_wide_are_found(cloud: BucketServer) -> None:
    """An account that could let others in, or a whole company, is loose; the project's own people are not."""
    held = cloud.add("my-photos", closed=True)
    held.bindings.append({"role": "roles/storage.admin", "members": [MEMBER, "user:me@example.com"]})
    held.bindings.append({"role": "roles/storage.objectViewer", "members": ["domain:example.com", "group:a@b.c"]})
    seen = room.audit("my-photos")
    assert (seen.is_open, seen.can_close) == (False, False)
    loose = [finding for finding in seen.findings if finding.state == "LOOSE"]
    assert [finding.fix.split("(")[0] for finding in loose] == [
        "bucket.grant",
        "gcloud storage buckets remove-iam-policy-binding gs://my-photos --member=domain:example.com "
        "--role=roles/storage.objectViewer",
    ]
    assert f"bucket.revoke('my-photos', '{ACCOUNT}', 'roles/storage.admin')" in loose[0].fix
    assert "Everybody of example.com may list and read every file" in loose[1].what


def test_only_the_first_files_are_looked_at(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket of many files is looked at in one answer, and it is said that there are more."""
    held = cloud.add("my-photos")
    held.files = {f"{number:04}.jpg": b"" for number in range(1200)}
    held.default = [{"entity": "allUsers", "role": "READER"}]
    assert "may read 1,000 of the first 1,000 files" in str(room.audit("my-photos"))
    assert sum("/o?" in line for line in cloud.asked) == 1


def test_closing_shuts_the_world_out_and_says_so(cloud: BucketServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Close takes everybody's roles, turns both settings on, keeps the project's people, and prints each change."""
    held = opened(cloud)
    held.files = {"a.jpg": b"1"}
    held.lists = {"a.jpg": [{"entity": "allUsers", "role": "READER"}, {"entity": "user-x@y.z", "role": "OWNER"}]}
    seen = room.audit("tutorial")
    assert capsys.readouterr().out == ""
    assert held.resource["metageneration"] == "1"
    after = seen.close()
    assert (after.is_open, after.can_close) == (False, False)
    assert roles(held, "allAuthenticatedUsers") == set()
    assert roles(held, "user:me@example.com") == {"roles/storage.admin"}
    assert "roles/storage.legacyObjectOwner" in roles(held, f"projectOwner:{PROJECT}")
    assert "roles/storage.legacyObjectReader" in roles(held, f"projectViewer:{PROJECT}")
    assert held.settings["publicAccessPrevention"] == "enforced"
    assert held.settings["uniformBucketLevelAccess"]["enabled"]
    assert held.files == {"a.jpg": b"1"}
    said = capsys.readouterr().out
    assert "gs://tutorial: took roles/storage.admin from allAuthenticatedUsers." in said
    assert "turned public access prevention on" in said
    assert "turned uniform access on; for 90 days it can be taken back" in said
    assert "lists of files let in user-x@y.z, and no longer do" in said
    cloud.asked.clear()
    room.close("tutorial")
    assert capsys.readouterr().out == "gs://tutorial: was closed already; nothing was changed.\n"
    assert not [line for line in cloud.asked if line.startswith(("PATCH", "PUT"))]


def test_closing_twice_at_once_loses_nothing(cloud: BucketServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A role that somebody gives while the bucket is closed stays, and no change is printed twice."""
    held = opened(cloud)
    cloud.meanwhile = [lambda held: held.bindings.append({"role": "roles/storage.objectUser", "members": [MEMBER]})]
    room.close("tutorial")
    assert roles(held, MEMBER) == {"roles/storage.objectUser"}
    assert capsys.readouterr().out.count("took roles/storage.admin") == 1


def test_closing_that_stops_half_way_says_what_is_done(cloud: BucketServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the settings are refused, the roles are gone all the same, and the error says so."""
    held = opened(cloud)
    cloud.denied = {"storage.buckets.update"}
    with pytest.raises(PermissionError, match=r"Everybody's roles are gone; the two settings are as they were"):
        room.close("tutorial")
    assert roles(held, "allAuthenticatedUsers") == set()
    assert "took roles/storage.admin" in capsys.readouterr().out


def test_an_audit_that_is_refused(cloud: BucketServer) -> None:
    """Without the right to look, the error says that nothing was changed and who can give it."""
    cloud.add("my-photos")
    cloud.denied = {"storage.buckets.getIamPolicy"}
    with pytest.raises(PermissionError, match=rf"Nothing was changed.*--member=user:{ME} --role=roles/storage.admin"):
        room.audit("my-photos")
    with pytest.raises(FileNotFoundError, match=r"make it: bucket.ensure\('none-such'\)"):
        room.audit("none-such")


def test_a_server_that_is_gone(cloud: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that fails is told with the bucket's name, not as the library below says it."""
    import requests

    def fails(*_: object, **__: object) -> None:
        raise requests.ConnectionError("Connection refused")

    monkeypatch.setattr("google.cloud.storage.Client.get_bucket", fails)
    with pytest.raises(OSError, match=r"gs://my-photos: Google could not be reached .*Nothing was changed"):
        room.audit("my-photos")
