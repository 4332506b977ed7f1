"""A network of Keras, cut in two where little passes: what stays as it is, and the upper layers that are tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

_FIRST, _LAST = 0.6, 0.85  # of the layers: the cut is between


def pair_at_cut(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the lower and the upper layers of a network; both share its weights.

    Cut is where all that goes on is one tensor, the smallest there is, so that it can be kept for many photos.

    Args:
        model: a functional model with one input and one output.
    """
    import keras

    layers = model.layers
    place = {id(layer): number for number, layer in enumerate(layers)}
    used_until = list(range(len(layers)))
    for number, layer in enumerate(layers):
        for node in layer._inbound_nodes:  # Keras has no public name for how layers are joined
            for before in node.parent_nodes:
                if (at := place.get(id(before.operation))) is not None:
                    used_until[at] = max(used_until[at], number)
    alone = [at for at in range(1, len(layers)) if max(used_until[:at]) <= at]
    between = [at for at in alone if _FIRST * len(layers) <= at <= _LAST * len(layers)]
    cut = min(between, key=lambda at: (int(np.prod(layers[at].output.shape[1:])), at))
    return keras.Model(model.input, layers[cut].output), keras.Model(layers[cut].output, model.output)
