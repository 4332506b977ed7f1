"""The Edge TPU: the report is what Coral documents, the file's order suits the compiler, and its log is understood."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_training import Small, Trained
from tflite_files import TfliteFile

from tfod_helpers.exporting import edge_tpu
from tfod_helpers.exporting.edge_tpu import compiling, ordering, rules
from tfod_helpers.presets import PRESETS

# As edgetpu_compiler 16 printed it of an EfficientDet, shortened; the table is what its log file holds.
TABLE = """
Operator                       Count      Status

ADD                            42         Mapped to Edge TPU
CUSTOM                         1          Operation is working on an unsupported data type
RESIZE_NEAREST_NEIGHBOR        12         Mapped to Edge TPU
DEQUANTIZE                     2          Operation is working on an unsupported data type
"""
COMPILER = f"""#!/bin/sh
while [ $# -gt 1 ]; do
  [ "$1" = --out_dir ] && out=$2
  shift
done
name=$(basename "$1" .tflite)
echo "Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1524 ms.

Input model: $1
Input size: 4.24MiB
Output model: $out/${{name}}_edgetpu.tflite
Output size: 5.57MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 3.29MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: $out/${{name}}_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 54
Number of operations that will run on CPU: 3
{TABLE}
Compilation succeeded!"
cp "$1" "$out/${{name}}_edgetpu.tflite"
echo "Edge TPU Compiler version 16.0.384591198
Input: $1
{TABLE}" > "$out/${{name}}_edgetpu.log"
"""
FAILING = """#!/bin/sh
echo "Edge TPU Compiler version 16.0.384591198"
echo "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'." >&2
echo "ERROR: Registration failed." >&2
exit 1
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Photo -> convolution -> two branches; one becomes float32 amid the other's operators."""
    file = TfliteFile()
    photo, weights = file.tensor((1, 8, 8, 3)), file.tensor((16, 3, 3, 3), values=np.ones((16, 3, 3, 3), np.int8))
    features, boxes, floats = file.tensor((1, 4, 4, 16)), file.tensor((1, 16, 16)), file.tensor((1, 16, 16), "FLOAT32")
    shape = file.tensor((3,), "INT32", np.array([1, 16, 16], np.int32))
    depthwise = file.tensor((1, 3, 3, 16), values=np.ones((1, 3, 3, 16), np.int8))
    scores = file.tensor((1, 4, 4, 16))
    file.operator("CONV_2D", (photo, weights), features, version=3, Conv2DOptions={})
    file.operator("RESHAPE", (features, shape), boxes)
    file.operator("DEQUANTIZE", (boxes,), floats, version=2)
    file.operator("DEPTHWISE_CONV_2D", (features, depthwise), scores, version=3, DepthwiseConv2DOptions={})
    return file.write(tmp_path / "model.tflite", (photo,), (floats, scores))


def put_in_path(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let a script be the only edgetpu_compiler."""
    folder.mkdir()
    (folder / compiling.COMPILER).write_text(script)
    (folder / compiling.COMPILER).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_report_names_the_first_operator_of_the_cpu_and_what_comes_before(network: Path) -> None:
    """Multiplications are counted by hand here; what does not need the CPU's results is told apart."""
    found = edge_tpu.report(network)
    first = found.first_on_cpu
    assert first is not None
    assert (first.operator.number, first.operator.name) == (3, "DEQUANTIZE")
    convolution, depthwise = 4 * 4 * 16 * 3 * 3 * 3, 4 * 4 * 16 * 3 * 3
    assert list(found.table["macs"]) == [convolution, 0, 0, depthwise]
    assert found.documented == 2
    assert found.documented_macs == pytest.approx(convolution / (convolution + depthwise))
    assert list(found.table["status"]) == ["in the table", "the compiler decides", "CPU", "in the table"]
    said = str(found)
    assert "Before the CPU begins: 2 of 4 operators, 75.0% of the multiplications" in said
    assert "1 operators after it, 25.0% of the multiplications, do not need its result" in said
    assert "Only the compiler decides about 1 RESHAPE" in said
    assert "edgetpu_compiler --show_operations model.tflite" in said
    assert "only edgetpu_compiler knows" in said
    assert "will run" not in said


def test_what_the_cpu_computes_is_put_last_and_nothing_else_changes(network: Path) -> None:
    """The order of operators changes, and no other byte; the new order is counted as the compiler counts."""
    before = network.read_bytes()
    after = edge_tpu.for_compiler(before)
    network.write_bytes(after)
    found = edge_tpu.report(network)
    assert list(found.table["operator"]) == ["CONV_2D", "RESHAPE", "DEPTHWISE_CONV_2D", "DEQUANTIZE"]
    assert (found.documented, found.documented_macs) == (3, 1.0)
    assert "which is no more than the end of it" in str(found)
    assert len(after) == len(before)
    assert sum(old != new for old, new in zip(before, after, strict=True)) <= 2 * 4  # two references


def test_a_file_in_another_order_computes_the_same(tmp_path: Path) -> None:
    """LiteRT runs it, and what an operator takes is there before it."""
    from ai_edge_litert.interpreter import Interpreter

    file = TfliteFile()
    photo, lower, upper, twice = (file.tensor((4,), "FLOAT32") for _ in range(4))
    file.operator("RELU", (photo,), lower)
    file.operator("ADD", (lower, photo), twice, AddOptions={})
    file.operator("RELU6", (photo,), upper)
    path = file.write(tmp_path / "model.tflite", (photo,), (twice, upper))
    changed = tmp_path / "changed.tflite"
    changed.write_bytes(ordering.put_last(path.read_bytes(), [1, 2]))
    assert list(edge_tpu.report(changed).table["operator"]) == ["RELU6", "RELU", "ADD"]
    results = []
    for one in (path, changed):
        interpreter = Interpreter(str(one))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32([-1, 2, 7, 0]))
        interpreter.invoke()
        results.append([interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], [[-1, 4, 14, 0], [0, 2, 6, 0]])


def test_an_activation_that_the_chip_lacks_is_named_with_the_preset_to_take(tmp_path: Path) -> None:
    """HARD_SWISH, as in MobileNetV3: how many there are, what is behind them, and a preset that has none."""
    file = TfliteFile()
    tensors = [file.tensor((1, 4, 4, 8)) for _ in range(4)]
    file.operator("HARD_SWISH", tensors[0:1], tensors[1])
    file.operator("RELU6", tensors[1:2], tensors[2])
    file.operator("HARD_SWISH", tensors[2:3], tensors[3])
    found = edge_tpu.report(file.write(tmp_path / "model.tflite", tensors[:1], tensors[3:]))
    assert list(found.table["status"]) == ["CPU", "behind the CPU", "CPU"]
    assert "2 HARD_SWISH. Why: it is not in the table of operators." in str(found)
    assert found.documented_macs == 0
    named = [name for name in PRESETS if f"'{name}'" in rules.instead("HARD_SWISH")]
    assert {PRESETS[name].model_id for name in named} == {"MobileNetV2", "MobileNetMultiAVG"}
    assert {PRESETS[name].activation for name in named} == {"relu6"}


@pytest.mark.parametrize(
    ("name", "shapes", "options", "why"),
    [
        ("ADD", [(1, 4, 4, 8), (1, 4, 4, 8)], {"kind": "FLOAT32"}, "it computes in float32, not in int8"),
        ("ADD", [(1, 4, 4, 8), (1, 4, 4, 8)], {"kind": "INT16"}, "it computes in int16, not in int8"),
        ("RESHAPE", [(1, 2, 2, 4, 2, 8)], {}, r"int8 \(1, 2, 2, 4, 2, 8\) has more than 3 dimensions above 1"),
        ("RELU", [(1, 4, 4, 8)], {"signature": (-1, 4, 4, 8)}, "its shape is not constant"),
        ("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 4, 8)], {"version": 3}, "its version is 3, and the compiler is reported"),
        ("MAX_POOL_2D", [(1, 4, 4, 8)], {"Pool2DOptions": {"fusedActivationFunction": 1}}, "a fused activation"),
        ("CONV_2D", [(1, 4, 4, 8), (8, 1, 1, 8)], {"Conv2DOptions": {}}, "its weights are not constant"),
        ("SOFTMAX", [(1, 16001)], {}, "it takes int8"),
        ("SOFTMAX", [(9, 10)], {}, "more than one dimension"),
        ("PACK", [(4, 8), (4, 8)], {"PackOptions": {"axis": 0}}, "it works along the batch"),
        ("TILE", [(1, 4, 4, 8)], {}, "it is not in the table"),
    ],
)
def test_each_documented_limit_is_held_against_the_file(
    tmp_path: Path, name: str, shapes: list[tuple[int, ...]], options: dict[str, object], why: str
) -> None:
    """Types, ranks, versions and options that Coral's table excludes are the CPU's, each with its reason."""
    file = TfliteFile()
    kind, signature = options.pop("kind", "INT8"), options.pop("signature", None)
    inputs = [file.tensor(shape, kind, signature=signature) for shape in shapes]
    output = file.tensor(shapes[0], kind)
    file.operator(name, inputs, output, **options)
    [finding] = edge_tpu.report(file.write(tmp_path / "model.tflite", inputs, (output,))).findings
    assert finding.status == "CPU"
    assert re.search(why, finding.why)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("PAD", [[0, 1], [0, 0], [0, 0], [0, 0]], "it pads the batch"),
        ("PAD", [[0, 0], [1, 1], [1, 1], [0, 0]], ""),
        ("MEAN", [1, 2], ""),
        ("MEAN", [0], "it works along the batch"),
        ("MEAN", [-1], "it takes the mean of 6 channels"),
    ],
)
def test_limits_that_lie_in_a_constant(tmp_path: Path, name: str, values: list[object], why: str) -> None:
    """Axes and paddings are read from the file; those that are allowed are in the table."""
    file = TfliteFile()
    photo, output = file.tensor((1, 4, 4, 6)), file.tensor((1, 4, 4, 6))
    constant = file.tensor(np.shape(values), "INT32", np.array(values, np.int32))
    file.operator(name, (photo, constant), output)
    [finding] = edge_tpu.report(file.write(tmp_path / "model.tflite", (photo,), (output,))).findings
    assert (finding.status, finding.why) == (("CPU", why) if why else ("in the table", ""))


def test_a_float_input_is_turned_into_int8_by_the_cpu_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Coral documents it so: the first QUANTIZE does not end what the Edge TPU computes."""
    file = TfliteFile()
    photo, quantized, output = file.tensor((1, 4), "FLOAT32"), file.tensor((1, 4)), file.tensor((1, 4))
    file.operator("QUANTIZE", (photo,), quantized)
    file.operator("RELU", (quantized,), output)
    found = edge_tpu.report(file.write(tmp_path / "model.tflite", (photo,), (output,)))
    assert list(found.table["status"]) == ["CPU", "in the table"]
    assert found.first_on_cpu is None
    assert "The CPU turns the float input into int8 first." in str(found)


def test_the_report_is_written_to_be_read_and_to_be_computed_with(network: Path, tmp_path: Path) -> None:
    """edge_tpu.md holds all words and a row an operator; edge_tpu.json the same numbers."""
    found = edge_tpu.report(network)
    found.write(tmp_path)
    text = (tmp_path / "edge_tpu.md").read_text()
    assert all(line in text for line in str(found).splitlines())
    assert "| 4 | DEPTHWISE_CONV_2D | 3 | int8 | 4 | 1x4x4x16 | 2304 | in the table |  |" in text
    facts = json.loads((tmp_path / "edge_tpu.json").read_text())
    assert (facts["operators_before_cpu"], facts["first_on_cpu"]["operator"]) == (2, "DEQUANTIZE")
    assert len(facts["operators"]) == 4
    assert facts["compilation"] is None


def test_the_compiler_is_run_where_it_is_and_its_log_is_read(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it mapped, what it left and why, and the memory; its file lies beside."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert compiling.compile_there(network) is None
    put_in_path(monkeypatch, tmp_path / "bin", COMPILER)
    done = compiling.compile_there(network)
    assert done is not None
    assert (done.version, done.file, done.mapped, done.operators) == (
        "16.0.384591198",
        "model_edgetpu.tflite",
        54,
        57,
    )
    assert done.memory == {"On-chip used": "4.21MiB", "On-chip remaining": "3.29MiB", "Off-chip used": "0.00B"}
    assert ("CUSTOM", 1, "Operation is working on an unsupported data type") in done.rows
    assert "mapped 54 of 57 operators" in str(done)
    assert "1 CUSTOM (Operation is working on an unsupported data type)" in str(done)
    assert (network.parent / done.file).is_file()


def test_a_compiler_that_fails_is_quoted(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words come back, and the command to try again stays in the report."""
    put_in_path(monkeypatch, tmp_path / "bin", FAILING)
    done = compiling.compile_there(network)
    assert done is not None
    assert not done.file
    assert "made no file: ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. ERROR: Registration" in str(
        done
    )


def test_a_file_that_is_none_is_said_in_words(network: Path, tmp_path: Path) -> None:
    """Missing, a folder, another format, cut off anywhere or with odd bytes: an error with what to do, or a report."""
    with pytest.raises(FileNotFoundError, match=r"missing\.tflite"):
        edge_tpu.report(tmp_path / "missing.tflite")
    with pytest.raises(IsADirectoryError, match=r"this is a folder\. Give the \.tflite file in it"):
        edge_tpu.report(tmp_path)
    other = tmp_path / "other.tflite"
    other.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(ValueError, match=r"no LiteRT \(TensorFlow Lite\) model"):
        edge_tpu.report(other)


def test_a_damaged_file_is_said_to_be_or_reported(network: Path) -> None:
    """Cut off anywhere, or with an odd byte anywhere: an error in words, or a report, and never anything else."""
    content, random = network.read_bytes(), np.random.default_rng(0)
    outcomes = []
    for number in range(100):
        changed = bytearray(content)
        if number % 2:
            del changed[random.integers(8, len(content)) :]
        else:
            changed[random.integers(8, len(content))] = random.integers(256)
        network.write_bytes(changed)
        try:
            outcomes.append(str(edge_tpu.report(network)))
        except ValueError as error:
            outcomes.append(str(error))
    damaged = sum("model.tflite: a damaged LiteRT (TensorFlow Lite) model" in said for said in outcomes)
    assert damaged > 25
    assert damaged + sum("on the Edge TPU, by Coral's table" in said for said in outcomes) == len(outcomes)


@pytest.mark.tensorflow
def test_a_runs_export_is_int8_up_to_its_end_and_detects(
    trained: Trained, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """uint8 in; before the post-processing no operator is the CPU's; the compiler's file is whole in the folder."""
    from tfod_helpers.detector import Detector

    put_in_path(monkeypatch, tmp_path / "bin", COMPILER)
    folder = edge_tpu.export(trained.run, tmp_path / "export")
    found = edge_tpu.report(folder / "model.tflite")
    assert found.model.inputs[0].dtype == "UINT8"
    assert found.documented_macs == 1.0
    assert {one.operator.name for one in found.findings[found.documented :]} == {
        "DEQUANTIZE",
        "TFLite_Detection_PostProcess",
    }
    assert "mapped 54 of 57 operators" in capsys.readouterr().out
    assert {"model_edgetpu.tflite", "edge_tpu.md", "edge_tpu.json"} <= {path.name for path in folder.iterdir()}
    detector = Detector.load(folder)
    assert all(len(detector.detect(image.path, threshold=0.0)) > 0 for image in small.dataset)


def test_without_ai_edge_litert_the_report_says_what_to_install(network: Path) -> None:
    """The module imports, and reading a file ends in the command that installs what is missing."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['ai_edge_litert', 'flatbuffers'])\n"
        "from tfod_helpers.exporting import edge_tpu\n"
        "try: edge_tpu.report(sys.argv[1])\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(network)], capture_output=True, text=True)
    assert "Install it: pip install 'tfod_helpers[tflite]'" in done.stdout, done.stderr
