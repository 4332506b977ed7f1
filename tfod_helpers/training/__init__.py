"""An ExperimentConfig -> a run: checkpoints, the best model, a history.

The network, the losses and the optimizers are the Model Garden's; this package drives them, shows progress, evaluates
the model on the validation records as it goes, and keeps the best weights and the newest. A run that was stopped
resumes from its last checkpoint. Beside a training, `follow` judges each model that it keeps, from another process.
"""

from tfod_helpers.network.inputs import examples
from tfod_helpers.training.cross_validation import cross_validate
from tfod_helpers.training.detecting import detector, load_model
from tfod_helpers.training.events import show_tensorboard
from tfod_helpers.training.following import follow
from tfod_helpers.training.history import History
from tfod_helpers.training.machines import TAKEN_AWAY
from tfod_helpers.training.running import evaluate, start, train
from tfod_helpers.training.search import BatchTrial, RateTrial, find_batch_size, find_learning_rate

__all__ = [
    "TAKEN_AWAY",
    "BatchTrial",
    "History",
    "RateTrial",
    "cross_validate",
    "detector",
    "evaluate",
    "examples",
    "find_batch_size",
    "find_learning_rate",
    "follow",
    "load_model",
    "show_tensorboard",
    "start",
    "train",
]
