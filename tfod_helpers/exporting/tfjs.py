"""A run -> a model in TensorFlow.js's format, for web pages and apps that have JavaScript of their own.

The export folder holds ``model.json`` and ``weights.bin``, which ``tf.loadGraphModel("model.json")`` reads, the label
map, ``export.json`` and ``anchors.npy``. The model takes ``images``: float32, (n, side, side, 3), RGB, values 0 to 255,
made as `photos.letterbox` makes them, and returns

* ``boxes``: float32, (n, anchors, 4), encoded by the anchors in ``anchors.npy``,
* ``logits``: float32, (n, anchors, classes), without background.

`detector.decoding` has the formula that makes detections of them; `exporting.web_page` makes a page that does it all.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.protobuf.config_pb2 import ConfigProto
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef, TensorInfo
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.grappler import tf_optimizer

import tfod_helpers
from tfod_helpers.detector import ANCHORS
from tfod_helpers.detector.runtimes.tfjs import MODEL, SCRIPTS, WEIGHTS
from tfod_helpers.exporting import network
from tfod_helpers.exporting.folder import whole_export
from tfod_helpers.exporting.fusing import fuse
from tfod_helpers.exporting.network import ExportNetwork
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.files.terminal import silent_stderr

FORMAT = "tfjs"
Precision = Literal["float32", "float16", "uint8"]
_OPTIMIZERS = ("function", "constfold", "dependency")
_SMALL = 1024  # numbers: fewer stay float32 among weights of 8 bits; biases and depthwise filters need the precision


def export(
    run: str | os.PathLike[str] | Run,
    folder: str | os.PathLike[str],
    *,
    precision: Precision = "float32",
    checkpoint: Checkpoint = "best",
) -> Path:
    """Write a run's model in TensorFlow.js's format, whole or not at all.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        precision: of the weights in the file; what is computed is float32. ``float16`` halves the file, ``uint8``
            quarters it.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: an unknown precision, no model of that step, or a network that TensorFlow.js cannot run.
        FileExistsError: the folder holds something other than an export.
    """
    check_precision(precision)
    with (
        reading(run, checkpoint) as run,
        whole_export(folder, run, checkpoint, FORMAT, precision=precision, decoded=False) as part,
    ):
        write(network.of_run(run, checkpoint, "TensorFlow.js"), part, precision)
    return Path(folder)


def check_precision(precision: str) -> None:
    """Refuse a precision that the format does not have."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}.")


def write(made: ExportNetwork, folder: Path, precision: Precision) -> None:
    """Write a network's ``model.json``, ``weights.bin`` and ``anchors.npy`` into a folder.

    Raises:
        ValueError: TensorFlow.js lacks an operation of it.
    """
    from google.protobuf.json_format import MessageToDict

    frozen = made.frozen(batch=None)
    signature = _signature(frozen)
    graph = _optimized(frozen, signature)
    _check_operations(graph)
    manifest, data = _take_weights(graph, precision)
    written = {
        "format": "graph-model",
        "generatedBy": f"tensorflow {tf.__version__}",
        "convertedBy": f"tfod_helpers {tfod_helpers.__version__}",
        "signature": MessageToDict(signature),
        "userDefinedMetadata": {"structuredOutputKeys": list(signature.outputs)},  # for predict() to name them
        "modelTopology": MessageToDict(graph),
        "weightsManifest": [{"paths": [WEIGHTS], "weights": manifest}],
    }
    (folder / MODEL).write_text(json.dumps(written, separators=(",", ":")), encoding="utf-8")
    (folder / WEIGHTS).write_bytes(data)
    np.save(folder / ANCHORS, made.anchors_yxhw, allow_pickle=False)


def _signature(frozen: Any) -> SignatureDef:
    """Return what a frozen function's inputs and outputs are called."""

    def info(tensor: tf.Tensor) -> TensorInfo:
        return TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto())

    outputs = {name: info(tensor) for name, tensor in frozen.structured_outputs.items()}
    return SignatureDef(inputs={"images": info(frozen.inputs[0])}, outputs=outputs)


def _optimized(frozen: Any, signature: SignatureDef) -> GraphDef:
    """Return a frozen function's graph with batch norms, biases and activations fused into the convolutions."""
    config = ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(_OPTIMIZERS)
    config.graph_options.rewrite_options.meta_optimizer_iterations = RewriterConfig.TWO
    meta_graph = MetaGraphDef(graph_def=frozen.graph.as_graph_def(), signature_def={"serving_default": signature})
    with silent_stderr():
        return fuse(tf_optimizer.OptimizeGraph(config, meta_graph))


def _check_operations(graph: GraphDef) -> None:
    needed = {node.op for node in graph.node} | {node.op for one in graph.library.function for node in one.node_def}
    if missing := needed - _known_operations():
        raise ValueError(
            f"TensorFlow.js has no operation {', '.join(sorted(missing))}, which the network needs. Export it by "
            f"exporting.saved_model or exporting.tflite, or train another preset."
        )


@functools.cache
def _known_operations() -> set[str]:
    """Return the operations that TensorFlow.js' converter names: those that it can run."""
    return {name for path in SCRIPTS for name in re.findall(r'tfOpName:"(\w+)"', path.read_text(encoding="utf-8"))}


def _take_weights(graph: GraphDef, precision: Precision) -> tuple[list[dict[str, Any]], bytes]:
    """Take the constants out of a graph; return what ``weightsManifest`` says of them, and their bytes, joined."""
    entries, data = [], []
    for node in graph.node:
        if node.op == "Const":
            entry, stored = _stored(tf.make_ndarray(node.attr["value"].tensor), precision)
            entries.append({"name": node.name, **entry})
            data.append(stored.tobytes())
            del node.attr["value"]
    return entries, b"".join(data)


def _stored(values: np.ndarray, precision: Precision) -> tuple[dict[str, Any], np.ndarray]:
    """Return what ``weightsManifest`` says of some weights, and the numbers to store."""
    values = values.astype(np.int32) if values.dtype == np.int64 else values  # which JavaScript has none of
    entry: dict[str, Any] = {"shape": list(values.shape), "dtype": values.dtype.name}
    if values.dtype != np.float32 or precision == "float32":
        return entry, values
    if precision == "float16":
        return entry | {"quantization": {"dtype": "float16", "original_dtype": "float32"}}, values.astype(np.float16)
    if values.size < _SMALL:
        return entry, values
    scale, least, stored = _in_8_bits(values)
    quantization = {"dtype": "uint8", "min": least, "scale": scale, "original_dtype": "float32"}
    return entry | {"quantization": quantization}, stored


def _in_8_bits(values: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return scale, minimum and uint8 numbers, ``number * scale + minimum``, of which one is exactly zero."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    zero = round(-low / scale)
    return scale, -zero * scale, np.clip(np.rint(values / scale) + zero, 0, 255).astype(np.uint8)
