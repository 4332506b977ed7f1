"""The order in which a .tflite file's operators run: those of the CPU last, behind all that the Edge TPU computes.

The converter writes an operator where its inputs are ready, so what turns the boxes into float32 may stand amid the
convolutions of the scores. The compiler, which makes one part for the Edge TPU and goes by the order, would stop there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tfod_helpers.detector import tflite_file

_OPERATORS = 10  # SubGraph.operators in the schema, as flatc's accessor has it


def put_last(content: bytes, numbers: Iterable[int]) -> bytes:
    """Return a file in which some operators run last, in the order that they had.

    Only the vector of references to the operators changes, so what the file says beside them stays byte for byte.

    Args:
        content: of the file.
        numbers: of these operators, from 1; whatever needs their results must be among them.
    """
    graph = tflite_file.schema().Model.GetRootAs(content, 0).Subgraphs(0)._tab
    start = graph.Vector(graph.Offset(_OPERATORS))
    places = [start + 4 * number for number in range(graph.VectorLen(graph.Offset(_OPERATORS)))]
    targets = [place + struct.unpack_from("<I", content, place)[0] for place in places]  # a reference is relative
    last = {number - 1 for number in numbers}
    order = sorted(range(len(places)), key=lambda number: number in last)
    changed = bytearray(content)
    for place, number in zip(places, order, strict=True):
        struct.pack_into("<I", changed, place, targets[number] - place)
    return bytes(changed)
