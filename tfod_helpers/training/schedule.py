"""Learning rates by step, and the optimizer that follows them."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import optimization, performance

from tfod_helpers.experiment import ExperimentConfig


class WarmupCosine(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A rise in a line to the highest rate, then a fall along half a cosine to zero (Loshchilov & Hutter 2017).

    The same as the Model Garden's, but that the last step can be moved while training is under way.
    """

    def __init__(self, highest: float, warmup_steps: int, steps: int) -> None:
        """Make a schedule.

        Args:
            highest: the rate after the warm-up.
            warmup_steps: over which it rises from zero.
            steps: the step at which it is zero again.
        """
        super().__init__()
        self.highest, self.warmup_steps = highest, warmup_steps
        self.steps = tf.Variable(steps, trainable=False, dtype=tf.int64, name="schedule_steps")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a step, counted from 0."""
        step, steps = tf.cast(step, tf.float32), tf.cast(self.steps, tf.float32)
        rising = self.highest * step / max(self.warmup_steps, 1)
        falling = self.highest * 0.5 * (1 + tf.cos(math.pi * tf.minimum(step / steps, 1.0)))
        return tf.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return what the schedule was made of."""
        return {"highest": self.highest, "warmup_steps": self.warmup_steps, "steps": int(self.steps.numpy())}


def learning_rate(config: ExperimentConfig) -> tf_keras.optimizers.schedules.LearningRateSchedule | float:
    """Return the learning rate of a config; one of another kind than warm-up and cosine is the Model Garden's own."""
    settings = config.trainer.optimizer_config
    if settings.learning_rate.type != "cosine" or settings.warmup.type != "linear":
        if config.trainer.minutes:
            kind = settings.learning_rate.type
            raise ValueError(
                f"trainer.minutes needs the learning rate to be of the type 'cosine' with a 'linear' warm-up, got "
                f"{kind!r}: only those can be fitted to another number of steps. Leave one of the two out."
            )
        return optimization.OptimizerFactory(settings).build_learning_rate()
    cosine = settings.learning_rate.cosine
    return WarmupCosine(cosine.initial_learning_rate, settings.warmup.linear.warmup_steps, cosine.decay_steps)


def optimizer(config: ExperimentConfig, rate: Any, precision: str) -> tf_keras.optimizers.Optimizer:
    """Return the config's optimizer.

    Args:
        config: names it.
        rate: a number, a variable or a schedule.
        precision: ``float16`` needs its losses scaled, so that small gradients do not become zero.
    """
    made = optimization.OptimizerFactory(config.trainer.optimizer_config).build_optimizer(rate)
    return performance.configure_optimizer(made, use_float16=precision == "float16")
