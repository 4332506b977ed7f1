"""The list of who may do what with a bucket: read, changed and written back, with nobody else's change lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from tfod_helpers.files.storage.client import client
from tfod_helpers.files.storage.refusals import message

Binding = dict[str, Any]  # "role", "members" (a set), and "condition" where there is one
_TRIES = 6
_FIRST_WAIT = 0.25  # seconds, doubled each time


def read(name: str) -> list[Binding]:
    """Return the bindings of a bucket's policy, those with conditions too (version 3)."""
    return client().bucket(name).get_iam_policy(requested_policy_version=3).bindings


def change(name: str, edit: Callable[[list[Binding]], bool]) -> bool:
    """Change a bucket's policy; again from the start where somebody else changed it in the meantime.

    Args:
        name: the bucket.
        edit: changes the bindings in place, and returns whether it did.

    Returns:
        Whether anything was changed.
    """
    from google.api_core import exceptions as api

    bucket = client().bucket(name)
    for turn in range(_TRIES):
        policy = bucket.get_iam_policy(requested_policy_version=3)
        if not edit(policy.bindings):
            return False
        try:
            bucket.set_iam_policy(policy)  # with the etag and the version of what was read
        except (api.PreconditionFailed, api.Conflict) as error:
            if turn == _TRIES - 1 or not _is_race(error):
                raise
            time.sleep(_FIRST_WAIT * 2**turn * random.random())
        else:
            return True
    raise AssertionError("the last turn returns or raises")


def _is_race(error: Exception) -> bool:
    """Whether the policy was changed by somebody else; an organisation's veto has the same number, 412."""
    return getattr(error, "code", None) == 409 or "precondition" in message(error).lower().replace("-", "")
