"""All figures of one set of scores, flat and ready for JSON; docs/evaluation.md names the keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pneumonia.evaluation import metrics
from pneumonia.evaluation.delong import estimate_aucs, logit_interval
from pneumonia.evaluation.intervals import Estimate, Resampling, resample, wilson

CELLS = ("tp", "fp", "fn", "tn")
PROPORTIONS = ("accuracy", "sensitivity", "specificity", "ppv", "npv")
AT_THRESHOLD = (
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1",
)  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """Row-aligned: labels int (N,), the model's scores and calibrated p (N,), patients str (N,)."""

    labels: np.ndarray
    raw: np.ndarray
    p: np.ndarray
    groups: np.ndarray

    def pick(self, rows: np.ndarray) -> "Scores":
        """Those of the rows (boolean or numbers)."""
        return Scores(self.labels[rows], self.raw[rows], self.p[rows], self.groups[rows])

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.raw).all() and np.isfinite(self.p).all())


def measure(
    scores: Scores, decision: dict[str, Any], prevalences: list[float], how: Resampling
) -> dict[str, Any]:
    """Name, name_low and name_high of every figure, nested groups, counts, and `reasons`.

    `decision` holds threshold, thresholds, rule and calibration; see `pneumonia.evaluation`'s
    page in docs for what is in the result. A figure that cannot be had is None, with a reason.
    """
    known = scores if scores.finite else blank(scores)
    estimates = resample(
        lambda weights: measure_draws(known, decision, prevalences, weights),
        scores.groups,
        how,
        explain=explainer(scores, decision["threshold"]),
    )
    if not scores.finite:
        estimates = dict.fromkeys(estimates, Estimate(None, reason=tell_broken(scores)))
    figures = nest(estimates)
    for rule, threshold in decision["thresholds"].items():
        figures["thresholds"][rule]["threshold"] = threshold
    figures |= delong_interval(scores, how.confidence)
    cells = count_cells(scores, decision["threshold"])
    figures |= cells | wilson_intervals(cells, how.confidence)
    figures["reasons"] |= explain_gaps(figures)
    return figures | state_facts(scores, decision, how.confidence)


def blank(scores: Scores) -> Scores:
    """The same images with scores of 0: what names the figures when the scores are not finite."""
    zeros = np.zeros(len(scores.labels))
    return Scores(scores.labels, zeros, zeros, scores.groups)


def tell_broken(scores: Scores) -> str:
    broken = ~(np.isfinite(scores.raw) & np.isfinite(scores.p))
    return f"{broken.sum()} of {len(scores.labels)} scores are not finite"


def measure_draws(
    scores: Scores, decision: dict[str, Any], prevalences: list[float], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Every figure (D,) of weights (D, N); a name like thresholds/youden/ppv is nested later."""
    figures = metrics.all_metrics(scores.labels, scores.p, decision["threshold"], weights)
    before = metrics.calibration_figures(scores.labels, scores.raw, weights)
    figures |= {f"uncalibrated/{name}": values for name, values in before.items()}
    for rule, threshold in decision["thresholds"].items():
        found = metrics.rates(scores.labels, (scores.p >= threshold).astype(int), weights)
        figures |= {f"thresholds/{rule}/{name}": found[name] for name in AT_THRESHOLD}
    for share in prevalences:
        values = metrics.predictive_values(figures["sensitivity"], figures["specificity"], share)
        figures |= {f"at_prevalence/{share}/{name}": found for name, found in values.items()}
    return figures


def explainer(scores: Scores, threshold: float) -> Callable[[str, float], str]:
    """What says why a figure has no value on these images."""
    labels = scores.labels
    called = scores.p >= threshold
    facts = (
        (not len(labels), "there are no images"),
        (not (labels == 1).any(), "no image shows pneumonia"),
        (not (labels == 0).any(), "no image is free of pneumonia"),
    )
    missing = next((words for true, words in facts if true), "")

    def explain(name: str, value: float) -> str:
        last = name.rpartition("/")[2]
        if missing:
            return missing
        if last.startswith("calibration"):
            constant = len(np.unique(scores.raw if "uncalibrated" in name else scores.p)) == 1
            return "all scores are equal" if constant else "the scores separate the classes fully"
        if np.isinf(value):
            return "infinite: no false alarm" if last == "lr_positive" else "infinite: none cleared"
        if "/" in name:
            return "no image falls on one side of this threshold"
        return "every image is called pneumonia" if called.all() else "no image is called pneumonia"

    return explain


def nest(estimates: dict[str, Estimate]) -> dict[str, Any]:
    """name, name_low, name_high, in groups where a name has slashes; `reasons` with dots."""
    figures: dict[str, Any] = {}
    for name, estimate in estimates.items():
        *path, last = name.split("/")
        place = figures
        for key in path:
            place = place.setdefault(key, {})
        ends = {last: estimate.value, f"{last}_low": estimate.low, f"{last}_high": estimate.high}
        place |= {key: _steady(value) for key, value in ends.items()}
    reasons = {name.replace("/", "."): e.reason for name, e in estimates.items() if e.reason}
    return figures | {"reasons": reasons}


def _steady(value: float | None) -> float | None:
    """Twelve digits: the last bits of sums differ between processors, a result should not."""
    return None if value is None else float(f"{value:.12g}")


def delong_interval(scores: Scores, confidence: float) -> dict[str, float | None]:
    """auc_delong_low and _high, on the logit scale, each image by itself; None of AUC 0 or 1."""
    ends = None
    if scores.finite:
        aucs, covariance = estimate_aucs(scores.labels, scores.p[None])
        ends = logit_interval(float(aucs[0]), float(covariance[0, 0]), confidence)
    low, high = ends or (None, None)
    return {"auc_delong_low": low, "auc_delong_high": high}


def count_cells(scores: Scores, threshold: float) -> dict[str, int | None]:
    """tp, fp, fn, tn; None where scores are not finite."""
    if not scores.finite:
        return dict.fromkeys(CELLS)
    called = (scores.p >= threshold).astype(int)
    cells = metrics.confusion(scores.labels, called, np.ones((1, len(called))))
    return {name: int(count[0]) for name, count in cells.items()}


def wilson_intervals(cells: dict[str, int | None], confidence: float) -> dict[str, float | None]:
    """NAME_wilson_low and _high of the proportions, each image by itself."""
    intervals: dict[str, float | None] = {}
    tp, fp, fn, tn = (cells[name] or 0 for name in CELLS)
    shares = ((tp + tn, tp + fp + fn + tn), (tp, tp + fn), (tn, tn + fp), (tp, tp + fp))
    for name, (hits, total) in zip(PROPORTIONS, (*shares, (tn, tn + fn)), strict=True):
        low, high = wilson(hits, total, confidence) or (None, None)
        intervals |= {f"{name}_wilson_low": low, f"{name}_wilson_high": high}
    return intervals


def explain_gaps(figures: dict[str, Any]) -> dict[str, str]:
    """Why DeLong's interval, Wilson's or the counts are None: mostly as the figure itself is."""
    known: dict[str, str] = figures["reasons"]
    gaps = {}
    for name in ("auc_delong", *(f"{share}_wilson" for share in PROPORTIONS)):
        if figures[f"{name}_low"] is None:
            figure = name.partition("_")[0]
            gaps[name] = (
                known[figure]
                if figures[figure] is None
                else "no variance to go by: the AUC is 0 or 1, or a class has a single image"
            )
    counts = {name: known["auc"] for name in CELLS if figures[name] is None}
    return gaps | counts


def state_facts(scores: Scores, decision: dict[str, Any], confidence: float) -> dict[str, Any]:
    """Counts, and what was fixed before."""
    calibration = decision["calibration"]
    positives = int((scores.labels == 1).sum())
    facts = {
        "images": len(scores.labels),
        "patients": len(np.unique(scores.groups)),
        "positives": positives,
        "negatives": len(scores.labels) - positives,
        "prevalence": positives / len(scores.labels),
        "threshold": decision["threshold"],
        "rule": decision["rule"],
        "calibration": calibration["method"],
        "confidence": confidence,
    }
    known = {"temperature": calibration.get("temperature")}
    return facts | {name: value for name, value in known.items() if value is not None}
