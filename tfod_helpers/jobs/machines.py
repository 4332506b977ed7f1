"""The machines that Vertex AI has for trainings: which accelerators each can hold, and how many.

Every row is as in the lists "Machine types", "Valid numbers of GPUs for each machine type" and "TPUs" of
https://docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/training/configure-compute, which was
https://cloud.google.com/vertex-ai/docs/training/configure-compute, as of 2026. The names of accelerators are those of
the API's ``AcceleratorType``. Left out are machines with Arm processors (a4x), since TensorFlow's GPU builds for
Linux on Arm are no part of the tested set, and TPU v2 and v3 (cloud-tpu), which go by other fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tfod_helpers.problems import Problem, did_you_mean

_FORM = "such as 'g2-standard-8', 'n1-standard-8+T4', 'n1-standard-16+2xT4' or 'ct5lp-hightpu-4t'"
_PAGE = "https://docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/training/configure-compute"
_SOURCE = f"{_PAGE} lists them."
SHORT = {
    "T4": "NVIDIA_TESLA_T4",
    "P4": "NVIDIA_TESLA_P4",
    "P100": "NVIDIA_TESLA_P100",
    "V100": "NVIDIA_TESLA_V100",
    "L4": "NVIDIA_L4",
    "A100": "NVIDIA_TESLA_A100",
    "A100_80GB": "NVIDIA_A100_80GB",
    "H100": "NVIDIA_H100_80GB",
    "H100_MEGA": "NVIDIA_H100_MEGA_80GB",
    "H200": "NVIDIA_H200_141GB",
    "B200": "NVIDIA_B200",
    "RTX_PRO_6000": "NVIDIA_RTX_PRO_6000",
}
_LONG = {long: short for short, long in SHORT.items()}
# Built in, so that naming the machine names them: machine type -> accelerator and count.
_BUILT_IN = {
    **{f"g2-standard-{cpus}": ("L4", count) for cpus, count in ((4, 1), (8, 1), (12, 1), (16, 1), (32, 1))},
    **{f"g2-standard-{cpus}": ("L4", count) for cpus, count in ((24, 2), (48, 4), (96, 8))},
    **{f"g4-standard-{48 * count}": ("RTX_PRO_6000", count) for count in (1, 2, 4, 8)},
    **{f"a2-highgpu-{count}g": ("A100", count) for count in (1, 2, 4, 8)},
    "a2-megagpu-16g": ("A100", 16),
    **{f"a2-ultragpu-{count}g": ("A100_80GB", count) for count in (1, 2, 4, 8)},
    **{f"a3-highgpu-{count}g": ("H100", count) for count in (1, 2, 4, 8)},
    "a3-megagpu-8g": ("H100_MEGA", 8),
    "a3-ultragpu-8g": ("H200", 8),
    "a4-highgpu-8g": ("B200", 8),
}
# Put into a machine of the family N1: accelerator -> virtual CPUs -> how many there may be.
_FEW = (1, 2, 4)
_ATTACHED: dict[str, dict[int, tuple[int, ...]]] = {
    "T4": {2: _FEW, 4: _FEW, 8: _FEW, 16: _FEW, 32: (2, 4), 64: (4,), 96: (4,)},
    "P4": {2: _FEW, 4: _FEW, 8: _FEW, 16: _FEW, 32: (2, 4), 64: (4,), 96: (4,)},
    "P100": {2: _FEW, 4: _FEW, 8: _FEW, 16: _FEW, 32: (2, 4)},  # Google supports it until 15 September 2026
    "V100": {2: (1, 2, 4, 8), 4: (1, 2, 4, 8), 8: (1, 2, 4, 8), 16: (2, 4, 8), 32: (4, 8), 64: (8,), 96: (8,)},
}
_ALSO_ATTACHED = {("n1-highcpu-64", "P100"): (4,)}  # four of them give up to 64 CPUs, but 208 GB of memory at most
# Machine type -> chips, and how they are wired; more of them than one machine holds are a slice of several (a pod).
_TPU = {
    "ct5lp-hightpu-1t": (1, "1x1"),
    "ct5lp-hightpu-4t": (4, "2x2"),
    "ct5lp-hightpu-8t": (8, "2x4"),
    "ct6e-standard-1t": (1, "1x1"),
    "ct6e-standard-4t": (4, "2x2"),
    "ct6e-standard-8t": (8, "2x4"),
    "tpu7x-standard-4t": (4, "2x2x1"),
}
# Family of TPUs that may not take the TensorFlow of the image -> what that page says.
NEWER_TPUS = {
    "ct6e": "of TensorFlow, Google names nightly builds alone",
    "tpu7x": "Google names JAX, and not TensorFlow,",
}
_PLAIN = {
    *(f"n1-standard-{cpus}" for cpus in (4, 8, 16, 32, 64, 96)),
    *(f"n1-highmem-{cpus}" for cpus in (2, 4, 8, 16, 32, 64, 96)),
    *(f"n1-highcpu-{cpus}" for cpus in (16, 32, 64, 96)),
    *(f"e2-standard-{cpus}" for cpus in (4, 8, 16, 32)),
    *(f"e2-highmem-{cpus}" for cpus in (2, 4, 8, 16)),
    *(f"e2-highcpu-{cpus}" for cpus in (16, 32)),
    *(f"n4-{kind}-{cpus}" for kind in ("standard", "highmem", "highcpu") for cpus in (2, 4, 8, 16, 32, 48, 64, 80)),
    *(f"n2-standard-{cpus}" for cpus in (4, 8, 16, 32, 48, 64, 80)),
    *(f"n2-highmem-{cpus}" for cpus in (2, 4, 8, 16, 32, 48, 64, 80)),
    *(f"n2-highcpu-{cpus}" for cpus in (16, 32, 48, 64, 80)),
    *(f"c2-standard-{cpus}" for cpus in (4, 8, 16, 30, 60)),
    *(f"m1-ultramem-{cpus}" for cpus in (40, 80, 160)),
    "m1-megamem-96",
}
_KNOWN = {*_BUILT_IN, *_TPU, *_PLAIN}
_FAMILIES = {name.partition("-")[0] for name in _KNOWN}


@dataclass(frozen=True)
class Machine:
    """A machine of a job.

    Attributes:
        type: its machine type, such as ``n1-standard-8``.
        accelerator: the API's name of its GPUs, such as ``NVIDIA_TESLA_T4``; empty where it has none, or TPUs.
        count: how many GPUs.
    """

    type: str
    accelerator: str = ""
    count: int = 0

    @property
    def is_tpu(self) -> bool:
        """Whether its chips are TPUs."""
        return self.type in _TPU or bool(re.match(r"ct\d|tpu\d", self.type))

    @property
    def replicas(self) -> int:
        """How many parts of each step it takes: one for each chip, and one on CPUs alone."""
        return _TPU.get(self.type, (self.count, ""))[0] or 1

    def spec(self) -> dict[str, Any]:
        """The API's ``MachineSpec``."""
        if self.type in _TPU:
            return {"machineType": self.type, "tpuTopology": _TPU[self.type][1]}
        if not self.accelerator:
            return {"machineType": self.type}
        return {"machineType": self.type, "acceleratorType": self.accelerator, "acceleratorCount": self.count}

    def __str__(self) -> str:
        if self.type in _TPU:
            chips = _TPU[self.type][0]
            return f"{self.type} ({chips} TPU chip{'s' * (chips > 1)})"
        return f"{self.type} ({self.count} x {self.accelerator})" if self.accelerator else self.type


def read(text: str) -> Machine:
    """Return the machine that a text names; whether there is such a one, `problems` says.

    Args:
        text: a machine type, with the GPUs of a machine that can do without: ``n1-standard-16+2xT4``. GPUs are named as
            the API does, or shortly.

    Raises:
        ValueError: it has another form.
    """
    form = re.fullmatch(r"([a-z]\w*(?:-\w+)+)(?:\+(?:(\d+)x)?([A-Za-z]\w*))?", text.replace(" ", ""))
    if not form:
        raise ValueError(f"{text!r} names no machine. Give its type, and its GPUs where they are a choice, {_FORM}.")
    kind, count, accelerator = form.groups()
    if accelerator is None:
        short, number = _BUILT_IN.get(kind, ("", 0))
        return Machine(kind, SHORT.get(short, ""), number)
    return Machine(kind, SHORT.get(accelerator.upper(), accelerator.upper()), int(count or 1))


def problems(machine: Machine, where: str) -> Iterator[Problem]:
    """Yield what is wrong with a machine; as a warning, that it is in no list known here.

    Args:
        machine: the machine.
        where: which one of the job it is, such as ``chief``.
    """
    if machine.accelerator and machine.accelerator not in _LONG:
        near = guess(re.sub(r"^NVIDIA_(TESLA_)?", "", machine.accelerator), SHORT)
        what = f"there is no accelerator {machine.accelerator!r} for a training"
        yield Problem(where=where, what=what, fix=f"{near}There are {', '.join(SHORT)}.")
    elif machine.type not in _KNOWN:
        yield _unknown(machine, where)
    elif machine.accelerator:
        yield from _misplaced(machine, where)


def _unknown(machine: Machine, where: str) -> Problem:
    family = machine.type.partition("-")[0]
    if family in _FAMILIES or machine.is_tpu:
        what = f"Vertex AI has no machine {machine.type!r}"
        return Problem(where=where, what=what, fix=f"{guess(machine.type, sorted(_KNOWN))}{_SOURCE}")
    what = f"{machine.type!r} is of a family that is not known here, so that Vertex AI alone can say what it is"
    return Problem(where=where, what=what, fix=_SOURCE, severity="warning")


def _misplaced(machine: Machine, where: str) -> Iterator[Problem]:
    """Yield why a known machine cannot hold its GPUs, with one that can."""
    short = _LONG[machine.accelerator]
    asked = f"{machine.count} x {machine.accelerator}"
    if machine.type in _BUILT_IN:
        kind, count = _BUILT_IN[machine.type]
        if (kind, count) != (short, machine.count):
            what = f"{machine.type} has {count} x {SHORT[kind]} built in, and {asked} were asked for"
            yield Problem(where=where, what=what, fix=f"Give {machine.type!r} alone, or {_holders(short)}.")
        return
    family, _, cpus = machine.type.partition("-")
    counts = _ATTACHED.get(short, {}).get(int(cpus.rpartition("-")[2]), ()) if family == "n1" else ()
    counts = _ALSO_ATTACHED.get((machine.type, short), counts)
    if not counts:
        what = f"{machine.type} cannot hold {machine.accelerator}"
        yield Problem(where=where, what=what, fix=f"Give {_holders(short)}.")
    elif machine.count not in counts:
        can = " or ".join(map(str, counts))
        what = f"{machine.type} can hold {can} of {machine.accelerator}, and {machine.count} were asked for"
        yield Problem(where=where, what=what, fix=f"Give '{machine.type}+{counts[0]}x{short}'.")


def _holders(short: str) -> str:
    """Return the machines with a GPU, in words."""
    if short in _ATTACHED:
        return f"'n1-standard-8+{short}'"
    return " or ".join([repr(name) for name, (kind, _) in _BUILT_IN.items() if kind == short][:3])


def guess(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'? `` for the nearest of the known names, or nothing."""
    return f"{near.removeprefix('. ')} " if (near := did_you_mean(name, known)) else ""
