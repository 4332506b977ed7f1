"""The container that jobs run: it is made of files that are there, and of packages in the versions that were tested."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfod_helpers import __version__
from tfod_helpers.jobs import images

ROOT = Path(__file__).parents[1]
FILE = ROOT / "Dockerfile"
CONSTRAINTS = ("requirements-tpu.txt", "requirements-gpu.txt")  # pip takes no extras in them, as ray[train]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each in one line: its word, and what follows."""
    text = re.sub(r"^#.*\n", "", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", "", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line]


def runs(word: str) -> str:
    """The one RUN line with a word in it."""
    (found,) = [rest for name, rest in instructions() if name == "RUN" and word in rest]
    return found


def pins(name: str) -> dict[str, str]:
    """The versions that a file of requirements names."""
    lines = [
        re.sub(r"\[.*?\]|#.*", "", line).strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
    ]
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if line}


def test_every_file_that_it_copies_is_there_and_sent_along() -> None:
    """What COPY names is in the checkout, and not kept back by .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert "*" in lines
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    names = [name for one in copied for name in one]
    assert {"pyproject.toml", "tfod_helpers", "dataset", *CONSTRAINTS} <= set(names)
    for name in names:
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), f"{name} is not sent to the builder"


def test_it_runs_the_training_and_not_as_root() -> None:
    """It starts the command that jobs give, as a user without rights; its last stage installs nothing."""
    last = instructions()[max(index for index, (name, _) in enumerate(instructions()) if name == "FROM") :]
    users = [rest for name, rest in last if name == "USER"]
    assert users == ["1000"]
    assert dict(last)["ENTRYPOINT"] == '["python", "-m", "tfod_helpers.training"]'
    assert not [rest for name, rest in last if name == "RUN" and "pip" in rest]


def test_it_installs_what_the_extras_need(tmp_path: Path) -> None:
    """The line that lists the packages, run by a shell, lists those of the package and of three extras."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    line = runs("> wanted.txt").replace("python", sys.executable, 1)
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True)
    wanted = [Requirement(line) for line in (tmp_path / "wanted.txt").read_text(encoding="utf-8").splitlines()]
    names = {canonicalize_name(one.name) for one in wanted}
    assert {"numpy", "tensorflow", "tf-models-official", "google-cloud-storage", "google-api-python-client"} <= names
    assert not {"jupyter", "pytest", "tf2onnx", "apache-beam"} & names
    locked = pins("requirements.txt")
    assert all(one.specifier.contains(locked[canonicalize_name(one.name)]) for one in wanted)


def test_every_pip_line_takes_the_tested_versions() -> None:
    """Each installation is held by the files of versions, or brings nothing along."""
    lines = [part for name, rest in instructions() if name == "RUN" for part in re.findall(r"pip install [^;&]*", rest)]
    assert len(lines) == 3
    for line in lines:
        held = [f"--constraint {name}" in line for name in CONSTRAINTS]
        assert all(held) or "--no-deps" in line, line


def test_libraries_of_nvidia_are_those_that_tensorflow_asks_for() -> None:
    """requirements-gpu.txt pins each package of tensorflow[and-cuda], in a version that TensorFlow allows."""
    lines = [Requirement(line) for line in importlib.metadata.requires("tensorflow") or []]
    asked = [one for one in lines if one.marker and one.marker.evaluate({"extra": "and-cuda"})]
    asked = [one for one in asked if not one.marker.evaluate({"extra": ""})]
    locked = pins("requirements-gpu.txt")
    assert {canonicalize_name(one.name) for one in asked} == set(locked)
    for one in asked:
        assert one.specifier.contains(locked[canonicalize_name(one.name)]), one


@pytest.mark.parametrize("chip", ["gpu", "tpu", "cpu"])
def test_the_chip_decides_which_tensorflow_comes(tmp_path: Path, chip: str) -> None:
    """GPUs get NVIDIA's libraries, TPUs another TensorFlow and their driver, and anything else ends the build."""
    for name in CONSTRAINTS:
        shutil.copy(ROOT / name, tmp_path)
    said = tmp_path / "pip"  # in the place of pip: it writes down what it is asked for
    said.write_text('#!/bin/sh\necho "$@" >> asked.txt\n')
    said.chmod(0o755)
    script = "\n".join([f"PATH={tmp_path}:$PATH", f"CHIP={chip}", runs("case"), runs("> tpu.txt")])
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True)
    if chip not in images.CHIPS:
        assert done.returncode == 1
        assert "CHIP is gpu or tpu, and not 'cpu'" in done.stderr
        return
    asked = (tmp_path / "asked.txt").read_text(encoding="utf-8")
    version = pins("requirements.txt")["tensorflow"]
    assert ("tensorflow[and-cuda]" if chip == "gpu" else "wanted.txt tensorflow") + f"=={version}" in asked
    assert ("nvidia" in asked or "and-cuda" in asked) == (chip == "gpu")
    assert ("uninstall --yes tensorflow" in asked) == (chip == "tpu")
    if chip == "tpu":
        versions = pins("requirements-tpu.txt")
        lines = (tmp_path / "tpu.txt").read_text(encoding="utf-8").splitlines()
        wanted = {line.partition("==")[0]: line.partition("#")[0].partition("==")[2].strip() for line in lines}
        assert wanted == {name: versions[name] for name in ("tensorflow-tpu", "libtpu")}


def test_the_lines_at_its_top_make_a_name_that_jobs_take() -> None:
    """VERSION and IMAGE, run by a shell as they stand there, give the name that `jobs.vertex` wants."""
    head = [line[4:] for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("#   ")]
    lines = [line for line in head if re.match(r"(PROJECT|VERSION|IMAGE)=", line)]
    done = subprocess.run(["sh", "-ec", "\n".join([*lines, "echo $IMAGE"])], cwd=ROOT, capture_output=True, text=True)
    name = done.stdout.strip()
    assert name == images.example("us-central1", "my-project-481516")
    assert images.read(name).tag == f"{__version__}-gpu"
    assert not list(images.problems(name, "us-central1", "my-project-481516", tpu=False))


@pytest.mark.install
@pytest.mark.parametrize("chip", images.CHIPS)
def test_its_packages_can_be_installed_together(tmp_path: Path, chip: str) -> None:
    """Pip finds every package of the image, in the versions of the lock, for the Python of the image."""
    for name in ("pyproject.toml", *CONSTRAINTS):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    listed = runs("> wanted.txt")
    install = runs("case").replace("pip install", "pip install --dry-run --quiet --report report.json")
    script = "\n".join([f"PATH={tmp_path}/venv/bin:$PATH", f"CHIP={chip}", listed, install])
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True)
    report = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert ("nvidia_cudnn_cu12" in report) == (chip == "gpu")
