"""What the doctor knows of the training that is to come, what is wrong with it, and what it found: a line each."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.experiment.fitting import Boxes
from tfod_helpers.files import storage
from tfod_helpers.records import Records
from tfod_helpers.runtime import Connection

_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#6e7781"
_PLACE = 'style="text-align:left; padding:2px 12px 2px 0; white-space:{}; color:{}"'


class FoundFault(Exception):  # noqa: N818 - it is what is looked for
    """Something that is wrong.

    Attributes:
        found: what it is.
        fix: what to do; empty where ``found`` ends in it.
    """

    def __init__(self, found: str, fix: str = "") -> None:
        """Keep both."""
        super().__init__(found, fix)
        self.found, self.fix = found, fix


@dataclass
class Case:
    """A training that is to come.

    Attributes:
        config: its settings.
        places: where it will write.
        datasets: what the records were made of, by split or alone, where it is given.
        folder: to try things in; it is removed in the end.
        say: shows a word beside the progress bar.
        connection: the devices, once they were looked for.
        records: the records by split, once they were opened.
        objects: the training boxes, once they were read.
        rate: images a second, once the batch was tried.
        photos: those that were overfitted.
    """

    config: ExperimentConfig
    places: Sequence[storage.AnyPath]
    datasets: Mapping[str, Dataset]
    folder: Path
    say: Callable[[str], Any]
    connection: Connection = field(init=False)
    records: dict[str, Records] = field(init=False)
    objects: Boxes = field(init=False)
    rate: float = field(init=False)
    photos: Dataset = field(init=False)

    @property
    def run(self) -> Path:
        """The folder of the training that is tried."""
        return self.folder / "run"


@dataclass(frozen=True)
class Check:
    """One check that was made.

    Attributes:
        name: what was looked at.
        ok: whether all is well.
        found: what was found.
        fix: what to do; empty where nothing is, or where ``found`` ends in it.
        seconds: how long it took.
    """

    name: str
    ok: bool
    found: str
    fix: str
    seconds: float

    @property
    def text(self) -> str:
        """What was found, and what to do."""
        return f"{self.found} {self.fix}".strip()


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the doctor looked at, up to the first thing that is wrong.

    Attributes:
        checks: those that were made, in order.
        left_out: the names of those that were not, since they would only fail by the one before.
    """

    checks: tuple[Check, ...]
    left_out: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{'ok' if check.ok else 'WRONG':5}  {check.name:{width}}  {check.seconds:5.1f} s  {check.text}"
            for check in self.checks
        ]
        return "\n".join([*lines, self._last_line()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = []
        for check in self.checks:
            colour, word = (_GREEN, "ok") if check.ok else (_RED, "wrong")
            cells = [(word, "nowrap", colour), (check.name, "nowrap", "inherit")]
            cells += [(f"{check.seconds:.1f} s", "nowrap", _GREY)]
            cells += [(check.text, "pre-line", "inherit" if check.ok else _RED)]
            made = (f"<td {_PLACE.format(wrap, colour)}>{html.escape(text)}</td>" for text, wrap, colour in cells)
            rows.append(f"<tr>{''.join(made)}</tr>")
        return f"<table>{''.join(rows)}</table><p>{html.escape(self._last_line())}</p>"

    def _last_line(self) -> str:
        took = f"{sum(check.seconds for check in self.checks):.0f} s"
        if self.ok:
            return f"All is well ({took})."
        rest = f" Not looked at, since it would only fail by this: {', '.join(self.left_out)}." if self.left_out else ""
        return f"Fix this, and ask again ({took}).{rest}"
