"""What this machine is -> a `tf.distribute` strategy, and a sentence about why.

* `connecting` chooses: several machines, a TPU, GPUs, or the CPU.
* `tpu`, `gpu` and `cluster` each look for one of these, and say what stands in the way.
* `versions` refuses what is known not to work; `waiting` lets nothing hang.
"""

from tfod_helpers.runtime.connecting import Connection, best_precision, connect
from tfod_helpers.runtime.versions import check_versions

__all__ = ["Connection", "best_precision", "check_versions", "connect"]
