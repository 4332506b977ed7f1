"""A ``.tflite`` file: its bytes, the schema that reads them, and the program that runs it; ai-edge-litert has both."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from tfod_helpers.files import storage, workers
from tfod_helpers.files.terminal import silent_stderr

MODEL = "model.tflite"  # in an export folder
IDENTIFIER = b"TFL3"  # of every such file


def content(tflite: bytes | str | os.PathLike[str]) -> tuple[str, bytes]:
    """Return what to call a ``.tflite`` file in messages, and its bytes.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: it is no ``.tflite`` file.
    """
    where = "these bytes" if isinstance(tflite, bytes) else storage.address(tflite)
    try:
        data = tflite if isinstance(tflite, bytes) else storage.read_bytes(tflite)
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{where}: this is a folder. Give the .tflite file in it.") from error
    if data[4:8] != IDENTIFIER:
        raise ValueError(
            f"{where}: no LiteRT (TensorFlow Lite) model: such a file has {IDENTIFIER!r} as its bytes 5 to 8, "
            f"this one {data[4:8]!r}. Give the .tflite file that an export wrote."
        )
    return where, data


def damaged(where: str, error: Exception) -> ValueError:
    """Return the error that says that a ``.tflite`` file is damaged."""
    return ValueError(
        f"{where}: a damaged LiteRT (TensorFlow Lite) model ({error}). Copy it again, or export the run again."
    )


def schema() -> ModuleType:
    """Return the classes that read and write such files.

    Raises:
        ImportError: ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    return schema_py_generated


def runner(**model: Any) -> Any:
    """Load a model; what it returns is called with its inputs by name, on all cores of the process.

    Args:
        **model: ``model_path`` or ``model_content``, as ai-edge-litert's ``Interpreter`` takes them.

    Raises:
        ImportError: ai-edge-litert is not installed.
        ValueError: the model is damaged.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    try:
        with silent_stderr():
            interpreter = Interpreter(**model, num_threads=workers.count(None))
            interpreter.allocate_tensors()  # now, since LiteRT writes what it computes with to the terminal here
            return interpreter.get_signature_runner()
    except (ValueError, RuntimeError, KeyError) as error:
        where = model.get("model_path", "these bytes")
        raise ValueError(f"{where}: the model in it cannot be loaded ({error}). Export the run again.") from error


def _not_installed(error: ModuleNotFoundError) -> ImportError:
    return ImportError(
        "A .tflite file is read and run by ai-edge-litert, which is not installed. Install it: pip install "
        "'tfod_helpers[tflite]'",
        name=error.name,
    )
