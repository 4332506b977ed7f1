"""TensorFlow.js exports: the network's own outputs in three precisions, in Node.js and in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from web_exports import needs_browser, needs_node, run_scripts

from tfod_helpers.detector.runtimes import tfjs as runtime

pytestmark = pytest.mark.tensorflow
# predict() of the documented format: a batch in, boxes and logits by their names out.
PREDICT = """
await tf.setBackend("cpu");
const topology = JSON.parse(read(given.folder + "/model.json", "utf-8"));
const { modelTopology, signature, userDefinedMetadata, weightsManifest } = topology;
const data = read(given.folder + "/weights.bin");
const weightData = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
const model = await tf.loadGraphModel(
  tf.io.fromMemory({ modelTopology, signature, userDefinedMetadata, weightSpecs, weightData }));
const outputs = model.predict(tf.tensor(given.squares, undefined, "float32"));
return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.arraySync()]));
"""


@needs_node
@pytest.mark.parametrize(("precision", "apart"), [("float32", 1e-4), ("float16", 0.05), ("uint8", 0.5)])
def test_tensorflow_js_gives_the_networks_outputs(web_exports: Path, precision: str, apart: float) -> None:
    """predict() of a batch returns boxes and logits by name, as the network computes them, each precision as near."""
    expected = np.load(web_exports / "outputs.npz")
    given = {"folder": str(web_exports / precision), "squares": expected["squares"].tolist()}
    outputs = run_scripts(runtime.SCRIPTS, PREDICT, given)
    assert set(outputs) == {"boxes", "logits"}
    for name, values in outputs.items():
        assert np.shape(values) == expected[name].shape
        np.testing.assert_allclose(values, expected[name], atol=apart)


def test_the_files_are_as_small_as_their_precision(web_exports: Path) -> None:
    """Weights of 16 bits take half of float32's bytes, those of 8 bits less; each file is as long as it says."""
    sizes = {name: (web_exports / name / "weights.bin").stat().st_size for name in ("float32", "float16", "uint8")}
    assert sizes["float16"] < 0.51 * sizes["float32"]
    assert sizes["uint8"] < 0.8 * sizes["float16"]
    widths = {"float32": 4, "int32": 4, "float16": 2, "uint8": 1}
    for name, size in sizes.items():
        (group,) = json.loads((web_exports / name / "model.json").read_text())["weightsManifest"]
        weights = group["weights"]
        stored = [one.get("quantization", one)["dtype"] for one in weights]
        assert size == sum(
            np.prod(one["shape"], dtype=int) * widths[kind] for one, kind in zip(weights, stored, strict=True)
        )
        assert name in stored


def test_operations_are_fused_and_known(web_exports: Path) -> None:
    """Batch norm, bias and activation are part of the convolutions, and nothing is kept that is unused."""
    nodes = json.loads((web_exports / "float32" / "model.json").read_text())["modelTopology"]["node"]
    operations = [node["op"] for node in nodes]
    assert {"_FusedConv2D", "FusedDepthwiseConv2dNative"} <= set(operations)
    assert not {"NoOp", "Shape", "BiasAdd"} & set(operations)
    assert sum("BatchNorm" in one for one in operations) <= 1  # of an output that two levels use
    used = {name.split(":")[0] for node in nodes for name in node.get("input", [])}
    assert {node["name"] for node in nodes if node["op"] == "Const"} <= used


def test_a_filter_that_two_convolutions_share_is_not_scaled_for_one() -> None:
    """Fusing multiplies a filter with what its outputs are multiplied with, unless it is another's filter too."""
    import tensorflow as tf

    from tfod_helpers.exporting.fusing import fuse

    def graph_of(kernels: int) -> dict[str, str]:
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 2], name="images")
            filters = [tf.constant(np.ones((3, 3, 2, 4), np.float32), name=f"filter{n}") for n in range(kernels)]
            for number in (0, 1):
                made = tf.nn.conv2d(images, filters[number % kernels], 1, "SAME") * tf.constant([2.0, 3.0, 4.0, 5.0])
                tf.identity(tf.nn.relu6(made + tf.constant([1.0, 2.0, 3.0, 4.0])), name=f"out{number}")
        fused = fuse(graph.as_graph_def())
        filters = [node for node in fused.node if node.name.startswith("filter")]
        values = {float(tf.make_ndarray(node.attr["value"].tensor)[0, 0, 0, 3]) for node in filters}
        return {"operations": sorted({node.op for node in fused.node}), "last": values}

    alone = ["Const", "Identity", "Placeholder", "_FusedConv2D"]
    assert graph_of(2) == {"operations": alone, "last": {5.0}}
    assert graph_of(1) == {"operations": sorted([*alone[:3], "AddV2", "Conv2D", "Mul", "Relu6"]), "last": {1.0}}


def test_an_operation_that_tensorflow_js_lacks_is_refused_by_its_name() -> None:
    """A network with an operation that no browser runs is refused before anything is written."""
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    from tfod_helpers.exporting import tfjs

    tfjs._check_operations(GraphDef(node=[NodeDef(name="a", op="Conv2D"), NodeDef(name="b", op="Swish6")][:1]))
    with pytest.raises(ValueError, match="no operation Swish6, which the network needs"):
        tfjs._check_operations(GraphDef(node=[NodeDef(name="a", op="Conv2D"), NodeDef(name="b", op="Swish6")]))
    with pytest.raises(ValueError, match="precision must be one of float32, float16, uint8, got 'int4'"):
        tfjs.check_precision("int4")


@needs_browser
def test_the_browser_detects_what_the_network_says(web_exports: Path) -> None:
    """Detector.load runs the export in a browser, and decodes as the network's own outputs are decoded."""
    from tfod_helpers.detector import ANCHORS, Detector, ExportFacts
    from tfod_helpers.detector.decoding import decode

    folder, expected = web_exports / "float32", np.load(web_exports / "outputs.npz")
    facts, anchors = ExportFacts.read(folder), np.load(folder / ANCHORS)
    truth = decode(expected["boxes"], expected["logits"], anchors, facts.image_size, facts.nms)
    for number, found in enumerate(Detector.load(folder).detect(expected["squares"], threshold=0.1)):
        scores = truth["scores"][number]
        assert len(found) == (scores >= 0.1).sum() > 0
        np.testing.assert_allclose(found.confidence, scores[: len(found)], atol=1e-3)
        np.testing.assert_allclose(found.xyxy, truth["boxes_xyxy"][number, : len(found)], atol=0.05)
        assert found.class_id.tolist() == truth["classes"][number, : len(found)].tolist()
