"""The process' standard error, for libraries that write to it by themselves."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Let nothing reach the process' standard error, not even from C++.

    TensorFlow's graph optimizer and LiteRT write notes there which no log level turns off, and which a reader takes
    for warnings. What goes wrong comes as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
