"""A run -> an export folder that another program runs, one kind of export a module; and what each export is worth.

`certify` judges exports on the same photos as the run. It needs no more than they need themselves; the modules that
export need TensorFlow.
"""

from tfod_helpers.exporting.certificate import Certificate, certify

__all__ = ["Certificate", "certify"]
