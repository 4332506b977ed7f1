"""What this machine is -> a `tf.distribute` strategy, and a sentence about why.

* `connecting` chooses: several machines, a TPU, GPUs, or the CPU; it refuses versions that are known not to work.
* `tpu`, `gpu` and `cluster` each look for one of these, and say what stands in the way.
* `computing` proves that a device computes, and lets nothing hang.
"""

from tfod_helpers.runtime.connecting import Connection, best_precision, check_versions, connect

__all__ = ["Connection", "best_precision", "check_versions", "connect"]
