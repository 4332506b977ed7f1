"""Trainings on Vertex AI: what is wrong is named before anything is sent, and what is sent is followed to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bucket_server import BucketServer
from small_training import draw_rectangles
from vertex_server import VertexServer

from tfod_helpers import __version__, jobs, presets, records
from tfod_helpers.files import storage
from tfod_helpers.jobs import command, connection, machines, refusals, schema, vertex_job, vertex_plan
from tfod_helpers.presets import batches

PROJECT = "my-photos-481516"
IMAGE = f"us-central1-docker.pkg.dev/{PROJECT}/tfod-helpers/tfod-helpers:{__version__}-gpu"
Plan = Callable[..., jobs.VertexPlan]


@pytest.fixture
def vertex(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexServer]:
    """Vertex AI and the registry on this machine, with the image."""
    server = VertexServer(tags={IMAGE})
    for name in ("AIPLATFORM", "ARTIFACTREGISTRY"):
        monkeypatch.setenv(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}", f"{server.address}/")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    yield server
    server.stop()


def settings(train: str, validation: str, batch: int = 40, **others: Any) -> dict[str, Any]:
    """The settings that a job looks at, in the form of a config's file."""
    task = {"preset": next(iter(presets.PRESETS)), "class_names": ["red", "blue"], "weights": "imagenet", **others}
    task["train_data"] = {"input_path": train, "global_batch_size": batch, "seed": 0}
    task["validation_data"] = {"input_path": validation}
    return {"task": task, "trainer": {"train_steps": 400}}


@pytest.fixture
def plan(vertex: VertexServer, tmp_path: Path) -> Plan:
    """What plans a job whose records are said to be in a bucket, which nobody has looked for, with some changes."""

    def make(batch: int = 40, train: str = "gs://photos/train", weights: str = "imagenet", **changes: Any) -> Any:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings(train, "gs://photos/validation", batch, weights=weights)))
        given = {"run": "gs://photos/runs/pets", "image": IMAGE, "region": "us-central1"} | changes
        return jobs.vertex(path, given.pop("run"), **given)

    return make


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, records.Records]:
    """Records of four photos to train on, and of two to evaluate on, on this machine."""
    folder = tmp_path_factory.mktemp("records")
    drawn = {"train": draw_rectangles(folder / "4", 4, 1), "validation": draw_rectangles(folder / "2", 2, 2)}
    return {part: records.write(one, folder / "records" / part, workers=1) for part, one in drawn.items()}


@pytest.fixture
def ready(bucket: str, vertex: VertexServer, written: dict[str, records.Records], tmp_path: Path) -> Plan:
    """What plans a job that can run: records in a bucket, and the image in the registry."""
    storage.upload_folder(Path(written["train"].pattern).parent, f"{bucket}/records")
    patterns = [f"{bucket}/records/{Path(one.pattern).name}" for one in written.values()]

    def make(batch: int = 40, **changes: Any) -> jobs.VertexPlan:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings(*patterns, batch)))
        given = {"run": f"{bucket}/runs/pets", "image": IMAGE, "region": "us-central1"} | changes
        return jobs.vertex(path, given.pop("run"), **given)

    return make


# Each fault, and what its message has to say: what is wrong, and what to do.
FAULTS = {
    "misspelt field": ({"settings": {"jobSpec.scheduling.timout": "60s"}}, r"jobSpec.scheduling.timout: .*'timeout'"),
    "misspelt accelerator": ({"chief": "n1-standard-8+NVIDIA_T44"}, r"chief: .*Did you mean 'T4'"),
    "GPU on another machine": ({"chief": "e2-standard-8+T4"}, r"e2-standard-8 cannot hold .*'n1-standard-8\+T4'"),
    "GPU beside a built-in one": ({"chief": "g2-standard-8+A100"}, r"has 1 x NVIDIA_L4 built in.*'a2-highgpu-1g'"),
    "number of GPUs": ({"chief": "n1-standard-32+T4"}, r"can hold 2 or 4 .*'n1-standard-32\+2xT4'"),
    "machine type": ({"evaluator": "n1-standrad-8"}, r"evaluator: .*Did you mean 'n1-standard-8'"),
    "form of a machine": ({"chief": "2xT4"}, r"chief: '2xT4' names no machine"),
    "deprecated strategy": ({"settings": {"jobSpec.scheduling.strategy": "LOW_COST"}}, r"deprecated. .*SPOT"),
    "unknown strategy": ({"settings": {"jobSpec.scheduling.strategy": "SPOTS"}}, r"Did you mean 'SPOT'"),
    "field of Google's": ({"settings": {"state": "JOB_STATE_RUNNING"}}, r"state: Vertex AI writes this field itself"),
    "type of a field": ({"settings": {"jobSpec.workerPoolSpecs.1.replicaCount": "nine"}}, r"a whole number.*'nine'"),
    "duration": ({"settings": {"jobSpec.scheduling.timeout": "3 hours"}}, r"number of seconds.*'3600s'"),
    "missing field": ({"settings": {"jobSpec.workerPoolSpecs.0.containerSpec.imageUri": ""}}, r"is required"),
    "place in the job": ({"settings": {"jobSpec.workerPoolSpecs.7.diskSpec": {}}}, r"no such place in the job"),
    "batch": ({"batch": 16, "workers": 2}, r"16 photos cannot be shared out evenly over 3 replicas; 15 or 18 can"),
    "batch of few": ({"batch": 4}, r"4 photos are fewer than the 10 replicas; 10 can"),
    "records here": ({"train": "/home/me/train-1234abcd-*-of-00001.tfrecord"}, r"input_path: .* is not in a bucket"),
    "run here": ({"run": "runs/pets"}, r"run: 'runs/pets' is no folder in a bucket"),
    "run is a bucket": ({"run": "gs://photos"}, r"run: 'gs://photos' is no folder in a bucket"),
    "weights here": ({"weights": "runs/earlier"}, r"task.weights: 'runs/earlier' is on this machine"),
    "region": ({"region": "us-centrall1"}, r"region: .*Did you mean 'us-central1'"),
    "zone": ({"region": "us-central1-a"}, r"region: .*is a zone; give 'us-central1'"),
    "project": ({"project": "My Photos"}, r"project: 'My Photos' is a project's name, and its id is needed"),
    "name of the image": ({"image": "tfod-helpers:latest"}, r"image: .*no name of an image"),
    "version of the image": ({"image": IMAGE.replace(__version__, "0.0.9")}, rf"image: .*'0.0.9-gpu'.*{__version__}"),
    "image without a tag": ({"image": IMAGE.rpartition(":")[0]}, r"image: .*has no tag"),
    "chip of the image": ({"chief": "ct5lp-hightpu-4t", "workers": 0}, r"built for GPUs.*--build-arg CHIP=tpu"),
    "TPUs on several machines": ({"chief": "ct5lp-hightpu-4t"}, r"workers: 9 .*Give workers=0"),
    "hours": ({"hours": 200}, r"hours: 200 is not more than 0 and at most 168"),
    "name": ({"name": "x" * 129}, r"name: it has 129 characters"),
    "keep": ({"keep": 0}, r"keep: it must be 1 or more, or 'all', and is 0"),
    "workers": ({"workers": -1}, r"workers: there cannot be -1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_before_anything_is_sent(plan: Plan, vertex: VertexServer, fault: str) -> None:
    """Each fault is refused in words that name the place and the remedy, and Google is not asked anything."""
    changes, words = FAULTS[fault]
    with pytest.raises(jobs.JobError, match=words) as caught:
        plan(**changes)
    assert "Nothing was started, and nothing costs money" in str(caught.value)
    assert vertex.asked == []


def test_all_faults_come_in_one_report(plan: Plan) -> None:
    """Who made several mistakes reads all of them at once."""
    with pytest.raises(jobs.JobError, match="4 problems") as caught:
        plan(batch=16, chief="n1-standard-8+L4", region="nowhere", image="x", workers=9)
    assert [one.where for one in caught.value.problems] == ["chief", "region", "image", "config"]


def test_a_good_plan_says_what_would_run_and_what_it_costs(plan: Plan, vertex: VertexServer) -> None:
    """One chief, nine workers and an evaluator for ten hours are 110 machine-hours; nobody was asked."""
    text = str(plan(hours=10))
    assert "11 machines x 10 hours = 110 machine-hours at most" in text
    assert "9 x g2-standard-8 (1 x NVIDIA_L4)" in text
    assert "40 photos, 4 on each of 10 chips" in text
    assert "spot: they may be taken away" in text
    assert vertex.asked == []


def test_pools_and_scheduling_are_as_vertex_wants_them(plan: Plan) -> None:
    """Pool 0 is the chief, 1 the workers, 2 empty, 3 the evaluator; all run the same command, and restart together."""
    spec = plan().job["jobSpec"]
    chief, workers, servers, evaluator = spec["workerPoolSpecs"]
    assert [chief["replicaCount"], workers["replicaCount"], evaluator["replicaCount"]] == ["1", "9", "1"]
    assert servers == {}
    assert chief["machineSpec"] == {
        "machineType": "g2-standard-8",
        "acceleratorType": "NVIDIA_L4",
        "acceleratorCount": 1,
    }
    assert chief["containerSpec"] == workers["containerSpec"] == evaluator["containerSpec"]
    assert chief["containerSpec"]["command"] == ["python", "-m", "tfod_helpers.training"]
    waits = ["--keep", "1", "--evaluator-waits", "30"]  # else the last model is judged by nobody
    folder = "gs://photos/runs/pets"
    assert chief["containerSpec"]["args"] == [f"{folder}/job/config.yaml", folder, *waits]
    alone = plan(evaluator=False, keep="all").job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert alone["args"][2:] == ["--keep", "all"]
    assert spec["scheduling"] == {"strategy": "SPOT", "timeout": "86400s", "restartJobOnWorkerRestart": True}


@pytest.mark.parametrize(
    ("changes", "machine", "pools"),
    [
        ({"chief": "n1-standard-8+T4", "spot": False}, ["n1-standard-8", "NVIDIA_TESLA_T4", 1], 4),
        ({"chief": "a2-highgpu-4g", "evaluator": False}, ["a2-highgpu-4g", "NVIDIA_TESLA_A100", 4], 2),
        ({"chief": "n1-standard-16", "workers": 0, "evaluator": False}, ["n1-standard-16"], 1),
    ],
)
def test_other_machines_and_fewer_of_them(plan: Plan, changes: dict[str, Any], machine: list[Any], pools: int) -> None:
    """GPUs that are a choice, several in a machine, and machines without; pools at the end are left out."""
    spec = plan(**changes).job["jobSpec"]
    assert list(spec["workerPoolSpecs"][0]["machineSpec"].values()) == machine
    assert len(spec["workerPoolSpecs"]) == pools
    assert spec["scheduling"]["strategy"] == ("SPOT" if changes.get("spot", True) else "STANDARD")


def test_tpus_train_on_one_machine_and_are_judged_by_another_without(plan: Plan) -> None:
    """A TPU goes by its machine type and topology, without a count; its evaluator is a machine of CPUs."""
    image = IMAGE.replace("-gpu", "-tpu")
    found = plan(chief="ct5lp-hightpu-4t", workers=0, image=image)
    pools = found.job["jobSpec"]["workerPoolSpecs"]
    assert pools[0]["machineSpec"] == {"machineType": "ct5lp-hightpu-4t", "tpuTopology": "2x2"}
    assert pools[1:3] == [{}, {}]
    assert pools[3]["machineSpec"] == {"machineType": "n1-standard-16"}
    assert "10 on each of 4 chips" in str(found)
    assert "Google names nightly builds alone for these TPUs" in str(
        plan(chief="ct6e-standard-1t", workers=0, image=image)
    )
    newest = plan(chief="tpu7x-standard-4t", workers=0, image=image)
    assert newest.job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]["tpuTopology"] == "2x2x1"
    assert "Google names JAX, and not TensorFlow, for these TPUs" in str(newest)


def test_what_only_vertex_can_know_is_a_note(plan: Plan) -> None:
    """A family of machines newer than this package, and an image by its digest, are let through with a word."""
    digest = f"{IMAGE.rpartition(':')[0]}@sha256:{'0' * 64}"
    text = str(plan(chief="c9-standard-8", image=digest))
    assert "'c9-standard-8' is of a family that is not known here" in text
    assert "a digest does not say which version is in the image" in text


def test_every_machine_of_the_table_is_one_that_the_schema_knows() -> None:
    """Every accelerator of the table is one of the schema's, and no machine of it is refused by its own rules."""
    enum = schema.document()["schemas"]["GoogleCloudAiplatformV1MachineSpec"]["properties"]["acceleratorType"]["enum"]
    assert set(machines.SHORT.values()) <= set(enum)
    for name in machines._KNOWN:
        assert not list(machines.problems(machines.read(name), "chief")), name
    for short, sizes in machines._ATTACHED.items():
        for cpus, counts in sizes.items():
            name = f"n1-{'highmem' if cpus == 2 else 'standard'}-{cpus}"
            for count in counts:
                assert not list(machines.problems(machines.read(f"{name}+{count}x{short}"), "chief")), name
    assert not list(machines.problems(machines.read("n1-highcpu-64+4xP100"), "chief"))
    assert list(
        machines.problems(machines.read("n1-standard-64+4xP100"), "chief")
    )  # it has more memory than they serve


def test_batches_that_fit_are_found() -> None:
    """The nearest sizes below and above are multiples of the replicas, and nothing is said of one that fits."""
    for replicas in range(1, 12):
        for size in range(1, 40):
            fits = batches.fitting(size, replicas)
            assert all(one > 0 and one % replicas == 0 and abs(one - size) < max(replicas, 2) for one in fits)
            assert bool(batches.uneven(size, replicas)) == (size % replicas != 0)


def test_a_config_that_is_none_is_refused(vertex: VertexServer, tmp_path: Path) -> None:
    """A file that is missing, no YAML, or no config ends in words before anything else is looked at."""
    path = tmp_path / "config.yaml"
    for text, words in ((None, "config.yaml"), ("a: [", "not an experiment config"), ("a: 3", "not an experiment")):
        if text is not None:
            path.write_text(text)
        with pytest.raises((FileNotFoundError, ValueError), match=words):
            jobs.vertex(path, "gs://photos/runs/pets", image=IMAGE, region="us-central1")


def test_a_job_is_sent_followed_found_again_and_brought_home(
    ready: Plan, vertex: VertexServer, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: config into the bucket, one request that starts the job, its states, its run on this machine."""
    planned = ready()
    sent = planned.submit()
    assert vertex.asked.count("POST create") == 1
    made = vertex.jobs[sent.name]
    assert made["jobSpec"] == planned.job["jobSpec"]
    config = made["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"][0]
    assert yaml.safe_load(storage.read_bytes(config)) == planned.settings
    assert jobs.find(f"{bucket}/runs/pets/") == sent
    with pytest.raises(jobs.JobError, match=r"another job is at work in it \(.*, PENDING\)"):
        planned.submit()
    with pytest.raises(RuntimeError, match="the job still writes it"):
        sent.bring_home(tmp_path / "home")
    vertex.states = ["QUEUED", "RUNNING", "SUCCEEDED"]
    manifest = {"id": "abc", "step": 400, "models": [{"step": 400, "ap": 0.75}]}
    storage.write_bytes(f"{sent.run}/run.json", json.dumps(manifest).encode())
    sent.follow(seconds=0)
    printed = capsys.readouterr().out
    for words in ("QUEUED: waits for its turn", "RUNNING: all machines", "step 400 is in the bucket, AP 0.750"):
        assert words in printed
    assert "gcloud ai custom-jobs stream-logs 77 --region=us-central1" in printed
    home = sent.bring_home(tmp_path / "home")
    assert home.read_manifest() == manifest
    storage.write_bytes(f"{sent.run}/run.json", json.dumps({"id": "other"}).encode())
    with pytest.raises(FileExistsError, match="another run is here"):
        sent.bring_home(tmp_path / "home")


def test_a_job_can_be_cancelled_once(ready: Plan, vertex: VertexServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Cancelling stops the job; doing it again asks for nothing; following says that it was cancelled."""
    sent = ready().submit()
    sent.cancel()
    sent.cancel()
    assert vertex.asked.count("POST cancel") == 1
    assert "Nothing to cancel" in capsys.readouterr().out
    with pytest.raises(
        RuntimeError, match=r"was cancelled\. What was kept until then is in gs://photos-and-records/runs"
    ):
        sent.follow(seconds=0)


def test_following_outlives_a_network_that_is_gone(
    ready: Plan, vertex: VertexServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers of 503 are said and asked again; a job that was deleted, or an account that may not look, ends it."""
    monkeypatch.setattr(connection, "TRIES", 0)  # the client's own tries take seconds
    sent = ready().submit()
    vertex.states, answers = ["RUNNING", "SUCCEEDED"], [None, 503, 503, None, 503, None]

    def answer(method: str, path: str, body: dict[str, Any], whole: Any = vertex.answer) -> Any:
        code = answers.pop(0) if answers else None
        return (code, {"error": {"message": "unavailable"}}) if code else whole(method, path, body)

    monkeypatch.setattr(vertex, "answer", answer)
    sent.follow(seconds=0)
    printed = capsys.readouterr().out
    assert [f"Missed {count} of 20 looks" in printed for count in (1, 2, 3)] == [True, True, False]
    assert "SUCCEEDED: the training is finished" in printed
    vertex.jobs.clear()
    with pytest.raises(FileNotFoundError, match="Google finds no such thing"):
        sent.follow(seconds=0)


def test_interrupting_ends_the_printing_and_not_the_job(
    ready: Plan, vertex: VertexServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C says that the job goes on and how to stop it; a long queue is said once, with what it may wait for."""
    sent = ready().submit()
    vertex.states = ["QUEUED"]
    monkeypatch.setattr(vertex_job, "_SLOW", -1.0)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(vertex_job.time, "sleep", sleep)
    sent.follow(seconds=7)
    printed = capsys.readouterr().out
    assert printed.count("QUEUED: waits for its turn") == printed.count("too little quota in us-central1") == 1
    assert f"Stop it: jobs.find({sent.run!r}).cancel()" in printed
    assert looks == [7] * 4
    assert vertex.asked.count("POST cancel") == 0


def test_a_network_that_is_gone_starts_nothing(
    ready: Plan, vertex: VertexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Google cannot be reached, that is said, and that nothing was started."""
    monkeypatch.setattr(connection, "TRIES", 0)
    planned = ready()
    vertex.stop()
    with pytest.raises(OSError, match=r"Google could not be reached \(.*Nothing was started.*Check the network"):
        planned.submit()


def test_a_project_has_to_be_named_somewhere(plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With no project in the environment and nobody signed in, the report asks for one."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    for name, value in (("HOME", str(tmp_path)), ("NO_GCE_CHECK", "true"), ("CLOUDSDK_CONFIG", str(tmp_path))):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(jobs.JobError, match=r"project: nothing says which one\. Give project='ID'"):
        plan()


REFUSALS = {
    "permission": (
        (403, "Permission 'aiplatform.customJobs.create' denied on resource '//aiplatform.googleapis.com/x'", ""),
        (PermissionError, rf"may not run jobs in project '{PROJECT}'.*--role=roles/aiplatform.user"),
    ),
    "act as": (
        (403, "You do not have permission to act as service_account: a@b.iam.gserviceaccount.com (actAs)", ""),
        (PermissionError, r"service-accounts add-iam-policy-binding a@b.iam.*serviceAccountUser"),
    ),
    "switched off": (
        (403, "Vertex AI API has not been used in project 1001 before or it is disabled.", "SERVICE_DISABLED"),
        (PermissionError, rf"gcloud services enable aiplatform.googleapis.com --project={PROJECT}"),
    ),
    "no project": (
        (403, "Permission denied on resource project my-photos-481516.", "CONSUMER_INVALID"),
        (FileNotFoundError, rf"there is no project '{PROJECT}'.*gcloud projects list"),
    ),
    "billing": (
        (403, "This API method requires billing to be enabled.", "BILLING_DISABLED"),
        (PermissionError, r"has no billing account"),
    ),
    "quota": (
        (
            429,
            "The following quota metrics exceed quota limits: "
            "aiplatform.googleapis.com/custom_model_training_preemptible_nvidia_l4_gpus",
            "",
        ),
        (OSError, r"quota of custom_model_training_preemptible_nvidia_l4_gpus in us-central1.*iam-admin/quotas"),
    ),
    "no machines": (
        (429, "Resources are insufficient in region: us-central1. Please try a different region", ""),
        (OSError, r"us-central1 has no such machines left at the moment.*spot=False"),
    ),
    "region": (
        (404, "Location us-central1 is not found.", ""),
        (FileNotFoundError, r"Check the region, 'us-central1'"),
    ),
    "image": (
        (400, "Image us-central1-docker.pkg.dev/x/y/z:1 is not found or the service agent lacks access", ""),
        (FileNotFoundError, rf"the image {IMAGE} is not there.*artifactregistry.reader"),
    ),
    "field": (
        (
            400,
            "List of found errors:\t1.Field: job_spec.worker_pool_specs[0].machine_spec.machine_type; "
            "Message: Machine type is not supported.\t2.Field: job_spec.x; Message: Bad.",
            "",
        ),
        (ValueError, r"\[0\].machine_spec.machine_type: Machine type is not supported; job_spec.x: Bad\)"),
    ),
    "sign-in": (
        (401, "Request had invalid authentication credentials.", ""),
        (PermissionError, "nobody is signed in"),
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_google_refuses_is_said_in_words(ready: Plan, vertex: VertexServer, refusal: str) -> None:
    """Each refusal says what it means and what to do, and that nothing was started; no job is noted for the run."""
    vertex.refusals["POST create"], (kind, words) = REFUSALS[refusal]
    planned = ready()
    with pytest.raises(kind, match=words) as caught:
        planned.submit()
    assert "Nothing was started" in str(caught.value)
    assert vertex.asked.count("POST create") == 1
    with pytest.raises(FileNotFoundError, match="no job was sent for this run folder"):
        jobs.find(planned.run)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"code": 3, "message": "The replica workerpool0-0 exited with a non-zero status of 2."}, "refused its config"),
        ({"code": 3, "message": "The replica workerpool1-3 exited with a non-zero status of 1."}, "exit code 1"),
        ({"code": 3, "message": "The replica workerpool1-3 exited with a non-zero status of 134."}, "Submit it again"),
        ({"code": 8, "message": "Quota: aiplatform.googleapis.com/custom_model_training_cpus"}, "has not enough quota"),
        ({"code": 13, "message": "Internal error."}, "Vertex AI did not do it"),
    ],
)
def test_a_job_that_fails_says_why(ready: Plan, vertex: VertexServer, failure: dict[str, Any], words: str) -> None:
    """The exit code of a machine and Google's own errors are told apart, and where the log is stands beside them."""
    sent = ready().submit()
    vertex.states, vertex.failure = ["RUNNING", "FAILED"], failure
    with pytest.raises(RuntimeError, match=rf"(?s){words}.*What was kept until then is in .*stream-logs 77"):
        sent.follow(seconds=0)


def test_a_lost_answer_starts_no_second_job(ready: Plan, vertex: VertexServer) -> None:
    """Where the connection breaks after the job was made, it is found by its label, and not made again."""
    vertex.lose = True
    sent = ready().submit()
    assert list(vertex.jobs) == [sent.name]
    assert vertex.asked.count("POST create") == 1


def test_a_server_that_is_down_started_nothing(ready: Plan, vertex: VertexServer) -> None:
    """An answer of 503 to the request, and a list without the job, say that nothing was started."""
    vertex.refusals["POST create"] = (503, "The service is currently unavailable.", "")
    with pytest.raises(OSError, match=r"Vertex AI did not do it.*Nothing was started"):
        ready().submit()
    assert vertex.asked[-2:] == ["POST create", "GET list"]


def test_a_job_that_nobody_can_look_for_may_be_running(
    ready: Plan, vertex: VertexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answer is lost and the list cannot be had, nobody claims that nothing was started."""
    monkeypatch.setattr(connection, "TRIES", 0)
    vertex.lose, vertex.refusals["GET list"] = True, (503, "The service is currently unavailable.", "")
    with pytest.raises(
        OSError, match=r"may be running and cost money; see gcloud ai custom-jobs list .*labels\.tfod"
    ) as caught:
        ready().submit()
    assert "Nothing was started" not in str(caught.value)


def test_an_image_that_is_not_there_is_named_before_the_job_is_sent(ready: Plan, vertex: VertexServer) -> None:
    """The registry is asked for the tag; an account that may not look gets a note instead."""
    vertex.tags.clear()
    with pytest.raises(jobs.JobError, match=rf"{IMAGE} is not there.*gcloud artifacts docker tags list"):
        ready().submit()
    vertex.refusals["GET tag"] = (403, "Permission denied", "")
    assert "could not be seen" in "".join(ready().check())
    assert "POST create" not in vertex.asked


def test_records_and_run_are_looked_at_before_the_job_is_sent(ready: Plan, bucket: str, vertex: VertexServer) -> None:
    """Missing records, other classes, a finished run and one of other settings or photos end before money is spent."""
    planned = ready()
    run = {"id": "abc", "step": 40, "finished": False, "data": {"train": {"fingerprint": "other"}}}
    old = settings("gs://x/train", "gs://x/validation", 20)
    old["task"]["weights"] = "coco"
    storage.write_bytes(f"{planned.run}/config.yaml", yaml.safe_dump(old).encode())
    storage.write_bytes(f"{planned.run}/run.json", json.dumps(run).encode())
    with pytest.raises(jobs.JobError) as caught:
        planned.check()
    assert "its train photos or labels are not those of this config" in str(caught.value)
    assert "task.weights was 'coco', now 'imagenet'" in str(caught.value)
    assert "global_batch_size" not in str(caught.value)  # it may go on in batches of another size
    storage.write_bytes(f"{planned.run}/config.yaml", yaml.safe_dump(planned.settings).encode())
    storage.write_bytes(f"{planned.run}/run.json", json.dumps({"step": 400, "finished": True}).encode())
    with pytest.raises(jobs.JobError, match="this training is finished, at step 400"):
        planned.check()
    storage.write_bytes(f"{planned.run}/run.json", json.dumps({"step": 1, "weights_source": "carried"}).encode())
    with pytest.raises(jobs.JobError, match="it holds a model of an old program"):
        planned.check()
    storage.delete(f"{planned.run}/run.json")
    assert planned.check() == ()
    planned.settings["task"]["class_names"] = ["red", "green"]
    with pytest.raises(jobs.JobError, match=r"the train records: they have the classes .*red.*blue"):
        planned.check()
    planned.settings["task"]["train_data"]["input_path"] = f"{bucket}/records/none-1234abcd-*-of-00001.tfrecord"
    with pytest.raises(jobs.JobError, match="the train records: "):
        planned.check()
    assert "POST create" not in vertex.asked


def test_a_bucket_far_from_the_machines_is_named(ready: Plan, vertex: VertexServer) -> None:
    """The bucket of these tests is in the US: machines in Europe are refused, or allowed with a word."""
    with pytest.raises(jobs.JobError, match=r"gs://photos-and-records: it is in us, far from .*europe-west4"):
        ready(region="europe-west4").check()
    assert "far from the machines" in "".join(ready(region="europe-west4", allow_far=True).check())


def test_where_a_bucket_is_may_be_hidden(plan: Plan, cloud: BucketServer) -> None:
    """An account that may use a bucket's files alone gets a note, and no refusal for it."""
    cloud.add("photos", location="EU")
    cloud.denied = {"storage.buckets.get"}
    with pytest.raises(jobs.JobError) as caught:  # for the records, which are not there
        plan(project=PROJECT).check()
    found = [one for one in caught.value.problems if one.where == "gs://photos"]
    assert [one.severity for one in found] == ["warning"]
    assert "may not look where it is" in found[0].what


def test_nobody_signed_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an account, Google's error becomes the line that signs in."""
    from google.auth import exceptions

    with (
        pytest.raises(PermissionError, match="gcloud auth application-default login"),
        refusals.explained(refusals.Asked("a job", PROJECT, "us-central1")),
    ):
        raise exceptions.DefaultCredentialsError("Your default credentials were not found.")


def test_importing_jobs_loads_no_client_of_an_engine() -> None:
    """Neither Google's clients nor Ray are loaded before they are needed: planning elsewhere must not need them."""
    code = "import sys, tfod_helpers.jobs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"googleapiclient", "google.cloud", "ray", "tensorflow", "sky"} & set(done.stdout.split())


def test_a_report_of_problems_can_come_back_from_another_process() -> None:
    """It is pickled and unpickled with everything that it says."""
    import pickle

    error = vertex_plan.JobError([machines._unknown(machines.read("n1-standard-9"), "chief")], "a job")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.tensorflow
def test_a_config_is_sent_as_it_would_be_saved(vertex: VertexServer, tmp_path: Path) -> None:
    """What a machine of the job loads is the config that was planned with, whether it was given whole or as a file."""
    from tfod_helpers import experiment
    from tfod_helpers.jobs import settings as settings_of

    config = experiment.from_preset(next(iter(presets.PRESETS)))
    config.task.class_names = ["red", "blue"]
    (tmp_path / "sent.yaml").write_bytes(settings_of.write(settings_of.read(config)))
    assert experiment.load(tmp_path / "sent.yaml").as_dict() == config.as_dict()
    assert settings_of.read(experiment.save(config, tmp_path / "saved.yaml")) == settings_of.read(config)
    assert settings_of.differences(settings_of.read(config), settings_of.read(config), finished=True) == {}


@pytest.mark.tensorflow
def test_the_command_of_a_job_is_one_that_the_training_takes(plan: Plan) -> None:
    """The program on each machine reads the arguments as they are meant, and ends as engines are told."""
    from tfod_helpers import training
    from tfod_helpers.training import __main__ as door

    spec = plan(keep="all").job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    given = door._parser().parse_args(spec["args"])
    assert (given.config, given.run) == ("gs://photos/runs/pets/job/config.yaml", "gs://photos/runs/pets")
    assert (given.keep, given.evaluator_waits) == ("all", 30)
    assert training.TAKEN_AWAY == command.TAKEN_AWAY
    assert spec["command"] == ["python", "-m", door.__package__]
