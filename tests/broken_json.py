"""What no labelling tool writes: JSON with some parts exchanged, doubled or left out, and JSON of any kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tfod_helpers.annotations import Dataset
from tfod_helpers.problems import DatasetError

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_ODD = st.sampled_from([10**400, 1e308, -0.0, "1_0", "\ud800", "../../etc/passwd", "NaN", [[]], {"": None}])
ANYTHING = st.recursive(
    _SCALARS | _ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn, valid: Any) -> Any:
    """A valid file's content with one to three of its values exchanged, doubled or left out."""
    data = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(data))
        if not places:
            return data
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["exchange", "exchange", "leave out", "double"]))
        if how == "exchange":
            holder[key] = draw(ANYTHING)
        elif how == "leave out":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = [holder[key], holder[key]]
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and dict with every index or key that it has, at any depth."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield data, key
        yield from _places(value)


def write(path: Path, data: Any) -> Path:
    """Write a JSON file."""
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def assert_told(read: Callable[[str], Dataset], names: set[str]) -> None:
    """Reading ends in a dataset or in one report, in both modes, and each problem is of one of these files.

    Args:
        read: takes what to do with problems.
        names: the files that there are, and the folder.
    """
    for on_problem in ("raise", "skip"):
        try:
            problems = read(on_problem).problems
            assert on_problem == "skip" or "error" not in {problem.severity for problem in problems}
        except DatasetError as error:
            problems = error.problems
            assert "error" in {problem.severity for problem in problems}
        for problem in problems:
            assert any(name in problem.where for name in names), problem
            assert problem.what, problem
            assert problem.fix, problem
