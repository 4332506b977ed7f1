"""One machine of a SkyPilot task: what SkyPilot says of it becomes TF_CONFIG, and the training begins.

Run as ``python -m tfod_helpers.jobs.skypilot_node CONFIG RUN``, as `skypilot_task` writes it into the task file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from tfod_helpers.jobs.command import COMMAND

# https://docs.skypilot.co/en/latest/running-jobs/environment-variables.html
_ADDRESSES, _RANK = "SKYPILOT_NODE_IPS", "SKYPILOT_NODE_RANK"
_PORT = 2222


def tf_config(environment: Mapping[str, str]) -> str | None:
    """Return TF_CONFIG as SkyPilot's variables say it: the first machine is the chief; None where one machine trains.

    Args:
        environment: with SKYPILOT_NODE_IPS, an address a line, and SKYPILOT_NODE_RANK, from 0.

    Raises:
        ValueError: they are missing, or do not fit each other.
    """
    addresses = environment.get(_ADDRESSES, "").split()
    rank = environment.get(_RANK, "")
    if not addresses or not rank.isdigit() or int(rank) >= len(addresses):
        found = f"{_ADDRESSES}={' '.join(addresses)!r} and {_RANK}={rank!r}"
        raise ValueError(f"{found}: SkyPilot sets both on its machines. Start this with: sky jobs launch FILE.")
    if len(addresses) == 1:
        return None
    chief, *workers = [f"{address}:{_PORT}" for address in addresses]
    task = {"type": "worker", "index": int(rank) - 1} if int(rank) else {"type": "chief", "index": 0}
    return json.dumps({"cluster": {"chief": [chief], "worker": workers}, "task": task})


def main(given: Sequence[str]) -> None:
    """Become the training of this machine, with the arguments of ``python -m tfod_helpers.training``."""
    try:
        found = tf_config(os.environ)
    except ValueError as error:
        sys.exit(f"{error}")
    if found:
        os.environ["TF_CONFIG"] = found
    os.execv(sys.executable, [sys.executable, *COMMAND[1:], *given])  # it hears the signals itself then


if __name__ == "__main__":
    main(sys.argv[1:])
