"""Which batch sizes can be shared out evenly: every chip of every machine takes as many photos of each step."""

from __future__ import annotations


def fitting(batch_size: int, replicas: int) -> tuple[int, ...]:
    """Return the nearest batch sizes, at most one below and one above, that so many replicas can share.

    Args:
        batch_size: photos in a step, over all replicas.
        replicas: chips that take a part of each step, over all machines.
    """
    below = batch_size // replicas * replicas
    return (below,) * (below > 0) + ((below + replicas,) if below != batch_size else ())


def uneven(batch_size: int, replicas: int) -> str:
    """Return why a batch cannot be shared out, and which sizes can, as one sentence; empty where it can."""
    sizes = fitting(batch_size, replicas)
    if sizes == (batch_size,):
        return ""
    few = f"{batch_size} photos are fewer than the {replicas} replicas" if batch_size < replicas else ""
    what = few or f"{batch_size} photos cannot be shared out evenly over {replicas} replicas"
    return f"{what}; {' or '.join(map(str, sizes))} can"
