"""What a .tflite file would do on the Edge TPU, by Coral's documentation: in words, as a table, and as files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_helpers.exporting.edge_tpu import rules
from tfod_helpers.exporting.edge_tpu.compiling import COMPILER, Compilation, command
from tfod_helpers.exporting.edge_tpu.operators import Model, Operator
from tfod_helpers.files import workspace

if TYPE_CHECKING:
    import pandas as pd

TEXT, DATA = "edge_tpu.md", "edge_tpu.json"
IN_TABLE, UNDECIDED, BEHIND, CPU = "in the table", "the compiler decides", "behind the CPU", "CPU"
ON_CPU = (BEHIND, CPU)
_GUIDE = "https://coral.ai/docs/edgetpu/compiler/"
_MEMORY = 8e6  # bytes: "roughly 8 MB of SRAM that can cache the model's parameter data", says Coral's guide
_CAVEAT = (
    f"This is what Coral documents, held against the file. What the chip will compute, only {COMPILER} knows: it also "
    f"leaves out operators for reasons that are written nowhere, and says so in its log."
)


@dataclass(frozen=True, eq=False)
class Finding:
    """An operator, and where it would be computed.

    Attributes:
        operator: the operator.
        status: ``"in the table"``; ``"the compiler decides"``, for a limit that only it knows; ``"CPU"``; or
            ``"behind the CPU"``, for what would be computed on the Edge TPU did it not need the CPU's results.
        why: the reason, or the limit; empty for one in the table.
    """

    operator: Operator
    status: str
    why: str


@dataclass(frozen=True, eq=False)
class Report:
    """What a .tflite file would do on the Edge TPU. Print it; `table` has each operator.

    Attributes:
        name: of the file.
        model: what the file holds.
        findings: its operators, in the order in which they run.
        compilation: what edgetpu_compiler did with it, or None where it did not run.
    """

    name: str
    model: Model
    findings: tuple[Finding, ...]
    compilation: Compilation | None = None

    @property
    def first_on_cpu(self) -> Finding | None:
        """The first operator that the CPU computes, from which on it computes everything."""
        return next((one for one in self.findings if one.status == CPU and not _at_input(one)), None)

    @property
    def documented(self) -> int:
        """How many operators run before the CPU begins."""
        first = self.first_on_cpu
        return len(self.findings) if first is None else first.operator.number - 1

    @property
    def documented_macs(self) -> float:
        """Which share of the multiplications runs before the CPU begins, 0 to 1."""
        return self._share(self.documented)

    @property
    def table(self) -> pd.DataFrame:
        """One row an operator: operator, version, type, rank, shape, macs, status, why."""
        import pandas as pd

        return pd.DataFrame([_row(one) for one in self.findings]).set_index("number")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def write(self, folder: Path) -> None:
        """Write edge_tpu.md, to read and to show to others, and edge_tpu.json, into a folder."""
        for name, text in ((TEXT, self._markdown()), (DATA, json.dumps(self._facts(), indent=2) + "\n")):
            with workspace.whole_file(folder / name) as part:
                part.write_text(text, encoding="utf-8")

    def _share(self, count: int) -> float:
        macs = [one.operator.macs for one in self.findings]
        return sum(macs[:count]) / max(sum(macs), 1)

    def _lines(self) -> list[str]:
        model, total = self.model, sum(one.operator.macs for one in self.findings)
        lines = [
            f"{self.name} on the Edge TPU, by Coral's table of operators ({rules.table()['source']})",
            f"It takes {', '.join(map(str, model.inputs))} and gives {', '.join(map(str, model.outputs))}.",
            f"{len(self.findings)} operators, {total / 1e6:.1f} million multiplications an image, "
            f"{model.parameters / 1e6:.2f} MB of parameters{self._memory()}.",
            *self._where_it_ends(),
            *self._undecided(),
            *self._reasons(),
        ]
        if self.compilation:
            lines.append(str(self.compilation))
        if not self.compilation or not self.compilation.file:
            lines.append(f"Compile it on Linux (x86-64, Colab too; {_GUIDE}): {command(self.name)}")
        return [*lines, _CAVEAT]

    def _memory(self) -> str:
        if self.model.parameters <= _MEMORY:
            return ", which the chip's memory of about 8 MB can keep"
        return ", more than the chip's memory of about 8 MB: the rest is sent anew with each image, which takes time"

    def _where_it_ends(self) -> list[str]:
        first, rest = self.first_on_cpu, self.findings[self.documented :]
        lines = ["The CPU turns the float input into int8 first."] if any(map(_at_input, self.findings)) else []
        if first is None:
            return [*lines, "All operators are in the table."]
        lines.append(
            f"Before the CPU begins: {self.documented} of {len(self.findings)} operators, {self.documented_macs:.1%} "
            f"of the multiplications. It begins at operator {first.operator.number}, {first.operator.name}: "
            f"{first.why}. The compiler makes one part for the Edge TPU, so all that comes after is the CPU's too"
            + (", which is no more than the end of it." if not any(one.operator.macs for one in rest) else ".")
        )
        free = [one for one in rest if one.status not in ON_CPU]
        if free:
            macs = sum(one.operator.macs for one in free) / max(sum(one.operator.macs for one in self.findings), 1)
            lines.append(
                f"{len(free)} operators after it, {macs:.1%} of the multiplications, do not need its result: the "
                f"compiler may count them in."
            )
        return lines

    def _undecided(self) -> list[str]:
        found = [one for one in self.findings[: self.documented] if one.status == UNDECIDED]
        if not found:
            return []
        place = found[0].operator.number
        kinds = "; ".join(f"{number} {name} ({why})" for (name, why), number in _counted(found))
        return [
            f"Only the compiler decides about {kinds}. Were the first of these, operator {place}, left to the CPU, "
            f"{place - 1} operators with {self._share(place - 1):.1%} of the multiplications would come before it."
        ]

    def _reasons(self) -> list[str]:
        """Return each reason why something is the CPU's, what that is, and what to do about it."""
        kinds = _counted([one for one in self.findings if one.status == CPU])
        reasons: dict[str, list[tuple[str, int]]] = {}
        for (name, why), number in kinds:
            reasons.setdefault(why, []).append((name, number))
        lines = []
        for why, found in reasons.items():
            names = ", ".join(f"{number} {name}" for name, number in found)
            advice = dict.fromkeys(f" {name}: {rules.instead(name)}" for name, _ in found if rules.instead(name))
            lines.append(f"On the CPU: {names}. Why: {why}.{''.join(advice)}{_not_int8(why)}")
        return lines

    def _markdown(self) -> str:
        title, *lines = self._lines()
        table = self.table.reset_index()
        rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).values.tolist()]
        drawn = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
        return "\n\n".join([f"# {title}", *lines, "## Each operator", drawn]) + "\n"

    def _facts(self) -> dict[str, Any]:
        first = self.first_on_cpu
        return {
            "file": self.name,
            "source": rules.table()["source"],
            "inputs": list(map(str, self.model.inputs)),
            "outputs": list(map(str, self.model.outputs)),
            "parameter_bytes": self.model.parameters,
            "operators_before_cpu": self.documented,
            "macs_before_cpu": self.documented_macs,
            "first_on_cpu": _row(first) if first else None,
            "operators": [_row(one) for one in self.findings],
            "command": command(self.name),
            "compilation": asdict(self.compilation) if self.compilation else None,
        }


def judge(model: Model) -> tuple[Finding, ...]:
    """Return where each operator of a model would be computed, by the documentation."""
    found: list[Finding] = []
    on_cpu: set[int] = set()
    for operator in model.operators:
        status, why = IN_TABLE, ""
        if trouble := rules.problem(operator):
            status, why = CPU, trouble
        elif behind := on_cpu.intersection(operator.sources):
            status, why = BEHIND, f"it needs what operator {max(behind)} computes"
        elif limit := rules.undecided(operator):
            status, why = UNDECIDED, limit
        found.append(Finding(operator, status, why))
        if status in ON_CPU and not _at_input(found[-1]):
            on_cpu.add(operator.number)
    return tuple(found)


def _not_int8(why: str) -> str:
    return " A file of int8 comes from exporting.edge_tpu.export." if why == rules.IN_FLOAT else ""


def _at_input(finding: Finding) -> bool:
    return rules.converts_input(finding.operator)


def _counted(findings: list[Finding]) -> list[tuple[tuple[str, str], int]]:
    """Return the kinds among findings, operator and reason, with their numbers."""
    kinds = sorted((one.operator.name, one.why) for one in findings)
    return [(kind, len(list(ones))) for kind, ones in groupby(kinds)]


def _row(finding: Finding) -> dict[str, Any]:
    operator = finding.operator
    made = operator.outputs[0] if operator.outputs else None
    return {
        "number": operator.number,
        "operator": operator.name,
        "version": operator.version,
        "type": made.dtype.lower() if made else "",
        "rank": len(made.shape) if made else 0,
        "shape": "x".join(map(str, made.shape)) if made else "",
        "macs": operator.macs,
        "status": finding.status,
        "why": finding.why,
    }
