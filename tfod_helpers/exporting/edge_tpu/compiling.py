"""Google's edgetpu_compiler, where it is installed: a .tflite file -> one for the Edge TPU, and what its log says."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILER = "edgetpu_compiler"
_SUFFIX = "_edgetpu.tflite"  # the compiler names its file so
_SECONDS = 900.0  # it gives up by itself after 180, and is given time to say so
_MAPPED = "Mapped to Edge TPU"
_ROW = re.compile(r"^([A-Z][A-Z0-9_]*) +(\d+) +(\S.*)$", re.MULTILINE)  # operator, count, status
_VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
_MEMORY = re.compile(r"^(On-chip|Off-chip) memory (used|remaining) for .*: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Compilation:
    """What edgetpu_compiler did with a file.

    Attributes:
        version: of the compiler; empty where it does not say.
        file: the name of the file that it made; empty where it made none.
        rows: each kind of operator, how many of it, and what became of them, in the compiler's words.
        memory: how much of it the parameters take, such as ``{"On-chip used": "4.21MiB", "Off-chip used": "0.00B"}``.
        message: what it said where it made no file.
    """

    version: str
    file: str
    rows: tuple[tuple[str, int, str], ...]
    memory: dict[str, str]
    message: str = ""

    @property
    def operators(self) -> int:
        """How many operators it looked at."""
        return sum(count for _, count, _ in self.rows)

    @property
    def mapped(self) -> int:
        """How many of them the Edge TPU computes."""
        return sum(count for _, count, status in self.rows if status == _MAPPED)

    def __str__(self) -> str:
        name = f"{COMPILER} {self.version}".rstrip()
        if not self.file:
            return f"{name} made no file: {self.message}"
        words = f"{name} mapped {self.mapped} of {self.operators} operators to the Edge TPU, and wrote {self.file}."
        if self.memory:
            words += f" Memory for parameters: {', '.join(f'{what} {size}' for what, size in self.memory.items())}."
        left = [f"{count} {name} ({status})" for name, count, status in self.rows if status != _MAPPED]
        return words + (f" Left to the CPU: {'; '.join(left)}." if left else "")


def command(name: str) -> str:
    """Return the command that compiles a file."""
    return f"{COMPILER} --show_operations {name}"


def compile_there(path: Path) -> Compilation | None:
    """Compile a file into its own folder, where the compiler is installed; None where it is not.

    What goes wrong is said in the result: the file itself is as good as before.
    """
    program = shutil.which(COMPILER)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--show_operations", "--out_dir", str(path.parent), str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Compilation("", "", (), {}, str(error))
    return parse(done.stdout + done.stderr, path, done.returncode)


def parse(said: str, path: Path, code: int = 0) -> Compilation:
    """Read what the compiler said of a file.

    Args:
        said: what it printed, with ``--show_operations``.
        path: the file that it compiled, beside which its own lies.
        code: its exit status.
    """
    version = _VERSION.search(said)
    made = path.with_name(path.stem + _SUFFIX)
    log = made.with_suffix(".log")
    rows = _rows(log.read_text(errors="replace") if log.is_file() else said)
    memory = {f"{where} {verb}": size for where, verb, size in _MEMORY.findall(said)}
    if code == 0 and made.is_file():
        return Compilation(version.group(1) if version else "", made.name, rows, memory)
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _VERSION.search(line)]
    message = " ".join(lines[-5:]) or f"it ended with status {code} and said nothing"
    return Compilation(version.group(1) if version else "", "", rows, memory, message)


def _rows(said: str) -> tuple[tuple[str, int, str], ...]:
    return tuple((name, int(count), status.strip()) for name, count, status in _ROW.findall(said))
