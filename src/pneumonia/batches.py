"""Batches of augmented copies, and how much each member learns from each image."""

import math

import keras
import numpy as np

from pneumonia.crossfit import Crossed
from pneumonia.data.store import Part
from pneumonia.params import TrainParams

Targets = dict[str, np.ndarray]


class EpochCopies(keras.utils.PyDataset):
    """Batches (images uint8 B x H x W x 1, targets, weights) of some copies.

    Targets and weights are for the outputs of `open_logits`: float32 (B, M, 1) and (B, 1), with M
    members; (B, M) and (B,). `crossed` tells what else members learn from, each its own part.

    An epoch passes through as many copies as hold `epoch_images`, one after the other and round
    about, each in an order drawn from (seed, epoch) alone: small sets get enough steps as well.
    """

    def __init__(
        self,
        part: Part,
        settings: TrainParams,
        seed: int,
        members: int = 1,
        crossed: Crossed | None = None,
    ) -> None:
        super().__init__()
        self.parts = [part, crossed.copies] if crossed else [part]
        self.batch_size, self.seed = settings.batch_size, seed
        self.labels = np.concatenate([part.labels for part in self.parts])
        self.passes = math.ceil(settings.epoch_images / len(self.labels))
        ones = np.ones(len(self.labels), "f4")
        weights = weigh_classes(self.labels) if settings.class_balance else ones
        self.weights = np.repeat(weights[:, None], members, axis=1)
        if crossed:
            self.weights[len(part.labels) :][crossed.unseen] = 0
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        rng = np.random.default_rng([self.seed, epoch])
        copies = (epoch * self.passes + np.arange(self.passes)) % self.parts[0].copies
        self.copies = np.repeat(copies, len(self.labels))
        self.order = np.concatenate([rng.permutation(len(self.labels)) for _ in copies])

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, Targets, Targets]:
        rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        copies, own = self.copies[rows], self.order[rows]
        weights = self.weights[own]
        targets = np.repeat(self.labels[own].astype("f4")[:, None], weights.shape[1], axis=1)
        return (
            self.read_images(copies, own)[..., None],
            {"logits": targets[:, :, None], "probability": targets[:, :1]},
            {"logits": weights, "probability": np.ones(len(own), "f4")},
        )

    def read_images(self, copies: np.ndarray, own: np.ndarray) -> np.ndarray:
        """These copies of these images of all parts, one after the other, uint8 (B, H, W)."""
        images = np.empty((len(own), *self.parts[0].images.shape[1:]), "uint8")
        first = 0
        for part in self.parts:
            count = len(part.labels)
            mine = (own >= first) & (own < first + count)
            images[mine] = part.images[copies[mine] * count + own[mine] - first]
            first += count
        return images


def weigh_classes(labels: np.ndarray) -> np.ndarray:
    """A weight per image, float32 (N,), with which both classes count the same; their mean is 1."""
    counts = np.bincount(labels, minlength=2)
    return (len(labels) / (2 * np.maximum(counts, 1)))[labels].astype("float32")
