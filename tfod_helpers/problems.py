"""What is wrong with a file, where, and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
OnProblem = Literal["raise", "skip"]
_SHOWN = 50  # problems that an error message lists before it counts the rest
_LONGEST = 400  # letters of a place, of what is wrong, or of its fix; more than a person reads


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file, and what a person can do about it.

    Attributes:
        where: the file (or folder) it is in.
        what: what is wrong, and what was found.
        fix: what to do.
        object: which object of the file, such as ``object 2 ('cat')``; empty for the whole file.
        severity: ``error`` (cannot be used), ``warning`` (probably wrong), ``note`` (a fact).
        kind: the sort of problem in two or three words, the same for all alike, so that they can be counted.
        photo: the path of the photo it is about, where it is about one.
        size: ``(width, height)`` of the frame that the photo's boxes are in, in pixels.
        box_xyxy: the box it is about, ``[xmin, ymin, xmax, ymax]`` in pixels as the file says it.
        label: the class of that box.
        crowd: whether that box is around a crowd of its class.
        difficult: whether that object is marked as hard to recognise.
        other_photo: the path of the photo that this one is the same as, where it is.
    """

    where: str
    what: str
    fix: str
    object: str = ""
    severity: Severity = "error"
    kind: str = "reading"
    photo: str = ""
    size: tuple[int, int] | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    label: str = ""
    crowd: bool = False
    difficult: bool = False
    other_photo: str = ""

    def __post_init__(self) -> None:
        for name in ("object", "what", "fix"):  # a file may hold words of any length
            if len(text := getattr(self, name)) > _LONGEST:
                object.__setattr__(self, name, f"{text[: _LONGEST - 100]} ... {text[-50:]}")
        for name in ("size", "box_xyxy"):  # lists, where it comes from JSON
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))

    def __str__(self) -> str:
        place = f"{self.where}, {self.object}" if self.object else self.where
        return f"{place}: {self.what}. {self.fix}"


class FixableError(Exception):
    """Something that a person can fix. More precise errors derive from it and from a standard error.

    Attributes:
        where: the file, folder or URL it is about.
        what: what is wrong, and what was found.
        fix: what to do.
    """

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(where, what, fix)  # all three, so that the error can be pickled
        self.where, self.what, self.fix = where, what, fix

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix.rstrip('.')}."


class DatasetError(ValueError):
    """Everything wrong with a folder or a set of files, in one report.

    Attributes:
        problems: every `Problem` found, the errors and the rest.
    """

    def __init__(self, problems: Sequence[Problem], where: str = "dataset") -> None:
        self.problems = tuple(problems)
        self.where = where
        errors = [problem for problem in self.problems if problem.severity == "error"]
        lines = [f"{where}: {len(errors)} problem{'s' * (len(errors) != 1)}:"]
        lines += [f"  {problem}" for problem in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            lines.append(f"  ... and {len(errors) - _SHOWN} more, all in this error's .problems")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[DatasetError], tuple[tuple[Problem, ...], str]]:
        return DatasetError, (self.problems, self.where)  # so that it can come back from another process


def refused(path: object, what: str, fix: str, *, where: str = "", kind: str = "reading") -> DatasetError:
    """Return the error for a file or folder that cannot be used at all, named by ``where`` or its path."""
    return DatasetError([Problem(where=where or str(path), what=what, fix=fix, kind=kind)], str(path))


def settle_problems(problems: Sequence[Problem], on_problem: OnProblem, where: str) -> tuple[Problem, ...]:
    """Raise every error at once, or hand the problems back to be kept.

    Args:
        problems: what was found.
        on_problem: ``raise`` or ``skip``.
        where: what was read, for the first line of the report.

    Raises:
        DatasetError: ``on_problem`` is ``raise`` and at least one problem is an error.
        ValueError: ``on_problem`` is neither.
    """
    if on_problem not in ("raise", "skip"):
        raise ValueError(f"on_problem must be 'raise' or 'skip', got {on_problem!r}.")
    if on_problem == "raise" and any(problem.severity == "error" for problem in problems):
        raise DatasetError(problems, where)
    return tuple(problems)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``. Did you mean 'x'?`` for the nearest of the known names, or nothing."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f". Did you mean {folded[near[0]]!r}?" if near else ""
