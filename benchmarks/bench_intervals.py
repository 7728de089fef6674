"""Seconds of one core for 2,000 draws of patients, every figure of 1,000 images; a plain loop."""

from time import process_time

import numpy as np
from sklearn import linear_model
from sklearn import metrics as sk
from threadpoolctl import threadpool_limits

from pneumonia.evaluation.figures import Scores, measure
from pneumonia.evaluation.intervals import Resampling, draw_weights

DRAWS, IMAGES, PATIENTS, BUDGET = 2000, 1000, 500, 2.0  # the last in seconds
LOOPED = 20  # draws of the plain loop, scaled up
RULES = {"middle": 0.5, "youden": 0.5, "sensitivity": 0.3, "specificity": 0.7, "cost": 0.2}
DECISION = {
    "calibration": {"method": "none"}, "threshold": 0.5, "thresholds": RULES, "rule": "youden",
}  # fmt: skip


def make_scores() -> Scores:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, IMAGES)
    raw = 1 / (1 + np.exp(-rng.normal(2.5 * labels - 1.2, 1.5)))
    return Scores(labels, raw, raw, rng.integers(0, PATIENTS, IMAGES).astype(str))


def loop(scores: Scores) -> None:
    """The twelve figures that scikit-learn has, one draw at a time."""
    called = (scores.p >= 0.5).astype(int)
    logits = np.log(scores.p / (1 - scores.p))[:, None]
    for block in draw_weights(scores.groups, LOOPED, 1):
        for weight in block:
            pair, w = (scores.labels, scores.p), {"sample_weight": weight}
            for score in (sk.roc_auc_score, sk.average_precision_score, sk.brier_score_loss,
                          sk.log_loss):  # fmt: skip
                score(*pair, **w)
            for rate in (sk.accuracy_score, sk.balanced_accuracy_score, sk.recall_score,
                         sk.precision_score, sk.f1_score, sk.matthews_corrcoef,
                         sk.class_likelihood_ratios):  # fmt: skip
                rate(scores.labels, called, **w)
            linear_model.LogisticRegression(C=np.inf).fit(logits, scores.labels, **w)


if __name__ == "__main__":
    scores = make_scores()
    with threadpool_limits(1):
        start = process_time()
        measure(scores, DECISION, [0.01, 0.05, 0.2], Resampling(DRAWS, 0.95, 1))
        ours = process_time() - start
        start = process_time()
        loop(scores)
        plain = (process_time() - start) * DRAWS / LOOPED
    verdict = "" if ours < BUDGET else f"  above the budget of {BUDGET} s"
    print(f"all figures, {DRAWS} draws, {IMAGES} images  {ours:6.2f} s{verdict}")
    print(f"scikit-learn, a draw at a time         {plain:6.2f} s  ratio {plain / ours:5.1f}")
