"""A classifier: a Keras model that takes photos as they are, its classes, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers import evaluation, photos
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.classifier import backbones, features
from tfod_helpers.classifier.backbones import Backbone
from tfod_helpers.classifier.looked_at import square
from tfod_helpers.evaluation import Classification
from tfod_helpers.presets import resizing

if TYPE_CHECKING:
    import keras
    import pandas as pd

_DROPOUT = 0.2


@dataclass(frozen=True, eq=False)
class Classifier:
    """What tells classes of photos apart.

    Attributes:
        label_map: the classes.
        side: of the squares that it looks at, in pixels.
        run: squares, uint8, shape (n, side, side, 3), RGB -> probabilities, shape (n, classes).
        model: the Keras model, which takes photos of any size, uint8, shape (n, h, w, 3), RGB: resizing and
            normalization are its first layers. None where another program runs it.
        backbone: the network in it, which `train` goes on with; None where it was loaded.
        facts: what is known of where it comes from.
    """

    label_map: LabelMap
    side: int
    run: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    model: keras.Model | None = field(default=None, repr=False)
    backbone: Backbone | None = None
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    def probabilities(self, given: Any) -> np.ndarray:
        """Return the probability of each class: shape (classes,) of one photo, (n, classes) of several.

        Args:
            given: one photo or several: a path, the bytes of an image file, a Pillow image, or an array or tensor,
                uint8, shape (h, w, 3), RGB; several are a list of them, or an array of shape (n, h, w, 3).

        Raises:
            FileNotFoundError: there is no such file.
            photos.PhotoError: it is no image, or not a whole one.
            TypeError: an array of another type or shape: pixels are 0 to 255, and nothing is to be scaled before.
        """
        every = photos.several(given)
        if every is None:
            return self._of([given])[0]
        return self._of(every)

    def classify(self, given: Any) -> pd.DataFrame:
        """Return a table with a row a photo: class, confidence, and the probability of each class.

        Args:
            given: as for `probabilities`.
        """
        import pandas as pd

        every = photos.several(given)
        every = [given] if every is None else list(every)
        found = self._of(every)
        names = [one if isinstance(one, str) else getattr(one, "name", number) for number, one in enumerate(every)]
        table = pd.DataFrame(found, index=pd.Index(names, name="photo"), columns=list(self.label_map))
        table.insert(0, "class", [self.label_map.name(int(row.argmax()) + 1) for row in found])
        table.insert(1, "confidence", found.max(axis=1))
        return table

    def look(self, dataset: Dataset, title: str = "classifying") -> np.ndarray:
        """Return the probabilities of each photo of a dataset, one box each: shape (n, classes)."""
        evaluation.labels(dataset)  # says what is wrong before the work begins
        return self._of(dataset, partial(square, side=self.side), title)

    def _of(
        self, items: Iterable[Any], pictures: Callable[[Any], np.ndarray] | None = None, title: str = ""
    ) -> np.ndarray:
        every = items if isinstance(items, Sequence) else list(items)
        found = [np.zeros((0, len(self.label_map)), np.float32)]
        read = pictures or self._square
        found += [np.asarray(self.run(some))[:count] for some, count in features.batches(every, read, self.side, title)]
        return np.concatenate(found)

    def _square(self, given: Any) -> np.ndarray:
        return photos.letterbox(given, self.side, resize=resizing.STRETCH).pixels[None]


def make(
    classes: Dataset | Iterable[str],
    backbone: str = "mobilenet_v2",
    *,
    width: float | None = None,
    side: int | None = None,
    weights: str | None = "imagenet",
    seed: int = 0,
) -> Classifier:
    """Build a classifier that has yet to be trained. What it starts from is printed.

    Args:
        classes: their names, or a dataset that has them.
        backbone: one of `backbones.NETWORKS`.
        width: how wide it is; None takes the narrowest MobileNetV2 (0.35), and others as they are usual.
        side: of the squares that it looks at, in pixels; None takes what the backbone was trained with.
        weights: ``"imagenet"``, or None to start from random values, which takes many photos.
        seed: of the random values.

    Raises:
        ValueError: fewer than two classes, or as `backbones.make` raises.
    """
    label_map = classes.label_map if isinstance(classes, Dataset) else LabelMap(classes)
    if len(label_map) < 2:
        raise ValueError(f"A classifier tells two classes or more apart, got only {label_map.describe()}.")
    import keras

    keras.utils.set_random_seed(seed)
    base = backbones.make(backbone, width=width, side=side, weights=weights)
    print(base)
    facts = {"backbone": base.name, "width": base.width, "weights": base.weights, "sentence": base.sentence}
    return of_model(_network(base, len(label_map)), label_map, base.side, base, facts)


def of_model(
    model: keras.Model, label_map: LabelMap, side: int, backbone: Backbone | None, facts: dict[str, Any]
) -> Classifier:
    """Return the classifier that a Keras model is."""

    def run(squares: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(squares))

    return Classifier(label_map, side, run, model, backbone, facts)


def _network(base: Backbone, classes: int) -> keras.Model:
    import keras

    layers = keras.layers
    given = keras.Input((None, None, 3), dtype="uint8", name="photos")
    # With antialiasing, as photos are made smaller while they are read: what is trained on is what is seen later. Not
    # by the layer Resizing: in a plain call of the model, it makes all layers after it believe that they are trained.
    squares = keras.ops.image.resize(keras.ops.cast(given, "float32"), (base.side, base.side), antialias=True)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(base.model(squares))
    dropped = layers.Dropout(_DROPOUT, name="dropout")(pooled)
    return keras.Model(given, layers.Dense(classes, activation="softmax", name="classes")(dropped), name="classifier")


def evaluate(classifier: Classifier, dataset: Dataset, *, resamples: int = 1000, seed: int = 0) -> Classification:
    """Classify all photos of a dataset, and score that.

    Args:
        classifier: the classifier.
        dataset: photos that it was not trained on, one box each.
        resamples: how many times the photos are sampled for the intervals.
        seed: of the samples.

    Raises:
        ValueError: as `evaluation.score_classes` raises.
        photos.PhotoError: a photo cannot be read.
    """
    dataset = evaluation.with_classes(dataset, classifier.label_map)
    return evaluation.score_classes(dataset, classifier.look(dataset), resamples=resamples, seed=seed)
