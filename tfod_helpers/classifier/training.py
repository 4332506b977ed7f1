"""Photos + a classifier that knows ImageNet -> one that tells their classes apart: minutes, and never lost.

The backbone looks at each photo once, and at its mirror image. On what it saw the new last layer is trained, in
seconds; then the upper layers too, with batch norms that stay as they are. After each epoch the validation photos
decide whether it was the best so far, and everything is kept on the disk: whatever ends a training, the next call with
the same folder goes on. A network that starts from random values is trained as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.classifier.classifier import Classifier
from tfod_helpers.classifier.looked_at import all_squares, square_batches
from tfod_helpers.classifier.progress import Progress
from tfod_helpers.classifier.upper_layers import pair_at_cut
from tfod_helpers.evaluation.naming import listed

if TYPE_CHECKING:
    import keras
    import pandas as pd

LEAST = 5  # training photos of a class; fewer show nothing of it
_CHUNK = 512  # photos that are looked at before that is kept
_BATCH = 32
_MOST_BYTES = 2_000_000_000  # of what was seen of the photos; of more photos only the last layer is trained
_MOMENTUM = 0.9  # of batch norms: those of Keras Applications are made for millions of photos, and learn for too long
_HEAD_RATE, _FINE_RATE, _SCRATCH_RATE = 1e-3, 3e-4, 2e-3  # Adam's, chosen on validation photos


class _Data(NamedTuple):
    """What a part of the network is trained and judged on: inputs, classes from 0, and the same for validation."""

    x: np.ndarray
    y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray


def train(
    classifier: Classifier,
    train: Dataset,
    validation: Dataset,
    folder: str | os.PathLike[str],
    *,
    minutes: float = 10.0,
    epochs: int = 30,
    fine_tuning: int = 6,
    patience: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Train a classifier in place; the best of all epochs by the loss on the validation photos is what it ends with.

    Args:
        classifier: from `make`.
        train: photos, one box each.
        validation: others that decide which epoch was the best, and when to stop. Keep the photos of the final
            evaluation out of both.
        folder: on this machine, keeps where the training is; one that ended there is not repeated.
        minutes: when this is over, the best so far is taken; the next call goes on.
        epochs: of the last layer, at most; of the whole network where it starts from random values.
        fine_tuning: epochs of the upper layers, at most; 0 leaves the backbone as it is.
        patience: epochs without progress after which a part ends; None takes 4, and 12 where a network starts from
            random values, whose loss jumps.
        seed: of the random numbers.

    Returns:
        A row an epoch: part (``head``, ``upper layers`` or ``whole``), epoch (0 is before the first), loss, accuracy,
        validation_loss, validation_accuracy, seconds.

    Raises:
        ValueError: a class has fewer than five training photos, the validation photos show one that the training
            photos do not, the classifier was loaded, a number is out of range, or ``folder`` holds another training.
        photos.PhotoError: a photo cannot be read.
    """
    train, validation = (evaluation.with_classes(part, classifier.label_map) for part in (train, validation))
    knows = classifier.backbone and classifier.backbone.weights == "imagenet"
    work, usual = (_tune, 4) if knows else (_whole, 12)
    patience = usual if patience is None else patience
    _check(classifier, train, validation, minutes=minutes, epochs=epochs, patience=patience)
    import keras

    keras.utils.set_random_seed(seed)
    progress = Progress(folder, _fingerprint(classifier, train, validation, seed), minutes=minutes, patience=patience)
    try:
        work(classifier, train, validation, progress, epochs, fine_tuning)
    except KeyboardInterrupt:
        print(f"Stopped. Nothing is lost: the same call with folder {str(folder)!r} goes on from here.")
        raise
    progress.close()
    return progress.history()


def _check(classifier: Classifier, train: Dataset, validation: Dataset, **numbers: float) -> None:
    for name, number in numbers.items():
        if number <= 0:
            raise ValueError(f"{name} must be above 0, got {number}.")
    if classifier.backbone is None:
        raise ValueError(
            "This classifier was loaded, and is complete. Make a new one with classifier.make to train it."
        )
    counts, others = train.counts(), validation.counts()
    few = [f"{name} ({count})" for name, count in counts.items() if count < LEAST]
    if few:
        raise ValueError(
            f"Too few training photos of {listed(few)}: {LEAST} of each class are the least that show anything, and "
            f"100 are better. Add photos, or leave the class out."
        )
    if not len(validation):
        raise ValueError(
            "There are no validation photos, so nothing could say which epoch is the best. Split some off."
        )
    lacking = [name for name, count in others.items() if not count]
    if lacking:
        print(f"No validation photo shows {listed(lacking)}, so nothing is known of how well that is learned.")


def _fingerprint(classifier: Classifier, train: Dataset, validation: Dataset, seed: int) -> list[Any]:
    parts = [
        [(str(image.path), image.labels.tolist(), image.boxes_xyxy.tolist()) for image in part]
        for part in (train, validation)
    ]
    facts = {key: classifier.facts[key] for key in ("backbone", "width", "weights")}
    return [facts, classifier.side, list(classifier.label_map), parts, seed]


# --- a backbone that knows ImageNet ---------------------------------------------------------------


def _tune(
    classifier: Classifier, train: Dataset, validation: Dataset, progress: Progress, epochs: int, fine_tuning: int
) -> None:
    """Train the last layer, then the upper layers with it."""
    import keras

    assert classifier.model
    assert classifier.backbone
    pooled, dropout, head = (classifier.model.get_layer(name) for name in ("pooled", "dropout", "classes"))
    lower, upper = pair_at_cut(classifier.backbone.model)
    for layer in _batch_norms(upper):
        layer.trainable = False  # Keras runs it as after training then: small batches would spoil what it knows
    vectors, maps = (keras.Input(one.output.shape[1:][-rank:]) for one, rank in ((upper, 1), (lower, 3)))
    nets = {"head": keras.Model(vectors, head(dropout(vectors)))}
    size = 2 * (len(train) + len(validation)) * int(np.prod(maps.shape[1:])) * 2
    tuned = bool(fine_tuning) and size <= _MOST_BYTES
    if tuned:
        nets["upper layers"] = keras.Model(maps, head(dropout(pooled(upper(maps)))))
    if all([progress.restore(part, net) for part, net in nets.items()]):
        return
    sees = keras.Model(lower.input, [lower.output, upper(lower.output)]) if tuned else None
    of_validation = _seen(classifier, validation, progress, sees, mirrored=False)
    of_train = _seen(classifier, train, progress, sees, mirrored=True)
    rounds = {"head": ("vectors", epochs, _HEAD_RATE), "upper layers": ("maps", fine_tuning, _FINE_RATE)}
    for part, net in nets.items():
        of, most, rate = rounds[part]
        data = _Data(of_train[of], of_train["y"], of_validation[of], of_validation["y"])
        if not progress.restore(part, net):
            _fit(net, data, progress, part, most, rate)


def _seen(
    classifier: Classifier, part: Dataset, progress: Progress, sees: keras.Model | None, mirrored: bool
) -> dict[str, np.ndarray]:
    """Return what the backbone sees: maps at the cut, float16; vectors, the averaged last maps, float32; y, classes.

    Args:
        classifier: the classifier.
        part: the photos.
        progress: keeps what was seen, and says when the time is over: then those seen so far have to do.
        sees: the backbone, with the maps at the cut and the last ones; None where only the last are wanted.
        mirrored: the mirror images too.
    """
    assert classifier.backbone
    found: list[dict[str, np.ndarray]] = []
    what = "training" if mirrored else "validation"
    with tqdm(total=len(part), desc=f"looking at {what} photos", unit="image", delay=1) as bar:
        for start in range(0, len(part), _CHUNK):
            if found and progress.is_over(0.5):
                print(f"Half of the time is over: training goes on with the first {start:,} of {len(part):,} photos.")
                break
            chunk = part[start : start + _CHUNK]
            see = partial(_look, classifier.backbone.model, sees, chunk, classifier.side, mirrored, bar)
            found.append(progress.kept(f"{what}-{start}", see))
            bar.update(start + len(chunk) - bar.n)  # also where it was kept
    return {key: np.concatenate([one[key] for one in found]) for key in found[0]}


def _look(
    base: keras.Model, sees: keras.Model | None, images: Sequence[LabelledImage], side: int, mirrored: bool, bar: tqdm
) -> dict[str, np.ndarray]:
    """Return what `_seen` does of some photos, each read once: first of all as they are, then of the mirror images."""
    views = (1, -1) if mirrored else (1,)  # the step from column to column
    vectors: dict[int, list[np.ndarray]] = {step: [] for step in views}
    kept: dict[int, list[np.ndarray]] = {step: [] for step in views}
    for batch, count in square_batches(images, side):
        for step in views:
            view = batch[:, :, ::step]
            maps, last = sees.predict_on_batch(view) if sees is not None else (None, base.predict_on_batch(view))
            vectors[step].append(np.asarray(last)[:count].mean(axis=(1, 2), dtype=np.float32))
            if maps is not None:
                kept[step].append(np.asarray(maps)[:count].astype(np.float16))
        bar.update(count)
    found = {"vectors": vectors} | ({"maps": kept} if sees is not None else {})
    y = np.array([image.labels[0] - 1 for _ in views for image in images])
    return {"y": y} | {name: np.concatenate([one for step in views for one in of[step]]) for name, of in found.items()}


# --- a backbone of random values ------------------------------------------------------------------


def _whole(
    classifier: Classifier, train: Dataset, validation: Dataset, progress: Progress, epochs: int, _: int
) -> None:
    """Train all layers, on pictures that are mirrored and moved at random."""
    import keras

    assert classifier.model
    assert classifier.backbone
    side, layers = classifier.side, keras.layers
    pooled, dropout, head = (classifier.model.get_layer(name) for name in ("pooled", "dropout", "classes"))
    for layer in _batch_norms(classifier.backbone.model):
        layer.momentum = _MOMENTUM
    given = keras.Input((side, side, 3), dtype="uint8")
    moved = layers.RandomTranslation(0.1, 0.1)(layers.RandomFlip("horizontal")(given))
    net = keras.Model(given, head(dropout(pooled(classifier.backbone.model(moved)))))
    if progress.restore("whole", net):
        return
    data = []
    for part, title in ((train, "reading training photos"), (validation, "reading validation photos")):
        data += [all_squares(part, side, title), evaluation.labels(part)]
    _fit(net, _Data(*data), progress, "whole", epochs, _SCRATCH_RATE)


def _batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    import keras

    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


# --- any part -------------------------------------------------------------------------------------


def _fit(net: keras.Model, data: _Data, progress: Progress, part: str, epochs: int, rate: float) -> None:
    """Train a network until it is no longer better, and give it the weights of its best epoch."""
    import keras

    if progress.is_over():
        progress.say_over(part)
        return
    steps = -(-len(data.x) // _BATCH)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * steps, alpha=0.05)
    net.compile(keras.optimizers.Adam(falling), "sparse_categorical_crossentropy", metrics=["accuracy"])
    validate: Callable[[], list[float]] = partial(
        net.evaluate, data.validation_x, data.validation_y, batch_size=_BATCH, verbose=0
    )
    with progress.part(part, net, epochs, validate) as callbacks:
        net.fit(
            data.x, data.y, batch_size=_BATCH, epochs=epochs, verbose=0, callbacks=callbacks,
            validation_data=(data.validation_x, data.validation_y),
        )  # fmt: skip
