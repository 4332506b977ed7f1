"""A config and a run folder, given to machines that somebody else keeps: trained there, followed from here.

On each of those machines `training.train` runs, on Vertex AI and with SkyPilot as ``python -m tfod_helpers.training
CONFIG RUN``; the checkpoints are in the run folder, as with a training on one machine.

* `vertex` plans a job of Vertex AI; the plan says how many machine-hours are paid for at most, and ``submit`` sends it.
* `find` finds the job of Vertex AI of a run folder again.
* `ray` trains on machines that Ray keeps, a laptop's processes or a cluster's nodes, and waits for the end.
* `skypilot` writes a task file for SkyPilot, which rents machines of other clouds too.
"""

from tfod_helpers.jobs.ray_train import ray
from tfod_helpers.jobs.skypilot_task import skypilot
from tfod_helpers.jobs.vertex_ai import vertex
from tfod_helpers.jobs.vertex_job import VertexJob, find
from tfod_helpers.jobs.vertex_plan import JobError, VertexPlan

__all__ = ["JobError", "VertexJob", "VertexPlan", "find", "ray", "skypilot", "vertex"]
