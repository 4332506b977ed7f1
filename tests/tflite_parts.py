"""LiteRT files of a few operators, made without TensorFlow, that have a detector's input and outputs."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

SIDE, ANCHORS, CLASSES = 4, 12, 4  # so many classes as a box has numbers: shapes do not tell the outputs apart
LABELS = ["cat", "dog", "black bird", "Großkatze"]
POST_PROCESS = "TFLite_Detection_PostProcess"


def anchors_yxhw() -> np.ndarray:
    """Three boxes around each quarter of the input, in its pixels."""
    centres = np.array([(y, x) for y in (1, 3) for x in (1, 3) for _ in range(3)])
    return np.concatenate([centres, np.tile([(1, 2), (2, 2), (2, 1)], (4, 1))], axis=1).astype(np.float32)


def detector_file(*, decoded: bool, names: tuple[str, ...] = ("boxes", "logits")) -> bytes:
    """A model that takes (1, 4, 4, 3) for twelve encoded boxes, and for the logits too.

    Args:
        decoded: with the post-processing operator behind, whose outputs stand in another order than it gives them.
        names: of the encoded outputs; their order in the file is the other one, as a converter's is.
    """
    model = schema.ModelT(version=3, description="made by a test", buffers=[schema.BufferT()])
    graph = schema.SubGraphT(tensors=[], operators=[], name="main")
    model.subgraphs, model.operatorCodes = [graph], []

    def tensor(name: str, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
        if values is not None:
            model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        integers = values is not None and values.dtype == np.int32
        graph.tensors.append(
            schema.TensorT(
                name=name,
                shape=np.array(shape, np.int32),
                type=schema.TensorType.INT32 if integers else schema.TensorType.FLOAT32,
                buffer=0 if values is None else len(model.buffers) - 1,
            )
        )
        return len(graph.tensors) - 1

    def operator(code: schema.OperatorCodeT, inputs: list[int], outputs: list[int], options: bytes = b"") -> None:
        model.operatorCodes.append(code)
        made = schema.OperatorT(len(model.operatorCodes) - 1, np.array(inputs, np.int32), np.array(outputs, np.int32))
        made.customOptions = np.frombuffer(options, np.uint8) if options else None
        graph.operators.append(made)

    image = tensor("images", (1, SIDE, SIDE, 3))
    shape = tensor("shape", (3,), np.array([1, ANCHORS, 4], np.int32))
    encoded = {name: tensor(name, (1, ANCHORS, 4)) for name in names}
    for index in encoded.values():
        operator(schema.OperatorCodeT(deprecatedBuiltinCode=22, builtinCode=22), [image, shape], [index])  # RESHAPE
    outputs = dict(reversed(encoded.items()))
    if decoded:
        anchors = tensor("anchors", (ANCHORS, 4), anchors_yxhw() / SIDE)
        shapes = {"boxes": (1, 5, 4), "classes": (1, 5), "scores": (1, 5), "count": (1,)}
        found = {name: tensor(f"call:{name}", shape) for name, shape in shapes.items()}
        settings = {"max_detections": 5, "detections_per_class": 5, "max_classes_per_detection": 1}
        settings |= {f"{axis}_scale": 1.0 for axis in "yxhw"} | {"use_regular_nms": True, "num_classes": CLASSES}
        options = bytes(flexbuffers.Dumps(settings | {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.5}))
        operator(
            schema.OperatorCodeT(deprecatedBuiltinCode=32, builtinCode=32, customCode=POST_PROCESS),
            [*encoded.values(), anchors],
            list(found.values()),
            options,
        )
        outputs = {name: found[name] for name in ("count", "scores", "boxes", "classes")}
    graph.inputs, graph.outputs = np.array([image], np.int32), np.array(list(outputs.values()), np.int32)
    model.signatureDefs = [
        schema.SignatureDefT(
            inputs=[schema.TensorMapT("images", image)],
            outputs=[schema.TensorMapT(name, index) for name, index in sorted(outputs.items())],
            signatureKey="serving_default",
        )
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
