"""A trained classifier -> a folder with its three forms, each loaded again and held against the same photos.

The folder holds::

    model.keras        for Keras 3
    saved_model/       for TensorFlow, with no Keras: its ``serve`` takes photos, uint8, shape (n, h, w, 3), RGB
    model.tflite       for LiteRT (TensorFlow Lite): squares, uint8, shape (n, side, side, 3), RGB
    label_map.pbtxt    the classes, in the order of the probabilities that each form returns, float32, (n, classes)
    classifier.json    the side of the squares, and where the model comes from

Normalization is within all three, and resizing within the first two: a phone's library resizes photos itself.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.classifier.classifier import Classifier, evaluate, of_model
from tfod_helpers.detector import LABEL_MAP, tflite_file
from tfod_helpers.files import storage
from tfod_helpers.files.terminal import silent_log, silent_stderr

if TYPE_CHECKING:
    import keras
    import pandas as pd

Form = Literal["keras", "saved_model", "tflite"]
FACTS = "classifier.json"
FILES: dict[Form, str] = {"keras": "model.keras", "saved_model": "saved_model", "tflite": tflite_file.MODEL}
_CLOSE = 0.01  # of probability: a photo so near to being undecided may be decided either way


def save(classifier: Classifier, folder: str | os.PathLike[str]) -> Path:
    """Write a classifier in all three forms, whole or not at all.

    Args:
        classifier: a trained one.
        folder: new, empty, or one that holds a classifier already, which is replaced.

    Returns:
        The folder.

    Raises:
        FileExistsError: there is something else in the folder.
        ValueError: the classifier is another program's model, such as a loaded SavedModel.
    """
    import keras

    if classifier.model is None:
        raise ValueError("Only a Keras model can be saved in all forms. Load the form 'keras' of it.")
    if not storage.is_remote(folder):
        folder = Path(folder).expanduser()
        if folder.exists() and not (folder / FACTS).exists() and (folder.is_file() or any(folder.iterdir())):
            raise FileExistsError(f"{folder}: there is something here that is no classifier. Choose a new folder.")
    with storage.whole_folder(folder, replaces=True) as part:
        model = classifier.model
        model.save(part / FILES["keras"])
        with silent_stderr(), silent_log("tensorflow", logging.ERROR):
            taken = [keras.InputSpec(shape=(None, None, None, 3), dtype="uint8")]
            model.export(part / FILES["saved_model"], format="tf_saved_model", input_signature=taken, verbose=False)
            _squares_only(classifier).export(part / FILES["tflite"], format="litert", verbose=False)
        classifier.label_map.write(part / LABEL_MAP)
        facts = {"side": classifier.side, "classes": list(classifier.label_map), **classifier.facts}
        (part / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return Path(folder)


def load(folder: str | os.PathLike[str], form: Form = "keras") -> Classifier:
    """Load a classifier that was saved.

    Args:
        folder: what `save` made, here or in a bucket.
        form: which of its forms.

    Raises:
        FileNotFoundError: it holds no classifier, or not in this form.
        ValueError: there is no such form, or the model has another number of classes than its label map.
    """
    if form not in FILES:
        raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}.")
    place = storage.mirror(folder).expanduser()
    path = place / FILES[form]
    for needed in (place / FACTS, path):
        if not needed.exists():
            raise FileNotFoundError(
                f"{needed}: not there, so {place} holds no saved classifier. Give what classifier.save made."
            )
    facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    label_map, side = LabelMap.read(place / LABEL_MAP), facts.pop("side")
    if form == "keras":
        import keras

        model = keras.models.load_model(path, compile=False)
        loaded = of_model(model, label_map, side, None, facts)
    else:
        run = _saved_model(path) if form == "saved_model" else _tflite(path)
        loaded = Classifier(label_map, side, run, facts=facts)
    outputs = loaded.run(np.zeros((1, side, side, 3), np.uint8)).shape[1]
    if outputs != len(label_map):
        raise ValueError(
            f"{path}: the model tells {outputs} classes apart, and {LABEL_MAP} beside it has {len(label_map)} "
            f"({label_map.describe()}). Take both from one training."
        )
    return loaded


def certify(folder: str | os.PathLike[str], dataset: Dataset) -> pd.DataFrame:
    """Load each form of a saved classifier again, and judge it on the same photos; say where decisions differ.

    Args:
        folder: what `save` made.
        dataset: photos that it was not trained on, one box each.

    Returns:
        A row a form: accuracy, accuracy_low, accuracy_high (95 % interval), other_decisions (photos that the Keras
        model decides otherwise), undecided (of these, the photos whose two best classes lie within 0.01 there),
        difference (of a probability from the Keras model's, the largest), ms (a photo, the median), bytes.

    Raises:
        As `load` and `evaluate` raise.
    """
    import pandas as pd

    place = storage.mirror(folder).expanduser()
    rows: dict[str, dict[str, Any]] = {}
    first = np.zeros(0)
    for form, name in FILES.items():
        loaded = load(place, form)
        found = evaluate(loaded, dataset)
        first = found.probabilities if form == "keras" else first
        other = found.probabilities.argmax(axis=1) != first.argmax(axis=1)
        best = np.sort(first, axis=1)[:, -2:]
        files = [path for path in [place / name, *(place / name).rglob("*")] if path.is_file()]
        low, high = found.intervals["accuracy"]
        rows[form] = {
            "accuracy": found.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "other_decisions": int(other.sum()),
            "undecided": int((other & (best[:, 1] - best[:, 0] <= 2 * _CLOSE)).sum()),
            "difference": float(np.abs(found.probabilities - first).max()),
            "ms": _milliseconds(loaded),
            "bytes": sum(path.stat().st_size for path in files),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("form")


def _squares_only(classifier: Classifier) -> keras.Model:
    """Return the model without its resizing, which LiteRT cannot do in the same way."""
    import keras

    assert classifier.model
    given = keras.Input((classifier.side, classifier.side, 3), dtype="uint8", name="photos")
    made: Any = given
    for layer in classifier.model.layers[1:]:  # resizing is an operation, and no layer
        made = layer(made)
    return keras.Model(given, made)


def _saved_model(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    module = tf.saved_model.load(str(path))
    return lambda squares: module.serve(tf.constant(squares)).numpy()


def _tflite(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    runner = tflite_file.runner(model_path=str(path))
    [(name, _)] = runner.get_input_details().items()

    def run(squares: np.ndarray) -> np.ndarray:
        return np.concatenate([next(iter(runner(**{name: one[None]}).values())) for one in squares])

    return run


def _milliseconds(classifier: Classifier, times: int = 9) -> float:
    square = np.zeros((1, classifier.side, classifier.side, 3), np.uint8)
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        classifier.run(square)
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1000
