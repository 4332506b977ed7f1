"""What reaches the terminal: silence, for libraries that write to standard error by themselves, and a banner."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence


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


@contextlib.contextmanager
def silent_log(name: str, least: int) -> Iterator[None]:
    """Let a library's log say only what is of some level at least."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(least)
    try:
        yield
    finally:
        log.setLevel(before)


def shout(lines: Sequence[str]) -> None:
    """Print lines as a banner, which nobody overlooks.

    It is open on the right: a URL or a path may be longer than a notebook is wide, and has to be copied whole.
    """
    rule = "#" * 96
    print("\n".join([rule, *(f"##  {line}" for line in lines), rule]), flush=True)
