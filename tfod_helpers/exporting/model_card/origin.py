"""What a model card says of a model's training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Photos:
    """The photos of one part of the data.

    Attributes:
        images: how many.
        count: objects in them, None where that is not known.
        objects: objects of each class, by name; empty where that is not known.
        sides: square roots of boxes' areas in pixels of the model's input, of which a twentieth lies below the first
            and above the second; None where that is not known.
    """

    images: int
    count: int | None = None
    objects: dict[str, int] | None = None
    sides: tuple[float, float] | None = None


@dataclass(frozen=True)
class Origin:
    """What a model was made from.

    Attributes:
        network: in words.
        parts: the data, by ``train`` and ``validation``.
        batch_size: photos a step.
        intervals: 95 % intervals of ``ap`` and ``ap50``, where this model has them.
        weights: what it started from: ``coco``, ``imagenet``, ``scratch`` or ``other``; empty where that is not known.
        started: the same in a sentence.
        licence: of these weights, in a sentence, where they are published.
        citation: whom to cite for them.
        made_with: the versions of libraries.
    """

    network: str
    parts: dict[str, Photos]
    batch_size: int
    intervals: dict[str, tuple[float, float]]
    weights: str
    started: str
    made_with: dict[str, str]
    licence: str = ""
    citation: str = ""
