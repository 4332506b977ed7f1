"""The train step, compiled, and what it changes: a model, its optimizer, and the average of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import performance

from tfod_helpers import runtime
from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.network import inputs, model
from tfod_helpers.training import schedule
from tfod_helpers.training.machines import Machines


class BadLossError(Exception):
    """A loss that is NaN or infinite, or far above those before.

    Attributes:
        loss: the loss.
        step: after which step.
        images: the batch's images as the model saw them, with their boxes.
    """

    def __init__(self, loss: float, step: int, images: Dataset) -> None:
        """Keep what happened."""
        super().__init__(f"the loss is {loss} after step {step}")
        self.loss, self.step, self.images = loss, step, images


class Average(tf.Module):
    """The average of a model's weights over its last steps (Polyak & Juditsky 1992)."""

    def __init__(self, network: tf_keras.Model, decay: float) -> None:
        """Begin with the weights as they are.

        Args:
            network: whose weights are averaged; what of it is frozen is left out from the first step on.
            decay: below 1; the average is over about 1 / (1 - decay) steps.
        """
        super().__init__()
        self._network, self._decay = network, decay
        self._weights = list(network.weights)
        self.values = [tf.Variable(weight, trainable=False, name="average") for weight in self._weights]

    def reset(self) -> None:
        """Begin anew with the weights as they are now."""
        for value, weight in zip(self.values, self._weights, strict=True):
            value.assign(weight)

    def update(self, step: tf.Tensor) -> None:
        """Let the average follow the weights; at first quickly, so that it forgets where they began."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        frozen = {id(w) for layer in self._network.backbone.layers if not layer.trainable for w in layer.weights}
        strategy = tf.distribute.get_strategy()
        for value, weight in zip(self.values, self._weights, strict=True):
            if id(weight) not in frozen:
                follow = lambda value, weight: value.assign_sub((1 - decay) * (value - weight))  # noqa: E731
                strategy.extended.update(value, follow, args=(weight,))


class Steps:
    """A model under training. Make it within the strategy's scope.

    Attributes:
        model: the network that is trained, in the precision that is set.
        eval_model: the same network in float32, as it will be exported; `fill_eval_model` fills it.
        optimizer: what changes the weights.
        rate: its learning rate.
        average: of the weights, or None.
        planned: how many steps there are to be, and `batch` of how many images: what a step number means.
        checkpoint: all that is needed to resume.
    """

    def __init__(self, config: ExperimentConfig, *, rate: Any = None) -> None:
        """Build model and optimizer.

        Args:
            config: the settings.
            rate: a learning rate other than the config's.
        """
        self.config, self.strategy = config, tf.distribute.get_strategy()
        kind = tf_keras.mixed_precision.global_policy().name.removeprefix("mixed_")
        self.task = model.task_of(config)
        self.model = model.build_model(config)
        self.rate = schedule.learning_rate(config) if rate is None else rate
        self.optimizer = schedule.optimizer(config, self.rate, kind)
        decay = config.trainer.average_decay
        self.average = Average(self.model, decay) if decay else None
        with precision("float32"):
            self.eval_model = model.build_model(config)
        # Pairs are made now, since what is frozen later changes its place among the weights.
        values = self.average.values if self.average else self.model.weights
        self._copies = list(zip(self.eval_model.weights, values, strict=True))
        self._metrics = self.task.build_metrics(training=True)
        average = {"average": self.average} if self.average else {}
        number = lambda value, name: tf.Variable(value, trainable=False, dtype=tf.int64, name=name)  # noqa: E731
        self.planned = number(config.trainer.train_steps, "planned_steps")
        self.batch = number(config.task.train_data.global_batch_size, "batch_size")
        # Not what scales losses for float16: the next machine may have no need of it.
        self._plain = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        self.checkpoint = tf.train.Checkpoint(
            model=self.model, optimizer=self._plain, planned=self.planned, batch=self.batch, **average
        )
        # Of several machines each makes a variable at the same time as all others; one alone will save and restore.
        _ = self._plain.iterations, self.checkpoint.save_counter
        self._batches: Any = None
        self._run = tf.function(self._run_steps)

    @property
    def done(self) -> int:
        """Steps that were made."""
        return int(self.optimizer.iterations.numpy())

    def prepare(self, machines: Machines) -> None:
        """Make on all machines what a checkpoint fills on the first: to restore what is not there would make it there.

        What is frozen has to be so by now.
        """
        if machines.count > 1:
            self._make_slots()

    def share(self, machines: Machines) -> None:
        """Let all machines begin with what the first one has restored or loaded; what is frozen has to be so by now."""
        if machines.count > 1:
            self._make_slots()
            values = self.average.values if self.average else []
            machines.copy([*self.model.weights, *self._plain.weights, self.planned, self.batch, *values])

    def settle(self, machines: Machines) -> None:
        """Average what each device counts by itself, the statistics of batch norms, before it is read or saved."""
        alone = tf.VariableSynchronization.ON_READ
        machines.average([weight for weight in self.model.weights if weight.synchronization == alone])
        if self.average:
            pairs = zip(self.model.weights, self.average.values, strict=True)
            machines.average([value for weight, value in pairs if weight.synchronization == alone])

    def run(self, count: int, limit: float = np.inf) -> dict[str, float]:
        """Make some steps, and return the means of their losses: ``loss``, and its parts.

        Args:
            count: steps to make.
            limit: a loss above it ends them.

        Raises:
            BadLossError: a loss is NaN, infinite or above the limit.
            tf.errors.ResourceExhaustedError: the batch does not fit into memory.
        """
        if self._batches is None:
            self._batches = self._next_batches()
            self._make_slots()
        loss, batch = self._run(tf.constant(count), tf.constant(limit, tf.float32))
        if not loss <= limit or not np.isfinite(loss):
            raise BadLossError(float(loss), self.done, self._to_dataset(batch))
        means = {metric.name: float(metric.result()) for metric in self._metrics}
        for metric in self._metrics:
            metric.reset_state()
        return {
            "loss": means.pop("total_loss"),
            **{name: value for name, value in means.items() if name != "model_loss"},
        }

    def fill_eval_model(self) -> None:
        """Give `eval_model` the average of the weights over the last steps: better than the weights of any of them."""
        for weight, value in self._copies:
            weight.assign(value)

    def _make_slots(self) -> None:
        """Make what the optimizer keeps of each weight: made within the first step, that would be traced twice."""
        with self.strategy.scope():
            self.optimizer._create_all_weights(self.model.trainable_variables)

    def _next_batches(self) -> Any:
        """Return the next batches, on resume in another order: a run that is often cut off would see the same ones."""
        done = self.done
        if done:
            tf_keras.utils.set_random_seed((self.config.task.train_data.seed or 0) + done)
        make = lambda context: inputs.train_batches(self.config.task, context, begun=done)  # noqa: E731
        return iter(self.strategy.distribute_datasets_from_function(make))

    def _run_steps(self, count: tf.Tensor, limit: tf.Tensor) -> tuple[tf.Tensor, Any]:
        batch, loss = next(self._batches), tf.constant(0.0)
        for number in tf.range(count):  # the step stands here once, since tracing it takes ten seconds
            loss = self._one(batch)
            # Not "not loss <= limit": TensorFlow turns that into loss > limit, which NaN is not.
            if loss > limit or not tf.math.is_finite(loss):
                break
            if number + 1 < count:
                batch = next(self._batches)
        return loss, batch

    def _one(self, batch: Any) -> tf.Tensor:
        # Keras has made TensorFlow's branches of Python's when the network was built; looking through the code of all
        # layers again takes half of the tracing.
        @tf.autograph.experimental.do_not_convert
        def step(images_and_labels: Any) -> tf.Tensor:
            logs = self.task.train_step(images_and_labels, self.model, self.optimizer, self._metrics)
            return tf.cast(logs[self.task.loss], tf.float32)

        losses = self.strategy.run(step, args=(batch,))
        if self.average:
            self.average.update(self.optimizer.iterations)
        return self.strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    def _to_dataset(self, batch: Any) -> Dataset:
        """Return the images of a batch, those of other machines too."""
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            batch = tf.nest.map_structure(lambda one: self.strategy.gather(one, axis=0), (batch[0], batch[1]["seen"]))
            batch = batch[0], {"seen": batch[1]}
        images, labels = batch
        parts = zip(
            self.strategy.experimental_local_results(images),
            *(self.strategy.experimental_local_results(labels["seen"][name]) for name in labels["seen"]),
            strict=True,
        )
        pixels, seen = [], []
        for part, *values in parts:
            pixels.append(part.numpy())
            named = dict(zip(labels["seen"], values, strict=True))
            seen += [{name: value[number] for name, value in named.items()} for number in range(len(part))]
        return inputs.to_dataset(np.concatenate(pixels), seen, self.config.task)


def smaller_batch(config: ExperimentConfig) -> str:
    """Return what to do where a batch of a config does not fit into memory."""
    half = max(1, config.task.train_data.global_batch_size // 2)
    return (
        f"Use batch_size={half} in experiment.make; learning rate and steps follow by themselves. Or let "
        f"training.find_batch_size(config) try which one fits, use a smaller image_size, or a smaller preset."
    )


def precision_of(config: ExperimentConfig, strategy: tf.distribute.Strategy) -> str:
    """Return the numbers that a config's model computes in: ``float32``, ``bfloat16`` or ``float16``."""
    return config.runtime.mixed_precision_dtype or runtime.best_precision(strategy)


@contextlib.contextmanager
def scope(config: ExperimentConfig, strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Let models that are built meanwhile belong to a strategy and compute in the config's precision."""
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    one_reads = tf.variable_creator_scope(_read_alone) if several else contextlib.nullcontext()
    with strategy.scope(), one_reads, precision(precision_of(config, strategy)):
        yield


def _read_alone(create: Callable[..., tf.Variable], **settings: Any) -> tf.Variable:
    """Make a variable that a machine reads without the others, so that one can save and each detects by itself.

    What each device keeps by itself, the statistics of batch norms, TensorFlow would average over all machines whenever
    one reads it, and wait for them; `Steps.settle` averages it when all are there.
    """
    kept = tf.VariableSynchronization.ON_READ, tf.VariableAggregation.MEAN
    if (settings.get("synchronization"), settings.get("aggregation")) == kept:
        settings["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return create(**settings)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Let models that are built meanwhile compute in ``bfloat16`` or ``float16``, and keep weights in float32."""
    before = tf_keras.mixed_precision.global_policy()
    performance.set_mixed_precision_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
