"""The network for exporting: it gets the weights of the trained one, whatever order Keras lists them in."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow


def test_weights_are_paired_in_the_order_in_which_they_were_made() -> None:
    """Layers that hold no weights, as a SpineNet's upsampling, move Keras' order of those that do, and not this one."""
    import tf_keras

    from tfod_helpers.exporting import network

    def two_branches(in_between: int) -> Any:
        photo = tf_keras.Input([3])
        first = tf_keras.layers.Dense(2, name="first")(photo)
        second = tf_keras.layers.Dense(2, name="second")(photo)
        for _ in range(in_between):
            second = tf_keras.layers.Activation("linear")(second)
        return tf_keras.Model(photo, tf_keras.layers.Concatenate()([first, second]))

    trained, exported = two_branches(0), two_branches(2)
    assert [weight.name for weight in trained.weights] != [weight.name for weight in exported.weights]
    made = [[weight.name for weight in network._as_made(model)] for model in (trained, exported)]
    assert made[0] == made[1] == ["first/kernel:0", "first/bias:0", "second/kernel:0", "second/bias:0"]
