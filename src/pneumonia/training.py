"""Fitting one model: one-cycle schedule, every epoch kept.

The model is that of the last epoch, where the learning rate has come down to 0: choosing the epoch
by its validation loss gave a worse one under shift (docs/model.md).
After each epoch the weights, the optimizer and the curves are on disk under `work`; an interrupted
training goes on from there and ends with the same bytes as an uninterrupted one.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from pneumonia.batches import EpochCopies
from pneumonia.crossfit import Crossed
from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.predictor import open_members, predict_unseen
from pneumonia.files import atomic, write_csv
from pneumonia.model import build_model
from pneumonia.params import ModelParams, TrainParams
from pneumonia.progress import announce

WARM_UP_SHARE = 0.2
CLIP = 1e-7  # of probabilities, as Keras does for the loss of the training images
READINGS = ("cnn_logits", "hog_logits")
FIGURES = ("loss", "accuracy", "auc")
WEIGHTS, STATE = "{:03d}.weights.h5", "state-{:03d}.weights.h5"
Logs = dict[str, float] | None
Judge = Callable[[], dict[str, float]]
Report = Callable[[pd.DataFrame], None]


def open_logits(model: keras.Model) -> keras.Model:
    """The same model with what its M members' R readings say as an output: logits (N, M, R).

    It takes images (N, H, W, 1) of the size that the model resizes others to: training spares that.
    """
    readings = [layer.output for layer in model.layers if layer.name in READINGS]
    outputs = {"logits": keras.ops.stack(readings, axis=-1), "probability": model.outputs[0]}
    return keras.Model(model.get_layer("resize").output, outputs, name=model.name)


def lose(targets: Any, logits: Any, label_smoothing: float) -> Any:
    """Cross-entropy in nats (N, M), for targets (N, M, 1) and logits (N, M, R): each for itself."""
    wanted = keras.ops.broadcast_to(targets, keras.ops.shape(logits))
    return keras.losses.binary_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=label_smoothing
    )


class LeanAdamW(keras.optimizers.AdamW):
    """AdamW that leaves no graph behind when a model is gone.

    Keras sums the gradients over replicas, also over a single one, by a function whose own gradient
    TensorFlow registers for good, and with it the graph: some 13 MiB a model trained.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        return grads_and_vars if alone else super()._all_reduce_sum_gradients(grads_and_vars)


def compile_model(
    model: keras.Model, hyperparameters: ModelParams, settings: TrainParams, steps: int
) -> None:
    """AdamW with a learning rate that rises for a fifth of the steps, then falls to 0.

    Source: Smith and Topin, Super-Convergence, arXiv 1708.07120 (one cycle).
    """
    warm_up = max(1, round(WARM_UP_SHARE * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        hyperparameters.learning_rate / 10,
        max(1, steps - warm_up),
        warmup_target=hyperparameters.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = LeanAdamW(
        schedule,  # pyright: ignore[reportArgumentType]
        weight_decay=hyperparameters.weight_decay,
    )
    model.compile(
        optimizer=optimizer,
        loss={"logits": partial(lose, label_smoothing=settings.label_smoothing)},
        metrics={  # unlike the loss that is descended, these are not weighted
            "probability": [
                keras.metrics.BinaryCrossentropy(name="loss"),
                keras.metrics.BinaryAccuracy(name="accuracy"),
                keras.metrics.AUC(name="auc", num_thresholds=1000),
            ]
        },
    )
    optimizer.build(model.trainable_variables)


class EpochLog(keras.callbacks.Callback):
    """Keeps curves, weights and optimizer of every epoch.

    The history file is written last: an epoch that it names has all else on disk.
    """

    def __init__(self, work: Path, data: EpochCopies, judge: Judge, report: Report) -> None:
        super().__init__()
        self.work, self.data, self.judge, self.report = work, data, judge, report
        self.history = read_history(work)

    @property
    def network(self) -> keras.Model:
        assert self.model is not None
        return self.model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.data.set_epoch(epoch)
        reseed_dropout(self.network, self.data.seed, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        train = {name: (logs or {})[f"probability_{name}"] for name in FIGURES}
        val = self.judge()
        table = pd.DataFrame([train, val]).astype(float)
        table = table.assign(epoch=epoch + 1, part=["train", "val"])
        self.history = pd.concat([self.history, table[["epoch", "part", *FIGURES]]])
        with atomic(self.work / STATE.format(epoch + 1)) as partial:
            self.network.save_weights(partial)
        with atomic(self.work / WEIGHTS.format(epoch + 1)) as partial:
            save_bare_weights(self.network, partial)
        write_csv(self.work / "history.csv", self.history)
        self.history = read_history(self.work)  # rounded as after an interruption
        (self.work / STATE.format(epoch)).unlink(missing_ok=True)
        self.report(self.history)
        announce(
            f"epoch {epoch + 1} of {(self.params or {}).get('epochs')}: loss "
            f"{train['loss']:.3f}, validation loss {val['loss']:.3f}, AUC {val['auc']:.3f}"
        )


def judge_unseen(members: keras.Model, val: Part, unseen: np.ndarray) -> dict[str, float]:
    """Loss (nats), accuracy at 0.5 and AUC of what `predict_unseen` says of validation images."""
    p = predict_unseen(members, val.images, unseen)
    if not np.isfinite(p).all():
        return dict.fromkeys(FIGURES, np.nan)
    return {
        "loss": log_loss(val.labels, np.clip(p, CLIP, 1 - CLIP), labels=[0, 1]),
        "accuracy": float(((p >= 0.5) == val.labels).mean()),
        "auc": float(roc_auc_score(val.labels, p)),
    }


def reseed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Draw each layer's random state from (seed, epoch), since weight files do not keep it."""
    states = [v for v in model.non_trainable_variables if "seed_generator_state" in v.path]
    for index, state in enumerate(states):
        rng = np.random.default_rng([seed, epoch, index])
        state.assign(rng.integers(2**31, size=2).astype(state.dtype))


def save_bare_weights(model: keras.Model, path: Path) -> None:
    """Write `.weights.h5` without the optimizer."""
    keras.Model(model.inputs, model.outputs[-1], name=model.name).save_weights(path)


def read_history(work: Path) -> pd.DataFrame:
    """The curves so far: epoch (from 1), part (train | val), loss, accuracy, auc; may be empty."""
    path = work / "history.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def train_model(
    hyperparameters: ModelParams,
    image_size: int,
    train: Part,
    val: Part,
    settings: TrainParams,
    *,
    seed: int,
    work: Path,
    keep_aspect: bool = False,
    crossed: Crossed | None = None,
    report: Report = lambda _history: None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train from scratch, or from the last epoch found in `work`; gives the last epoch's model.

    With `crossed` members learn from copies of the validation images as well, but for their own
    part. `report` gets the history after each epoch: two rows each (see `read_history`).
    """
    model = build_model(hyperparameters, image_size, seed, keep_aspect=keep_aspect)
    members = hyperparameters.members
    data = EpochCopies(train, settings, seed, members, crossed)
    unseen = crossed.unseen if crossed else np.ones((len(val.labels), members), bool)
    judge = partial(judge_unseen, open_members(model), val, unseen)
    learner = open_logits(model)
    compile_model(learner, hyperparameters, settings, steps=settings.epochs * len(data))
    log = EpochLog(work, data, judge, report)
    done = int(log.history["epoch"].max()) if len(log.history) else 0
    if done:
        learner.load_weights(work / STATE.format(done))
        data.set_epoch(done)
    learner.fit(
        data,
        epochs=settings.epochs,
        initial_epoch=done,
        shuffle=False,
        verbose=0,  # pyright: ignore[reportArgumentType]
        callbacks=[log],
    )
    return model, log.history


def keep_epochs(work: Path, folder: Path) -> None:
    """Copy the weights of every epoch into `folder`, which is made anew; `work` stays whole."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(work.glob("[0-9]*.weights.h5")):
        with atomic(folder / path.name) as partial:
            shutil.copyfile(path, partial)


def summarise(history: pd.DataFrame, parameters: int) -> dict[str, Any]:
    """The number of epochs, the last one's validation figures, the number of parameters.

    Raises InputError where the training came to nothing.
    """
    last = last_figures(history)
    if not np.isfinite(list(last.values())).all():
        raise InputError(
            "the validation loss is not finite after the last epoch: train again with a lower "
            "model.learning_rate"
        )
    figures = {f"val_{name}": value for name, value in last.items()}
    return {"epochs": int(history["epoch"].max()), **figures, "parameters": parameters}


def last_figures(history: pd.DataFrame) -> dict[str, float]:
    """Loss, accuracy and AUC on validation images after the last epoch."""
    last = history[history["part"] == "val"].sort_values("epoch").iloc[-1]
    return {name: float(last[name]) for name in FIGURES}
