"""What the checks found: as a table, as text, as a file."""

from __future__ import annotations

import json
import math
import os
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_helpers.files import storage
from tfod_helpers.problems import Problem

if TYPE_CHECKING:
    import pandas as pd

SEVERITIES = ("error", "warning", "note")
_WIDEST = 150  # letters of a line of the summary


@dataclass(frozen=True)
class Report:
    """Everything that the checks found.

    Attributes:
        problems: errors first, then warnings, then notes; of each the most common kinds first.
        images: how many were looked at.
        boxes: how many they have.
    """

    problems: tuple[Problem, ...]
    images: int
    boxes: int

    def __post_init__(self) -> None:
        counts = Counter(_kind(problem) for problem in self.problems)

        def order(problem: Problem) -> tuple[Any, ...]:
            kind = _kind(problem)
            return SEVERITIES.index(problem.severity), -counts[kind], kind, problem.where, problem.object

        object.__setattr__(self, "problems", tuple(sorted(self.problems, key=order)))

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many problems there are of each ``(severity, kind)``, in the order of the report."""
        return dict(Counter(_kind(problem) for problem in self.problems))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a problem: severity, kind, where, object, what, fix, photo."""
        import pandas as pd

        rows = [(one.severity, one.kind, one.where, one.object, one.what, one.fix, one.photo) for one in self.problems]
        return pd.DataFrame(rows, columns=["severity", "kind", "where", "object", "what", "fix", "photo"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as JSON, whole or not at all: counts, and every problem with all that is known of it."""
        counts = [{"severity": one[0], "kind": one[1], "count": n} for one, n in self.counts().items()]
        facts = {"images": self.images, "boxes": self.boxes, "counts": counts}
        facts["problems"] = [_facts(problem) for problem in self.problems]
        text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with storage.whole_file(path) as part:
            # A file name that is no Unicode gets the escapes that JSON has too.
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
        return Path(path)

    def __repr__(self) -> str:
        by_severity = Counter[str](problem.severity for problem in self.problems)
        counted = ", ".join(f"{by_severity[one]} {one}{'s' * (by_severity[one] != 1)}" for one in SEVERITIES)
        lines = [f"{self.images} images, {self.boxes} boxes: {counted}"]
        examples: dict[tuple[str, str], list[Problem]] = defaultdict(list)
        for problem in self.problems:
            examples[_kind(problem)].append(problem)
        for (severity, kind), problems in examples.items():
            lines.append(f"{severity:8}{len(problems):6} x {kind}")
            lines.append(f"{'':17}such as {_shortened(str(problems[0]), _WIDEST)}")
        return "\n".join(lines)


def _facts(problem: Problem) -> dict[str, Any]:
    """Return all that is known of a problem; a box that is not finite, which JSON cannot hold, is left out."""
    box_xyxy = problem.box_xyxy
    finite = box_xyxy is None or all(map(math.isfinite, box_xyxy))
    return asdict(problem) | {"box_xyxy": box_xyxy if finite else None}


def _kind(problem: Problem) -> tuple[str, str]:
    return problem.severity, problem.kind


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
