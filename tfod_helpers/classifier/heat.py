"""Where a classifier looked: class activation maps.

Zhou and others (Learning Deep Features for Discriminative Localization, 2016). Grad-CAM (Selvaraju and others, 2017)
gives the same for a network such as these, whose last maps are averaged and then weighted: the gradient is the weight.
It is a picture of what spoke for a class, and no proof: a network can be right for a reason that it does not show.
"""

from __future__ import annotations

import numpy as np

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset
from tfod_helpers.classifier.classifier import Classifier
from tfod_helpers.classifier.looked_at import square_batches


def heat(classifier: Classifier, dataset: Dataset) -> np.ndarray:
    """Return what of each photo spoke for the class that the classifier took for the most probable.

    Args:
        classifier: one that was made or loaded in the form ``keras``.
        dataset: photos, one box each.

    Returns:
        float32, shape (n, h, w), 0 to 1, over what was looked at of each photo; h and w are those of the last maps.

    Raises:
        ValueError: it is another program's model, of which nothing but probabilities is known.
    """
    import keras

    if classifier.model is None:
        raise ValueError("Where a classifier looked is known of a Keras model only. Load the form 'keras'.")
    evaluation.labels(dataset)
    model = classifier.model
    pooled, head = model.get_layer("pooled"), model.get_layer("classes")
    sees = keras.Model(model.input, [pooled.input, model.output])
    weights = np.asarray(head.kernel)
    found = []
    for batch, count in square_batches(dataset, classifier.side):
        maps, probabilities = (np.asarray(one)[:count] for one in sees.predict_on_batch(batch))
        spoke = np.einsum("nhwc,nc->nhw", maps, weights[:, probabilities.argmax(axis=1)].T).clip(0)
        found.append(spoke / spoke.max(axis=(1, 2), keepdims=True).clip(1e-6))
    return np.concatenate(found).astype(np.float32)
