"""Write requirements-tpu.txt: every package of a TPU machine at one version, from requirements.txt and what it brought.

``make pins`` installs requirements.txt into an empty environment and runs this in it. What is there then is written
down, with ``tensorflow`` in its TPU build, and each line says which packages need it.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfod_helpers import installing

ROOT = Path(__file__).parents[1]
NEEDED, WRITTEN = ROOT / "requirements.txt", ROOT / "requirements-tpu.txt"
HEAD = """\
# Everything on a TPU machine with Python 3.12, each package at the version that was tested. Install it with
#
#   pip install --no-deps -r requirements-tpu.txt
#
# --no-deps, because packages below ask for plain tensorflow, whose files would overwrite those of tensorflow-tpu; they
# run on either. Nothing is missing without it: this is the whole list. It also holds the versions for 'make env'.
# Written by tools/write_tpu_requirements.py ('make pins'); change requirements.txt, not this file.

# --- the TPU
"""
LIBTPU = "0.0.21", "the TPU's driver, as Colab has it; 0.0.51 aborts the process, 0.0.14 and 0.0.17 work too"
TENSORFLOW = "TensorFlow's build for TPUs, in the place of tensorflow"
SHOWN = 3  # askers on a line


def line(name: str, version: str, why: str) -> str:
    """One line of the file."""
    return f"{name}=={version}".ljust(28) + f"  # {why}"


def wanted() -> list[Requirement]:
    """The lines of requirements.txt, in their order."""
    lines = (line.partition("#")[0].strip() for line in NEEDED.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def closure(roots: list[Requirement]) -> dict[str, set[str]]:
    """What the roots and all below them need in this environment: the package -> who asks for it, nobody for a root."""
    askers: dict[str, set[str]] = {}
    for one, asker in installing.needs([(one, "") for one in roots]):
        askers.setdefault(canonicalize_name(one.name), set()).update({asker} - {""})
    return askers


def render() -> str:
    """The text of requirements-tpu.txt, as this environment says it."""
    roots = wanted()
    askers = closure(roots)
    lines = [line("tensorflow-tpu", metadata.version("tensorflow"), TENSORFLOW), line("libtpu", *LIBTPU)]
    direct = [text for text in NEEDED.read_text(encoding="utf-8").splitlines() if not text.startswith("tensorflow==")]
    # pip takes no extras in constraints, as which 'make env' gives it this file; what an extra brings is listed below.
    direct = [
        re.sub(r"^([\w-]+)(\[\w+\])(==\S+)", lambda one: f"{one[1]}{one[3]}{' ' * len(one[2])}", text)
        for text in direct
    ]
    start = next(number for number, text in enumerate(direct) if text.startswith("# ---"))
    named = {canonicalize_name(one.name) for one in roots}
    brought = []
    for name in sorted(askers.keys() - named):
        by = [f"{asker}-tpu" if asker == "tensorflow" else asker for asker in sorted(askers[name] - {name})]
        more = f" and {len(by) - SHOWN} more" if len(by) > SHOWN else ""
        brought.append(line(name, metadata.version(name), f"for {', '.join(by[:SHOWN])}{more}"))
    return HEAD + "\n".join([*lines, "", *direct[start:], "", "# --- what these need", *brought]) + "\n"


def main() -> int:
    """Write the file; return the exit status."""
    WRITTEN.write_text(render(), encoding="utf-8")
    print(f"{WRITTEN.name}: {WRITTEN.read_text(encoding='utf-8').count('==')} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
