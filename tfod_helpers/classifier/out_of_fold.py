"""Features and labels -> the probability of each class, by a softmax regression that did not learn from that label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

_PENALTY = 1.0  # of the weights' squares, against the mean loss of an example: few boxes, many features, wrong labels
_STEPS = 200  # of L-BFGS, at most
_FAINT = 1e-3  # of the largest deviation: a feature that varies less is not blown up
_TEMPERATURES = (0.05, 5.0)


def probabilities(views: Sequence[np.ndarray], labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the probability of each class for each example, by a regression on the examples of all other folds.

    All probabilities are sharpened or flattened by one temperature, with which they fit the labels best.

    Args:
        views: features of the same examples in one or more views, such as their mirror images, each of shape (n, m).
            All views are learned from, and what they say of an example is averaged.
        labels: int, shape (n,): classes from 0, each of them in two folds at least.
        folds: int, shape (n,): the fold of each example.

    Returns:
        float64, shape (n, classes).
    """
    logits = np.zeros((len(labels), int(labels.max()) + 1))
    for fold in np.unique(folds):
        inside = folds == fold
        learned = np.concatenate([view[~inside] for view in views])
        mean, deviation = learned.mean(axis=0), learned.std(axis=0)
        deviation = np.maximum(deviation, max(_FAINT * float(deviation.max()), 1e-12))
        weights = _fit((learned - mean) / deviation, np.tile(labels[~inside], len(views)), logits.shape[1])
        said = [(view[inside] - mean) / deviation @ weights[:-1] + weights[-1] for view in views]
        logits[inside] = np.mean(said, axis=0)
    return special.softmax(logits / _temperature(logits, labels), axis=1)


def _fit(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the weights of a softmax regression, shape (m + 1, classes); the last row is what is added."""
    wanted = np.eye(classes)[labels]
    shape = (features.shape[1] + 1, classes)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        said = special.log_softmax(features @ weights[:-1] + weights[-1], axis=1)
        wrong = (np.exp(said) - wanted) / len(labels)
        slope = np.vstack([features.T @ wrong + _PENALTY * weights[:-1], wrong.sum(axis=0)])
        return -(wanted * said).sum() / len(labels) + _PENALTY / 2 * (weights[:-1] ** 2).sum(), slope.ravel()

    start = np.zeros(shape[0] * classes)
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x.reshape(shape)


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return by what to divide logits for the highest likelihood of the labels (Guo et al. 2017)."""
    every = np.arange(len(labels))

    def loss(temperature: float) -> float:
        return -float(special.log_softmax(logits / temperature, axis=1)[every, labels].mean())

    return float(optimize.minimize_scalar(loss, bounds=_TEMPERATURES, method="bounded").x)
