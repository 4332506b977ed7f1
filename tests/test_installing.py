"""Installing: what is missing, in the tested version; what fits stays; a TPU keeps the TensorFlow that can use it."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from tfod_helpers import installing

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TPU_FILE = ROOT / "requirements-tpu.txt"
COLAB = {kind: Path(__file__).with_name(f"colab_{kind}.txt") for kind in ("gpu", "tpu")}
TPU_MACHINE = {"TPU_ACCELERATOR_TYPE": "v5litepod-1"}
FIND_TPU = """
import tfod_helpers.runtime, tensorflow as tf, tensorflow_models
resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
tf.tpu.experimental.initialize_tpu_system(resolver)
"""


def listed(path: Path) -> dict[str, str]:
    """The packages of a file with pins: the name in one spelling -> the version."""
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    parts = [line.partition("==") for line in lines if line]
    return {installing.canonicalize_name(name): version for name, _, version in parts}


def needs(name: str) -> list[str]:
    """What a package asks for, as this environment knows it."""
    if name == "libtpu":
        return []
    if name == "tensorflow-tpu":
        return [*needs("tensorflow"), "libtpu~=0.0.14"]
    return metadata.requires(name) or []


def setup() -> str:
    """The setup cell as the notebooks have it, up to where it imports what they use."""
    cells = nbformat.read(ROOT / "notebooks" / "01_train_tpu.ipynb", 4).cells
    cell = next(cell.source for cell in cells if cell.cell_type == "code")
    installs, found, _ = cell.partition("\nfrom tfod_helpers import doctor")
    assert found
    return installs


class Machine:
    """A folder of packages, and a pip that works on it.

    Attributes:
        folder: where the packages lie; each is its metadata alone.
        commands: what pip was asked to do: the verb and its arguments.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.commands = folder, []
        extras = PROJECT["optional-dependencies"]
        ours = [f'{line}; extra == "{extra}"' for extra in extras for line in extras[extra]]
        self.lay("tfod_helpers", "0.1.0", [*PROJECT["dependencies"], *ours])

    def lay(self, name: str, version: str, requires: list[str] | None = None, module: str = "") -> None:
        """Put a package there, in the place of another version of it."""
        self.remove(name)
        home = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        home.mkdir(parents=True)
        lines = [f"Requires-Dist: {line}" for line in requires or []]
        (home / "METADATA").write_text(
            "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
        )
        (home / "top_level.txt").write_text(module)

    def remove(self, name: str) -> None:
        """Take a package away."""
        for home in self.folder.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(home)

    def run(self, command: list[str]) -> str:
        """Do what a pip or uv would be told to do."""
        verb, *rest = command[command.index("pip") + 1 :]
        names = [one for one in rest if not one.startswith("-") and one != sys.executable]
        self.commands.append((verb, [one for one in rest if one not in names], names))
        for name, _, version in (one.partition("==") for one in names):
            self.remove(name)
            if verb == "install":
                self.lay(name, version, needs(name))
        return ""

    def versions(self) -> dict[str, str]:
        """The packages that are there now."""
        there = [home.name.removesuffix(".dist-info").rpartition("-") for home in self.folder.glob("*.dist-info")]
        return {installing.canonicalize_name(name): version for name, _, version in there}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """An empty machine without a TPU, and without uv."""
    made = Machine(tmp_path)

    def on_the_machine(name: str) -> metadata.Distribution:
        found = next(iter(metadata.distributions(name=name, path=[str(tmp_path)])), None)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    view = types.SimpleNamespace(
        PackageNotFoundError=metadata.PackageNotFoundError,
        Distribution=metadata.Distribution,
        distribution=on_the_machine,
        version=lambda name: on_the_machine(name).version,
        requires=lambda name: on_the_machine(name).requires,
    )
    monkeypatch.setattr(installing, "metadata", view)
    monkeypatch.setattr(installing, "_run", made.run)
    monkeypatch.setattr(installing.shutil, "which", lambda name: None)
    monkeypatch.setattr(installing.glob, "glob", lambda pattern: [])
    for name in installing._TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return made


def test_it_loads_nothing_but_the_standard_library() -> None:
    """Before anything is installed, importing it needs Python and pip alone."""
    code = "import sys; before = set(sys.modules); import tfod_helpers.installing; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    tops = {name.split(".")[0] for name in done.stdout.split()}
    assert tops - set(sys.stdlib_module_names) == {"tfod_helpers", "packaging"}


def test_without_packaging_it_takes_the_copy_of_pip() -> None:
    """An environment that has pip and nothing else can find out what it lacks."""
    code = "import sys; sys.modules['packaging'] = None; from tfod_helpers import installing; print(installing.Version)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip._vendor.packaging" in done.stdout


def test_nothing_is_done_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an environment of the tested set, such as this one, it runs no pip and says nothing."""
    monkeypatch.setattr(installing, "_run", lambda command: pytest.fail(f"ran {command}"))
    installing.install("train")
    assert capsys.readouterr().out == ""


def test_an_empty_machine_gets_the_tested_versions(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the package needs and what this needs is installed in the versions of the files, and no test tool."""
    installing.install("train")
    there, tested = machine.versions(), listed(TPU_FILE) | listed(ROOT / "requirements.txt")
    assert there.pop("tfod-helpers")
    assert there.items() <= tested.items()
    assert there.keys() >= {"tensorflow", "tf-models-official", "seqeval", "google-cloud-storage", "pillow-heif"}
    assert not there.keys() & {"pytest", "jupyter", "apache-beam", "tensorflow-tpu", "libtpu"}
    assert all(verb == "install" and "--no-deps" in options for verb, options, _ in machine.commands)
    assert f"Installed {len(there)} packages in " in capsys.readouterr().out


def test_without_the_extra_nothing_of_tensorflow_is_touched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos and annotations need little: no TensorFlow is installed, checked or removed, on a TPU machine neither."""
    light = ["numpy>=2.0.2,<2.4", 'tensorflow~=2.20.0; extra == "train"', 'pillow_heif>=1; extra == "heic"']
    machine.lay("tfod_helpers", "0.1.0", light)
    machine.lay("tensorflow", "2.19.0")
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    installing.install()
    there = machine.versions()
    assert there.keys() == {"tfod-helpers", "tensorflow", "numpy", "pillow-heif", "pillow"}
    assert there["tensorflow"] == "2.19.0"
    installing.install("train")
    assert machine.versions().keys() >= {"tensorflow-tpu", "libtpu"}
    assert "tensorflow" not in machine.versions()


def test_what_fits_stays(machine: Machine) -> None:
    """In Colab's GPU runtime only what is missing is installed; numpy and all else that fits is left alone."""
    colab = listed(COLAB["gpu"])
    for name, version in colab.items():
        machine.lay(name, version)
    installing.install("train")
    there = machine.versions()
    assert colab.items() <= there.items()
    assert there.keys() - colab.keys() >= {"tf-models-official", "simplejpeg", "supervision"}
    assert len(there) - len(colab) < 20
    machine.commands.clear()
    installing.install("train")
    assert machine.commands == []


def test_a_version_that_does_not_fit_is_replaced(machine: Machine) -> None:
    """A numpy that breaks the Model Garden's evaluation gives way to the tested one."""
    installing.install("train")
    machine.lay("numpy", "2.4.0")
    installing.install("train")
    assert machine.versions()["numpy"] == listed(ROOT / "requirements.txt")["numpy"]


def test_a_package_that_wants_other_versions_than_the_tested_is_replaced_itself(machine: Machine) -> None:
    """Where a package of this machine asks for something older than the tested version, it gives way, not that."""
    installing.install("train")
    tested = machine.versions()
    machine.lay("supervision", "0.31.9", ["numpy<2.1"])
    installing.install("train")
    assert machine.versions() == tested


def test_on_a_tpu_plain_tensorflow_never_comes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Colab's TPU runtime TensorFlow comes in its TPU build with the driver that works, whoever asks for it."""
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    for name, version in listed(COLAB["tpu"]).items():
        machine.lay(name, version)
    machine.lay("libtpu", "0.0.51")
    installing.install("train")
    there = machine.versions()
    assert there["tensorflow-tpu"] == listed(TPU_FILE)["tensorflow-tpu"]
    assert there["libtpu"] == listed(TPU_FILE)["libtpu"]
    assert there["tf-models-official"]
    assert there["tensorflow-text"]
    assert there["numpy"] == "2.0.2"
    assert not [names for _, _, names in machine.commands if any(one.startswith("tensorflow==") for one in names)]


def test_on_a_tpu_plain_tensorflow_is_taken_away_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where somebody installed tensorflow over tensorflow-tpu, both are removed, and the right one is put back."""
    monkeypatch.setattr(installing.glob, "glob", lambda pattern: ["/dev/accel0"] if "accel" in pattern else [])
    installing.install("train")
    machine.lay("tensorflow", "2.20.0")
    machine.commands.clear()
    installing.install("train")
    assert [(verb, names) for verb, _, names in machine.commands] == [
        ("uninstall", ["tensorflow", "tensorflow-tpu"]),
        ("install", ["tensorflow-tpu==2.20.0"]),
    ]
    assert "Removing tensorflow, which cannot use the TPU." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("device", "vendor", "variable", "package", "tpu"),
    [
        ("", "0x1ae0", "", "", False),
        ("/dev/accel0", "0x8086", "", "", True),
        ("/dev/accel", "0x8086", "", "", False),
        ("/dev/vfio/0", "0x1ae0", "", "", True),
        ("/dev/vfio/0", "0x8086", "", "", False),
        ("/dev/vfio/vfio", "0x1ae0", "", "", False),
        ("", "0x8086", "TPU_ACCELERATOR_TYPE", "", True),
        ("", "0x8086", "TPU_NAME", "", True),
        ("", "0x8086", "COLAB_TPU_ADDR", "", True),
        ("", "0x8086", "", "tensorflow-tpu", True),
        ("", "0x8086", "", "tensorflow", False),
    ],
)
def test_a_tpu_is_known_by_its_device_its_variables_or_its_tensorflow(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    vendor: str,
    variable: str,
    package: str,
    tpu: bool,
) -> None:
    """Each of the three signs is enough; another maker's chips, and a machine with none of the signs, are no TPU."""
    (tmp_path / "vendor").write_text(f"{vendor}\n")
    there = {"/sys/bus/pci/devices/0/vendor": str(tmp_path / "vendor"), device: device}

    def found(pattern: str) -> list[str]:
        return [there[name] for name in fnmatch.filter(there, pattern)]

    monkeypatch.setattr(installing.glob, "glob", found)
    if variable:
        monkeypatch.setenv(variable, "v5litepod-1")
    if package:
        machine.lay(package, "2.20.0")
    assert installing.on_tpu() is tpu


def test_a_loaded_package_that_was_replaced_asks_for_a_restart(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the package, both versions and the menu; it comes again until the session is a new one."""
    installing.install("train")
    machine.lay("numpy", "1.26.4", module="numpy")
    loaded = types.ModuleType("numpy")
    loaded.__version__, loaded.__file__ = "1.26.4", str(machine.folder / "numpy" / "__init__.py")
    monkeypatch.setitem(sys.modules, "numpy", loaded)
    wanted = r"numpy 2\.3\.5 in place of 1\.26\.4.*Runtime > Restart session, then run this cell again"
    for _ in range(2):
        with pytest.raises(RuntimeError, match=wanted):
            installing.install("train")
    monkeypatch.delitem(sys.modules, "numpy")
    installing.install("train")


def test_a_loaded_package_that_stayed_asks_for_nothing() -> None:
    """OpenCV, which calls itself otherwise than its package, and copies of packages in others are not taken amiss."""
    code = "import cv2, pkg_resources, packaging, numpy, pandas, PIL, yaml, google.protobuf, lxml.etree, matplotlib"
    code += "\nfrom tfod_helpers import installing\nprint(installing.outdated('train'))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{}\n"


def test_another_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 is refused before anything is installed, with what to do in Colab and elsewhere."""
    monkeypatch.setattr(installing, "_run", lambda command: pytest.fail(f"ran {command}"))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(RuntimeError, match=r"3\.11 or 3\.12 is needed.*Runtime version.*python3\.12 -m venv"):
        installing.install("train")


def test_versions_that_cannot_fit_are_reported_and_not_tried_for_ever(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pin that does not please this package itself ends in an error that names it."""
    pins = installing.pins() | {"numpy": "1.0.0"}
    monkeypatch.setattr(installing, "pins", lambda: pins)
    with pytest.raises(RuntimeError, match=r"asks for numpy.*, and numpy 1\.0\.0 is what the tested set has"):
        installing.install("train")


def test_uv_is_taken_where_it_is_there_and_pip_where_it_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With uv, it installs for this very Python; where it cannot, pip gets the same list."""
    seen: list[list[str]] = []

    def run(command: list[str]) -> str:
        seen.append(command)
        return "no" if command[0] == "/bin/uv" and len(seen) > 1 else machine.run(command)

    monkeypatch.setattr(installing.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(installing, "_run", run)
    installing.install("train")
    assert seen[0][:6] == ["/bin/uv", "pip", "install", "--python", sys.executable, "--no-deps"]
    assert seen[1][0] == "/bin/uv"
    assert seen[2][:4] == [sys.executable, "-m", "pip", "install"]
    assert seen[2][-1] == seen[1][-1]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has pip, a copy of this package and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    home = next((folder / "venv").glob("lib/python*/site-packages"))
    (home / "tfod_helpers.pth").write_text(str(ROOT))
    (home / "tfod_helpers-0.1.0.dist-info").mkdir()
    lines = ["Metadata-Version: 2.1", "Name: tfod_helpers", "Version: 0.1.0", "Requires-Dist: tqdm>=4.66"]
    (home / "tfod_helpers-0.1.0.dist-info" / "METADATA").write_text("\n".join(lines))
    return folder / "venv" / "bin" / "python"


def test_the_setup_cell_installs_with_the_real_pip(fresh: Path, tmp_path: Path) -> None:
    """The first half of the notebooks' cell installs what is missing, once; a failure ends with pip's own words."""
    version = listed(ROOT / "requirements.txt")["tqdm"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PATH": "", "PIP_FIND_LINKS": str(tmp_path)}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(fresh), "-c", setup()], cwd=ROOT / "notebooks", capture_output=True, text=True, env=environment
        )

    failed = run()
    assert failed.returncode == 1
    assert re.search(
        rf"This failed: .* --no-deps .*tqdm=={version}\n.*No matching distribution", failed.stderr, re.DOTALL
    )
    with zipfile.ZipFile(tmp_path / f"tqdm-{version}-py3-none-any.whl", "w") as wheel:
        home = f"tqdm-{version}.dist-info"
        wheel.writestr("tqdm.py", "")
        wheel.writestr(f"{home}/METADATA", f"Metadata-Version: 2.1\nName: tqdm\nVersion: {version}\n")
        wheel.writestr(f"{home}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{home}/RECORD", "")
    assert re.search(rf"Installing tqdm=={version}\.\nInstalled 1 package in \d+ s\.", run().stdout)
    assert run().stdout == ""


def python_312() -> str:
    """A Python 3.12; skips where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/3.12*/bin/python")
    for python in filter(None, [sys.executable, shutil.which("python3.12"), *map(str, versions)]):
        asked = [python, "-c", "import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 12))"]
        if subprocess.run(asked, capture_output=True).returncode == 0:
            return python
    pytest.skip("needs Python 3.12, and this machine has none")


def environment(folder: Path, requirements: Path) -> Path:
    """Install a list of pins into an environment of Python 3.12 and nothing else; return its Python."""
    subprocess.run([python_312(), "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return python


def assert_only_the_chip_is_missing(python: Path) -> None:
    """Ask TensorFlow for the TPU: its driver answers, and what it misses is the chip.

    Another TensorFlow has no kernel for the question, and with another driver the process is aborted.
    """
    # Without the first, the driver asks Google's metadata server for minutes, which is not there.
    told = os.environ | {"TPU_SKIP_MDS_QUERY": "1", "TF_CPP_MIN_LOG_LEVEL": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([str(python), "-c", FIND_TPU], cwd=ROOT, capture_output=True, text=True, env=told)
    assert done.returncode == 1, done.stderr
    assert "No TPU platform found" in done.stderr
    assert re.search(r"InternalError: .*RET_CHECK failure \(\S*tpu_node_interfaces\.cc", done.stderr, re.DOTALL)


def installed(python: Path) -> dict[str, str]:
    """The packages of an environment."""
    done = subprocess.run([str(python), "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True)
    parts = [line.partition("==") for line in done.stdout.splitlines() if "==" in line]
    return {installing.canonicalize_name(name): version for name, _, version in parts}


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied after the test: pytest keeps its own for a while, and these hold gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.install
@pytest.mark.tensorflow
def test_the_tpu_requirements_reach_the_chip(roomy: Path) -> None:
    """requirements-tpu.txt alone makes an environment that lacks plain tensorflow and the chip, and nothing else."""
    python = environment(roomy / "tpu", TPU_FILE)
    there = installed(python)
    assert there.pop("pip")
    assert there == listed(TPU_FILE)
    done = subprocess.run([str(python), "-m", "pip", "check"], capture_output=True, text=True)
    assert {line.partition(" requires ")[2] for line in done.stdout.splitlines()} == {
        "tensorflow, which is not installed."
    }
    assert_only_the_chip_is_missing(python)


@pytest.mark.install
@pytest.mark.tensorflow
def test_the_setup_cell_makes_colabs_tpu_runtime_reach_the_chip(roomy: Path) -> None:
    """With what Colab's TPU runtime comes with, the cell adds the rest, changes nothing, and has nothing left to do."""
    python = environment(roomy / "colab", COLAB["tpu"])
    project = roomy / "checkout"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".*", "build", "demo", "runs", "__pycache__"))
    told = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | TPU_MACHINE
    runs = [
        subprocess.run(
            [str(python), "-c", setup()], cwd=project / "notebooks", capture_output=True, text=True, env=told
        )
        for _ in range(2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert re.search(r"Installed \d+ packages in \d+ s\.", runs[0].stdout)
    assert runs[1].stdout == ""
    there = installed(python)
    assert "tensorflow" not in there
    assert listed(COLAB["tpu"]).items() <= there.items()
    assert_only_the_chip_is_missing(python)
