"""What the doctor found: a line each, and how it is shown."""

from __future__ import annotations

import html
from dataclasses import dataclass

_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#6e7781"
_PLACE = 'style="text-align:left; padding:2px 12px 2px 0; white-space:{}; color:{}"'


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
        return f"Mend this, and ask again ({took}).{rest}"
