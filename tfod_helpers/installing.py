"""What this package needs and this machine lacks -> installed; what already fits stays as it is.

A notebook's setup cell calls `install` before anything else is imported, so this module imports only the standard
library and what every Python with pip has. What is needed is what ``pyproject.toml`` asks for: photos, annotations and
figures need little; the extra ``train`` adds TensorFlow and the Model Garden. Exact versions are installed, those of
``requirements.txt`` and ``requirements-tpu.txt``, and each package alone (``--no-deps``): on a TPU the packages that
ask for plain ``tensorflow`` would otherwise bring it, and its files would overwrite those of ``tensorflow-tpu``.
"""

from __future__ import annotations

import glob
import importlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("packaging"):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version
else:  # a bare environment; pip brings its own copy
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name
    from pip._vendor.packaging.version import InvalidVersion, Version

_PACKAGE = "tfod_helpers"
_ALWAYS = ("", "cloud", "heic")  # extras that every notebook offers: buckets, and the photos of phones
_PLAIN, _FOR_TPU = "tensorflow", "tensorflow-tpu"  # the same modules, for other chips; only one of them may be there
_GOOGLE = "0x1ae0"  # its PCI vendor number
_TPU_VARIABLES = ("TPU_ACCELERATOR_TYPE", "TPU_NAME", "COLAB_TPU_ADDR")  # set on TPU machines and in Colab
_MODULE_NAMES = {"protobuf": "google.protobuf"}  # neither its name nor its top_level.txt says so


def install(*extras: str) -> None:
    """Install what is missing or of a version that does not fit; do nothing, at once, where all is well.

    It says what it installs and how long that took. Packages that are there in a version that fits are not touched,
    so that no other program on this machine loses what it runs with.

    Args:
        extras: what else is needed, by pyproject.toml's names: ``train`` for TensorFlow and the Model Garden.

    Raises:
        RuntimeError: this Python does not work; a package could not be installed, with the command that was tried; or
            a package was replaced that this session had loaded already, so that the session has to be restarted.
    """
    check_python()
    started = time.monotonic()
    if on_tpu() and installed(_PLAIN) and any(wanted.name == _FOR_TPU for wanted, _ in _requirements(extras)):
        # Its files lie where those of tensorflow-tpu belong: neither is whole now.
        print(f"Removing {_PLAIN}, which cannot use the TPU.")
        _pip("uninstall", "--yes", _PLAIN, *([_FOR_TPU] if installed(_FOR_TPU) else []))
    wanted: dict[str, str] = {}
    while missing := lacking(*extras):  # a package that is new may ask for more
        if missing.items() <= wanted.items():
            need, asker, version = next(_unmet(extras))
            raise RuntimeError(f"{asker} asks for {need}, and {need.name} {version} is what the tested set has.")
        _add(missing)
        wanted |= missing
    if count := len(wanted):
        print(f"Installed {count} package{'s' * (count > 1)} in {time.monotonic() - started:.0f} s.")
    if replaced := outdated(*extras):
        names = ", ".join(f"{name} {new} in place of {old}" for name, (old, new) in replaced.items())
        raise RuntimeError(
            f"Installed {names}, which this session had loaded already: choose Runtime > Restart session, then run "
            f"this cell again."
        )


def check_python() -> None:
    """Refuse a Python that is not 3.11 or 3.12.

    Raises:
        RuntimeError: the message says what to do.
    """
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        raise RuntimeError(
            f"Python 3.11 or 3.12 is needed, this is {platform.python_version()}. In Colab choose Runtime > Change "
            f"runtime type > Runtime version, and there one with such a Python; elsewhere make an environment with "
            f"one of them: python3.12 -m venv .venv"
        )


def tpu_devices() -> list[str]:
    """List the device files of this machine's TPU chips: ``/dev/accel0`` (v2 to v4), ``/dev/vfio/0`` (v5e and later).

    Other machines have such files too: Intel's chips lie in ``/dev/accel/``, and ``/dev/vfio/`` holds anything that is
    handed on to a virtual machine. So the latter count beside a PCI device of Google's alone, as in JAX
    (https://github.com/jax-ml/jax/blob/main/jax/_src/hardware_utils.py).
    """
    vendors = (Path(path).read_text(encoding="ascii").strip() for path in glob.glob("/sys/bus/pci/devices/*/vendor"))
    later = glob.glob("/dev/vfio/[0-9]*")
    return sorted(glob.glob("/dev/accel[0-9]*") + (later if later and _GOOGLE in vendors else []))


def on_tpu() -> bool:
    """Say whether this machine has a TPU, or is set up for one, without loading anything.

    Where a container hides the device files, the environment variables of TPU machines or an installed
    ``tensorflow-tpu`` tell.
    """
    if tpu_devices() or any(map(os.environ.get, _TPU_VARIABLES)):
        return True
    return installed(_FOR_TPU) is not None and installed(_PLAIN) is None


def lacking(*extras: str) -> dict[str, str]:
    """Find what has to be installed so that everything that this package needs is there and fits together.

    Args:
        extras: what else is needed, as for `install`.

    Returns:
        Package -> the version to install; empty where nothing is missing.

    Raises:
        RuntimeError: a package is asked for that neither requirements file names.
    """
    tested, missing = pins(), {}
    for wanted, asker, _ in _unmet(extras):
        name = canonicalize_name(wanted.name)
        # The pinned versions fit together. So where ours does not satisfy the asker, the asker is of a wrong version.
        fits = name in tested and wanted.specifier.contains(tested[name], prereleases=True)
        culprit = name if fits or asker not in tested else asker
        if culprit not in tested:
            raise RuntimeError(f"{asker} asks for {wanted}, and requirements-tpu.txt does not name it. Add it there.")
        missing[culprit] = tested[culprit]
    return missing


def outdated(*extras: str) -> dict[str, tuple[str, str]]:
    """Find packages of which this session has loaded another version than the one that is installed now.

    Args:
        extras: what else is needed, as for `install`.

    Returns:
        Package -> the version that is loaded, the version that is installed.
    """
    found: dict[str, tuple[str, str]] = {}
    for name in sorted({canonicalize_name(wanted.name) for wanted, _ in _requirements(extras)}):
        if (version := installed(name)) is None:
            continue
        home = metadata.distribution(name)
        names = (home.read_text("top_level.txt") or _MODULE_NAMES.get(name, name.replace("-", "_"))).split()
        for module in filter(None, map(sys.modules.get, names)):
            loaded = vars(module).get("__version__")  # not getattr: some make it up when asked, with a warning
            if isinstance(loaded, str) and _is_of(module, home) and not _same(loaded, version):
                found[name] = (loaded, version)
    return found


def _unmet(extras: Sequence[str]) -> Iterator[tuple[Requirement, str, str | None]]:
    """Yield what is asked for and not there: the requirement, who asks, and the version that is there, if any."""
    for wanted, asker in _requirements(extras):
        version = installed(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            yield wanted, asker, version


def _requirements(extras: Sequence[str]) -> Iterator[tuple[Requirement, str]]:
    """Yield all that this package needs, and what its needs need in turn, each with who asks for it."""
    tpu = on_tpu()
    roots = [(wanted, _PACKAGE) for wanted in _own_requirements({*_ALWAYS, *extras})]
    if tpu and any(canonicalize_name(wanted.name) == _PLAIN for wanted, _ in roots):
        # Any libtpu satisfies tensorflow-tpu, and newer ones abort the process.
        roots.append((Requirement(f"libtpu=={pins()['libtpu']}"), _FOR_TPU))
    return needs(roots, tpu)


def needs(roots: Iterable[tuple[Requirement, str]], tpu: bool = False) -> Iterator[tuple[Requirement, str]]:
    """Yield what is asked for, each with who asks, and all that these need in turn, as far as they are installed.

    Args:
        roots: what is asked for first, each with who asks.
        tpu: read every ``tensorflow`` as ``tensorflow-tpu``.
    """
    todo = list(roots)
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted, asker = todo.pop()
        if tpu and canonicalize_name(wanted.name) == _PLAIN:
            wanted.name = _FOR_TPU
        yield wanted, asker
        name = canonicalize_name(wanted.name)
        asked = {(name, extra) for extra in ("", *wanted.extras)} - seen
        seen |= asked
        if asked and installed(name):
            lines = metadata.requires(name) or []
            todo += [(line, name) for line in _applying(lines, {extra for _, extra in asked})]


def _own_requirements(extras: Collection[str]) -> Iterable[Requirement]:
    """Read what pip noted of pyproject.toml when it installed this package."""
    try:
        return _applying(metadata.requires(_PACKAGE) or [], extras)
    except metadata.PackageNotFoundError:
        folder = Path(__file__).parents[1]
        raise RuntimeError(
            f"{folder}: {_PACKAGE} is imported from there and not installed. Run: pip install --no-deps -e {folder}"
        ) from None


def _applying(lines: Iterable[str], extras: Collection[str]) -> list[Requirement]:
    """Return the requirements that hold on this machine with any of these extras; ``""`` is none of them."""
    wanted = map(Requirement, lines)
    return [one for one in wanted if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras)]


def pins() -> dict[str, str]:
    """Read the tested versions; the requirements files stand in the checkout, and lie within an installed package."""
    package = Path(__file__).parent
    found: dict[str, str] = {}
    for file in ("requirements-tpu.txt", "requirements.txt"):
        path = next((folder / file for folder in (package, package.parent) if (folder / file).exists()), None)
        if path is None:
            raise RuntimeError(f"{package / file} is missing. Install {_PACKAGE} again.")
        for line in path.read_text(encoding="utf-8").splitlines():
            name, pinned, version = line.partition("#")[0].partition("==")
            if pinned:
                found[canonicalize_name(name.partition("[")[0].strip())] = version.strip()
    return found


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_of(module: ModuleType, home: metadata.Distribution) -> bool:
    # Some packages carry a copy of another one, which keeps its own version.
    place = module.__name__.replace(".", "/")
    files = {str(home.locate_file(name)) for name in (f"{place}/__init__.py", f"{place}.py")}
    return getattr(module, "__file__", None) in files


def _same(loaded: str, installed: str) -> bool:
    # OpenCV calls itself 5.0.0 and its package 5.0.0.93, so the shorter one decides.
    try:
        one, other = Version(loaded).release, Version(installed).release
    except InvalidVersion:
        return True
    return all(part == same for part, same in zip(one, other, strict=False))


def _add(packages: dict[str, str]) -> None:
    """Install exactly these, with uv where it is there, which is many times faster, else with pip."""
    pinned = [f"{name}=={version}" for name, version in packages.items()]
    print(f"Installing {', '.join(pinned)}.")
    uv = shutil.which("uv")
    if uv and not _run([uv, "pip", "install", "--python", sys.executable, "--no-deps", *pinned]):
        importlib.invalidate_caches()
        return
    _pip("install", "--no-deps", *pinned)


def _pip(verb: str, *arguments: str) -> None:
    """Run pip for this very Python.

    Raises:
        RuntimeError: it failed; with its last words and the command.
    """
    command = [sys.executable, "-m", "pip", verb, "--disable-pip-version-check", *arguments]
    if failure := _run(command):
        raise RuntimeError(f"This failed: {' '.join(command)}\n{failure}")
    importlib.invalidate_caches()


def _run(command: list[str]) -> str:
    """Run a command and return the last of what it said where it failed, else nothing."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "" if done.returncode == 0 else done.stdout[-2000:].strip() or f"exit status {done.returncode}"
