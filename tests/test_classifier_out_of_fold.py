"""Probabilities out of fold: they are not learned from the label that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from tfod_helpers.classifier import out_of_fold

COUNT = 120


@pytest.fixture
def labels() -> np.ndarray:
    """Three classes in turn."""
    return np.arange(COUNT) % 3


def folds_of(count: int = COUNT) -> np.ndarray:
    """Four folds, each with all classes."""
    return np.arange(count) // 3 % 4


def test_labels_that_follow_from_nothing_are_not_known(labels: np.ndarray) -> None:
    """Of features that say nothing, a model that learned from its labels would know all; this one knows none."""
    features = np.random.default_rng(0).normal(size=(COUNT, 400))
    found = out_of_fold.probabilities([features], labels, folds_of())
    assert found.shape == (COUNT, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert 0.2 < (found.argmax(axis=1) == labels).mean() < 0.47
    assert found.max() < 0.7, "and it does not believe to know them"


def test_probabilities_are_as_sure_as_they_are_right(labels: np.ndarray) -> None:
    """Of features that say the class in four of five cases, the mean probability of the likeliest class is near 0.8."""
    random = np.random.default_rng(1)
    count = 600
    labels = np.arange(count) % 3
    shown = np.where(random.uniform(size=count) < 0.8, labels, (labels + random.integers(1, 3, count)) % 3)
    features = np.eye(3)[shown] + random.normal(0, 0.05, (count, 3))
    found = out_of_fold.probabilities([features], labels, folds_of(count))
    assert (found.argmax(axis=1) == shown).mean() > 0.99
    assert found.max(axis=1).mean() == pytest.approx(0.8, abs=0.04)


def test_views_are_learned_from_and_asked_together(labels: np.ndarray) -> None:
    """Where one view of each example says its class and the other one says nothing, both together know it."""
    random = np.random.default_rng(2)
    telling, silent = np.eye(3)[labels] + random.normal(0, 0.2, (COUNT, 3)), random.normal(0, 0.05, (COUNT, 3))
    found = out_of_fold.probabilities([telling, silent], labels, folds_of())
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_features_that_hardly_vary_do_no_harm(labels: np.ndarray) -> None:
    """A constant feature, and one that differs in a single example by nothing much, change no probability by much."""
    random = np.random.default_rng(3)
    features = np.eye(3)[labels] + random.normal(0, 0.3, (COUNT, 3))
    more = np.zeros((COUNT, 2))
    more[5, 1] = 1e-4
    plain, padded = (
        out_of_fold.probabilities([view], labels, folds_of()) for view in (features, np.hstack([features, more]))
    )
    np.testing.assert_allclose(plain, padded, atol=0.02)
