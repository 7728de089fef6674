"""Training ends with the same bytes, at once or after an interruption; models load in safe mode."""

import gc
import shutil
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pneumonia.batches import EpochCopies, weigh_classes
from pneumonia.crossfit import Crossed
from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.predictor import (
    open_members,
    predict_epochs,
    predict_images,
    predict_unseen,
)
from pneumonia.model import build_model, load_model, save_model
from pneumonia.params import ModelParams, TrainParams
from pneumonia.training import judge_unseen, keep_epochs, open_logits, summarise, train_model

SMALL = ModelParams(
    backbone="cnn", weights="none", normalisation="local", gradients=True, members=2,
    width=4, depth=1, dropout=0.3, learning_rate=0.01, weight_decay=0.01,
)  # fmt: skip
RECIPE = TrainParams(
    epochs=3, epoch_images=1, batch_size=8, cross_fit=True, class_balance=True, label_smoothing=0.0
)


def make_part(copies: int, count: int = 24) -> Part:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 100, (count, 16, 16)) + 100 * labels[:, None, None] * np.eye(16)
    return Part(np.tile(images.astype("uint8"), (copies, 1, 1)), labels, copies)


def number_copies(first: int, last: int) -> np.ndarray:
    """Images of one pixel that tell which they are."""
    return np.arange(first, last, dtype="uint8").reshape(-1, 1, 1)


def read_logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return open_logits(model).predict_on_batch(images[..., None])["logits"]


class InterruptionError(Exception):
    pass


def train(work: Path, stop_after: int = 99) -> tuple[bytes, pd.DataFrame]:
    def report(history: pd.DataFrame) -> None:
        if history["epoch"].max() == stop_after:
            raise InterruptionError

    work.mkdir(exist_ok=True)
    model, history = train_model(
        SMALL, 16, make_part(2), make_part(1), RECIPE, seed=1, work=work, report=report
    )
    save_model(model, work / "model.keras")
    return (work / "model.keras").read_bytes(), history


class Whole(NamedTuple):
    """An undisturbed training: its folder, the saved model, the curves."""

    work: Path
    saved: bytes
    history: pd.DataFrame


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    work = tmp_path_factory.mktemp("whole")
    return Whole(work, *train(work))


def test_same_bytes_after_an_interruption(whole: Whole, tmp_path: Path) -> None:
    with pytest.raises(InterruptionError):
        train(tmp_path, stop_after=2)
    resumed, history = train(tmp_path)
    assert resumed == whole.saved
    pd.testing.assert_frame_equal(
        history.reset_index(drop=True), whole.history.reset_index(drop=True), rtol=1e-8
    )
    assert list(history["epoch"]) == [1, 1, 2, 2, 3, 3]


def test_same_bytes_twice_and_a_model_that_is_gone_leaves_no_graph(
    whole: Whole, tmp_path: Path
) -> None:
    """Else the memory of a search grows from trial to trial; see `LeanAdamW`."""

    def count_graphs() -> int:
        gc.collect()
        return sum(type(found).__name__ == "FuncGraph" for found in gc.get_objects())

    before = count_graphs()
    assert train(tmp_path)[0] == whole.saved
    assert count_graphs() == before


def test_kept_epochs_give_their_own_predictions(whole: Whole, tmp_path: Path) -> None:
    model = shutil.copy(whole.work / "model.keras", tmp_path / "model.keras")
    keep_epochs(whole.work, tmp_path / "epochs")
    assert (whole.work / "history.csv").exists()  # killed here, it goes on from there
    weights = sorted((tmp_path / "epochs").iterdir())
    assert [path.name for path in weights] == [f"00{n}.weights.h5" for n in (1, 2, 3)]
    images = make_part(1).images
    by_epoch = predict_epochs(Path(model), weights, images)
    assert by_epoch.shape == (3, 24)
    last = predict_images(load_model(Path(model)), images, batch_size=7)
    np.testing.assert_allclose(by_epoch[-1], last, atol=1e-6)


def test_epochs_read_their_copy_in_their_own_order() -> None:
    part = Part(number_copies(0, 40), np.arange(10) % 2, 4)
    recipe = RECIPE.model_copy(update={"batch_size": 3, "class_balance": False})
    data = EpochCopies(part, recipe, seed=1)
    for epoch in range(6):
        data.set_epoch(epoch)
        seen = np.concatenate([data[batch][0] for batch in range(len(data))]).ravel()
        assert sorted(seen) == list(range(10 * (epoch % 4), 10 * (epoch % 4) + 10))
    data.set_epoch(0)
    first = data[0][0].copy()
    data.set_epoch(4)
    assert not np.array_equal(first, data[0][0])


def test_an_epoch_of_a_small_set_passes_through_several_copies() -> None:
    part = Part(number_copies(0, 40), np.arange(10) % 2, 4)
    data = EpochCopies(part, RECIPE.model_copy(update={"epoch_images": 25}), seed=1)
    seen = []
    for epoch in range(4):
        data.set_epoch(epoch)
        seen += [image for batch in range(len(data)) for image in data[batch][0].ravel()]
    assert len(seen) == 4 * 30
    assert sorted(seen) == sorted(3 * list(range(40)))


def test_an_epoch_reads_the_same_copy_of_the_images_that_members_learn_besides() -> None:
    part = Part(number_copies(0, 40), np.arange(10) % 2, 4)
    more = Part(number_copies(100, 120), np.ones(5, int), 4)
    unseen = np.arange(5)[:, None] % 2 == np.arange(2)
    recipe = RECIPE.model_copy(update={"class_balance": False})
    data = EpochCopies(part, recipe, seed=1, members=2, crossed=Crossed(more, unseen))
    data.set_epoch(3)
    batches = [data[batch] for batch in range(len(data))]
    images = np.concatenate([images.ravel() for images, _, _ in batches])
    weights = np.concatenate([weights["logits"] for _, _, weights in batches])
    targets = np.concatenate([targets["logits"] for _, targets, _ in batches])
    assert sorted(images) == [*range(30, 40), *range(115, 120)]
    for image, weight, target in zip(images, weights, targets[:, 0, 0], strict=True):
        assert target == (1 if image >= 100 else image % 2)
        np.testing.assert_array_equal(weight, ~unseen[image - 115] if image >= 100 else [1, 1])


def test_a_member_learns_nothing_from_its_own_share(tmp_path: Path) -> None:
    """Other labels there change the other member alone."""
    val = make_part(1)
    unseen = np.arange(24)[:, None] // 12 == np.arange(2)
    recipe = RECIPE.model_copy(update={"class_balance": False})
    logits = []
    for name, labels in {"own": val.labels, "other": val.labels ^ unseen[:, 0]}.items():
        crossed = Crossed(Part(make_part(2).images, labels, 2), unseen)
        model, _ = train_model(
            SMALL, 16, make_part(2), val, recipe, seed=1, work=tmp_path / name, crossed=crossed
        )
        logits.append(read_logits(model, val.images))
    np.testing.assert_array_equal(logits[0][:, 0], logits[1][:, 0])
    assert (np.abs(logits[0][:, 1] - logits[1][:, 1]).max(axis=0) > 0.01).all()


def test_who_has_not_seen_an_image_judges_it(whole: Whole) -> None:
    model, images = load_model(whole.work / "model.keras"), make_part(1).images
    members, p = open_members(model), predict_images(model, images)
    said = members.predict_on_batch(images)
    unseen = np.arange(24)[:, None] % 2 == np.arange(2)
    twice = predict_unseen(members, np.concatenate([images, images]), unseen, batch_size=7)
    np.testing.assert_allclose(twice, np.tile(said[unseen], 2), atol=1e-6)
    np.testing.assert_allclose(predict_unseen(members, images, ~unseen | unseen), p, atol=1e-6)


def test_a_model_without_gradients_is_trained_and_saved_too(tmp_path: Path) -> None:
    plain = SMALL.model_copy(update={"gradients": False})
    recipe = RECIPE.model_copy(update={"epochs": 1})
    val = make_part(1)
    model, _ = train_model(plain, 16, make_part(2), val, recipe, seed=1, work=tmp_path)
    save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        predict_images(again, val.images), predict_images(model, val.images)
    )


def test_scores_that_are_not_finite_give_no_figures() -> None:
    model, val = build_model(SMALL, 16, seed=1), make_part(1)
    lines = model.get_layer("cnn_logits")
    lines.set_weights([np.full_like(weights, np.nan) for weights in lines.get_weights()])
    figures = judge_unseen(open_members(model), val, np.ones((24, 2), bool))
    assert set(figures) == {"loss", "accuracy", "auc"}
    assert np.isnan(list(figures.values())).all()


def test_a_training_that_came_to_nothing_says_what_to_do() -> None:
    rows = [{"epoch": 1, "part": part, "loss": np.nan, "accuracy": 0.5, "auc": 0.5}
            for part in ("train", "val")]  # fmt: skip
    with pytest.raises(InputError, match=r"lower model\.learning_rate"):
        summarise(pd.DataFrame(rows), 10)


def test_classes_weigh_the_same() -> None:
    labels = np.array([0, 1, 1, 1])
    weights = weigh_classes(labels)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())
    assert weights.mean() == pytest.approx(1)


def test_model_takes_any_size_and_ignores_exposure(tmp_path: Path) -> None:
    save_model(build_model(SMALL, 32, seed=3), tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(50, 100, (2, 32, 32)).astype("uint8")
    plain = model.predict_on_batch(images)
    np.testing.assert_allclose(model.predict_on_batch(images + 50), plain, atol=1e-4)
    np.testing.assert_allclose(model.predict_on_batch(images * 2), plain, atol=1e-2)
    assert model.predict_on_batch(np.zeros((1, 90, 70), "uint8")).shape == (1, 1)


def test_the_seed_decides_the_weights() -> None:
    one, two, other = (build_model(SMALL, 16, seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_members_differ_and_their_mean_is_the_probability(whole: Whole) -> None:
    model = load_model(whole.work / "model.keras")
    images = make_part(1).images
    logits = read_logits(model, images)
    assert logits.shape == (24, 2, 2)  # of network and histogram
    assert (np.abs(logits[:, 0] - logits[:, 1]).max(axis=0) > 0.01).all()
    mean = (1 / (1 + np.exp(-logits @ [0.6, 0.4]))).mean(axis=1)
    np.testing.assert_allclose(predict_images(model, images), mean, atol=1e-6)


@pytest.mark.parametrize("reading", [0, 1])
def test_network_and_histogram_tell_the_classes_each_by_itself(whole: Whole, reading: int) -> None:
    model, part = load_model(whole.work / "model.keras"), make_part(1)
    logits = read_logits(model, part.images)
    for said in logits[:, :, reading].T:
        assert roc_auc_score(part.labels, said) > 0.9
