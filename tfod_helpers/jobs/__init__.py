"""A config and a run folder, given to machines that somebody else keeps: trained there, followed from here.

On each of those machines ``python -m tfod_helpers.training CONFIG RUN`` runs; the checkpoints are in the run folder, as
with a training on one machine.
"""
