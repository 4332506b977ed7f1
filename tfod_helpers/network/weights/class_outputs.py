"""The outputs of a model that tell classes apart: which of them another model's classes can take over, by name.

A channel of these outputs belongs to one class, so those of a class that both models know mean the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def places(
    names: Sequence[str], theirs: Sequence[str | None], known_as: Mapping[str, str] | None = None
) -> dict[int, int]:
    """Return where the classes that two models share stand.

    Args:
        names: the classes of the model that is filled.
        theirs: those of the model that it is filled from; None for a channel that no class has.
        known_as: what a class of the first is called in the second, where that is not its own name.

    Returns:
        The number of a class among ``names`` -> its number among ``theirs``, both from 0. Where no name is the very
        same, case, spaces, hyphens and underscores make no difference.

    Raises:
        ValueError: ``known_as`` names a class that is not there.
    """
    known_as = known_as or {}
    numbers = {_key(name): number for number, name in reversed(list(enumerate(theirs))) if name is not None}
    same = {name: number for number, name in enumerate(theirs) if name is not None}
    for name, other in known_as.items():
        missing, where = (name, names) if name not in names else (other, [one for one in theirs if one])
        if name not in names or _key(other) not in numbers:
            shown = ", ".join(map(repr, where[:90]))
            raise ValueError(f"known_as says that {name!r} is {other!r}: there is no class {missing!r}, only {shown}.")
    wanted = [known_as.get(name, name) for name in names]
    found = {number: same.get(name, numbers.get(_key(name))) for number, name in enumerate(wanted)}
    return {ours: other for ours, other in found.items() if other is not None}


def shared(
    head: Any, theirs: Iterable[tuple[Any, np.ndarray]], places: Mapping[int, int]
) -> list[tuple[Any, np.ndarray]]:
    """Return the class outputs of a RetinaNet in which the channels of shared classes are the other model's.

    Args:
        head: of the RetinaNet that is filled.
        theirs: pairs of a variable of its class outputs, and what the other model has there; of a kernel or a bias
            (..., anchors * (classes + 1)), the background first.
        places: from the function of this name; where it is empty, nothing is taken.
    """
    if not places:
        return []
    channels = head.get_config()["num_classes"]  # and background, of every anchor
    return [
        (variable, value if "depthwise_kernel" in variable.name else _merged(variable.numpy(), value, channels, places))
        for variable, value in theirs
    ]


def _merged(ours: np.ndarray, theirs: np.ndarray, channels: int, places: Mapping[int, int]) -> np.ndarray:
    made = ours.reshape(*ours.shape[:-1], -1, channels).copy()
    found = theirs.reshape(*theirs.shape[:-1], made.shape[-2], -1)
    made[..., 0] = found[..., 0]
    for number, other in places.items():
        made[..., number + 1] = found[..., other + 1]
    return made.reshape(ours.shape)


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " -_")
