"""Pretrained weights -> a model, and the truth about what was loaded.

* `load` fills a freshly built model with COCO's weights, ImageNet's, or those of an earlier run. Where what was asked
  for cannot be had, it goes down that chain and says so where nobody can overlook it. `Loaded` is what came of it.
* `sources` says which published weights fit a network, in which order, and how each gets into it.
* `zoo` has those of the TF2 Detection Zoo; `object_detection_api` reads them, and every other checkpoint like them.
* `keras_hub` reads what KerasHub trained, `keras_hub_preset` knows where its files are.
* `anchor_orders` gives outputs for one program's anchors the order and the places of another's.
* `published` says which files there are for which network, and where they are kept.
* `networks` knows which networks of Keras Applications are the Model Garden's too, and carries their tensors over.
* `checkpoints` reads an earlier run, and what the Model Garden publishes.
"""

from tfod_helpers.network.weights.chain import Loaded, load, load_for

__all__ = ["Loaded", "load", "load_for"]
