"""The task file for SkyPilot: what SkyPilot reads, what its machines run, and what is refused before it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from test_jobs_vertex import settings

from tfod_helpers import jobs
from tfod_helpers.files import storage
from tfod_helpers.jobs import skypilot_node

ROOT = Path(__file__).parents[1]
VERSION = "0.14.1"
# SkyPilot's own schemas, since it cannot be installed beside the pins; the test below compares them with SkyPilot's.
SCHEMAS = json.loads((Path(__file__).parent / "skypilot_schemas.json").read_text(encoding="utf-8"))
# Run by a Python that has SkyPilot: reads a task file with its parser, and says what it understood, and its schemas.
PARSE = """
import json, sys
import sky
from sky.utils import schemas
task = sky.Task.from_yaml(sys.argv[1])
(resources,) = task.resources
print(json.dumps({
    "nodes": task.num_nodes, "accelerators": resources.accelerators, "spot": resources.use_spot, "run": task.run,
    "recovery": resources.job_recovery, "cloud": str(resources.cloud), "workdir": task.workdir,
    "schemas": {"task": schemas.get_task_schema(), "resources": schemas.get_resources_schema()},
}))
"""
Write = Callable[..., Path]


@pytest.fixture
def write(bucket: str, tmp_path: Path) -> Write:
    """What writes a task file, with some changes."""

    def make(batch: int = 24, **changes: Any) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings(f"{bucket}/train", f"{bucket}/validation", batch)))
        run = changes.pop("run", f"{bucket}/runs/Oxford Pets")
        return jobs.skypilot(path, run, tmp_path / "task.yaml", **changes)

    return make


def test_a_task_fits_skypilots_schema(write: Write, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Three machines of one L4, started anew after a loss; the config is beside the run, and the command is said."""
    path = write(infra="aws/us-east-1", keep="all")
    task = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(task, SCHEMAS["task"])
    jsonschema.validate(task["resources"], SCHEMAS["resources"])
    script = task["setup"].replace("uv", "echo").replace("source", "echo")  # what a shell makes of it
    said = subprocess.run(["sh", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"tensorflow\[and-cuda\]==2\.\d+\.\d+ --constraint requirements-tpu.txt --constraint", said)
    assert (task["name"], task["num_nodes"]) == ("oxford-pets", 3)
    assert task["resources"]["job_recovery"] == {"recover_on_exit_codes": [134]}
    assert task["run"].splitlines()[-1] == (
        f"python -m tfod_helpers.jobs.skypilot_node '{bucket}/runs/Oxford Pets/job/config.yaml' "
        f"'{bucket}/runs/Oxford Pets' --keep all"
    )
    assert yaml.safe_load(storage.read_bytes(f"{bucket}/runs/Oxford Pets/job/config.yaml"))["task"]
    assert f"sky jobs launch {path}" in capsys.readouterr().out
    with pytest.raises(jsonschema.ValidationError, match="num_node"):  # the schema is one that can refuse
        jsonschema.validate(task | {"num_node": 3}, SCHEMAS["task"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 16}, "16 photos cannot be shared out evenly over 3 replicas; 15 or 18 can"),
        ({"batch": 8, "machines": 2, "accelerators": "A100:8"}, "8 photos are fewer than the 16 replicas"),
        ({"run": "runs/pets"}, "run: 'runs/pets' is no folder in a bucket"),
        ({"machines": 0}, "machines: there cannot be 0"),
        ({"keep": 0}, "keep: it must be 1 or more, or 'all', and is 0"),
        ({"accelerators": "L4:many"}, "accelerators: 'L4:many' is no name and number"),
        ({"accelerators": "tpu-v5litepod-4"}, "accelerators: .* are TPUs"),
        ({"source": "/"}, "source: '/' is no checkout of this package"),
    ],
)
def test_what_cannot_run_is_refused_and_nothing_is_written(write: Write, changes: dict[str, Any], words: str) -> None:
    """Each fault is named before a file is written."""
    with pytest.raises(jobs.JobError, match=words):
        write(**changes)


def test_a_repository_can_be_the_source(write: Write) -> None:
    """Without a checkout, SkyPilot fetches the repository itself."""
    task = yaml.safe_load(write(source="https://example.com/tfod_helpers.git").read_text(encoding="utf-8"))
    jsonschema.validate(task, SCHEMAS["task"])
    assert task["workdir"] == {"url": "https://example.com/tfod_helpers.git"}


def test_each_machine_learns_its_part() -> None:
    """The first address is the chief's, the others are workers by their rank; all have the same cluster."""
    parts = []
    for rank in range(3):
        given = {"SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8\n10.0.0.9\n", "SKYPILOT_NODE_RANK": str(rank)}
        parts.append(json.loads(skypilot_node.tf_config(given) or ""))
    cluster = {"chief": ["10.0.0.7:2222"], "worker": ["10.0.0.8:2222", "10.0.0.9:2222"]}
    assert [one["cluster"] for one in parts] == [cluster] * 3
    kinds = ["chief", "worker", "worker"]
    assert [one["task"] for one in parts] == [{"type": kinds[n], "index": max(0, n - 1)} for n in range(3)]
    assert skypilot_node.tf_config({"SKYPILOT_NODE_IPS": "10.0.0.7", "SKYPILOT_NODE_RANK": "0"}) is None


def test_a_machine_becomes_its_training(tmp_path: Path) -> None:
    """The process that SkyPilot starts becomes the training, with TF_CONFIG; elsewhere it says who sets its part."""
    stand_in = tmp_path / "tfod_helpers"  # a package with the same door, which says what it was given
    stand_in.mkdir()
    code = "import os, sys\nprint(os.getpid(), os.environ['TF_CONFIG'], *sys.argv[1:])\nsys.exit(134)\n"
    (stand_in / "training.py").write_text(code)
    (stand_in / "__init__.py").touch()
    environment = os.environ | {"SKYPILOT_NODE_IPS": "a\nb", "SKYPILOT_NODE_RANK": "1", "PYTHONPATH": str(tmp_path)}
    begin = f"import sys; sys.path[0] = {str(Path(jobs.__file__).parents[2])!r}; "
    begin += "sys.argv[1:] = ['gs://config', 'gs://run']; from tfod_helpers.jobs import skypilot_node; "
    begin += "skypilot_node.main(sys.argv[1:])"
    command = [sys.executable, "-c", begin]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 134
    cluster = {"cluster": {"chief": ["a:2222"], "worker": ["b:2222"]}, "task": {"type": "worker", "index": 0}}
    assert printed == f"{process.pid} {json.dumps(cluster)} gs://config gs://run\n"
    done = subprocess.run(
        [sys.executable, "-m", "tfod_helpers.jobs.skypilot_node", "a", "b"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "SkyPilot sets both on its machines. Start this with: sky jobs launch FILE" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.install
def test_skypilot_reads_the_task_with_its_own_parser(write: Write, tmp_path: Path) -> None:
    """SkyPilot itself understands the file as it is meant, and its schemas are those that the other tests take."""
    python = os.environ.get("TFOD_SKYPILOT_PYTHON", str(tmp_path / "venv" / "bin" / "python"))
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"skypilot[gcp]=={VERSION}"], check=True)
    path = write(infra="gcp")
    command = [python, "-c", PARSE, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)})
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["nodes"] == 3
    assert found["accelerators"] == {"L4": 1}
    assert found["spot"] is True
    assert found["cloud"] == "GCP"
    assert found["recovery"]["recover_on_exit_codes"] == [134]
    assert found["run"] == yaml.safe_load(path.read_text(encoding="utf-8"))["run"]
    assert found["schemas"] == SCHEMAS
