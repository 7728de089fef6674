"""DVC's experiments and MLflow's runs as one table: both names, key figures, what differs."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.tracking import revisions
from pneumonia.tracking.folds import name_folds, summarise_folds
from pneumonia.tracking.result import EVALUATION_TAG, EXPERIMENT_TAG, SOURCE_TAG, list_parameters
from pneumonia.tracking.store import connect

KEY_METRICS = ("auc", "sensitivity", "specificity")
MEASURED = ("test_", "external_")  # a run has either: on its test part, on another data set
LOW_IS_GOOD = ("brier", "ece", "loss")
TOLD_ELSEWHERE = ("tracking.", "data.classes.")  # parameters that change no figure
Row = dict[str, Any]
Key = tuple[str | None, frozenset[tuple[str, str]]]
Holder = tuple[revisions.Revision, dict[str, str]]


def list_results(params: Params, environ: Mapping[str, str], sort: str) -> list[Row]:
    """A row an MLflow run or a DVC experiment without one, the best by `sort` first.

    `run_id`, `run`, `status`, `started` and `source` are MLflow's, None without a run;
    `experiment`, `commit` and `baseline` are Git's and DVC's; `back` is the command that restores
    the result; `metrics` maps a name to value, low and high; `parameters` holds those that differ
    between rows. Folds of one setting have a row more, see `summarise_folds`; `folds` is None in
    all others. Raises InputError where no row has the metric `sort`.
    """
    import mlflow

    experiment_id = connect(params.tracking.experiment, environ)
    found = mlflow.MlflowClient().search_runs([experiment_id], max_results=10_000)
    runs = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    holders: dict[Key, list[Holder]] = {}
    for revision in revisions.list_experiments() + revisions.list_commits():
        told = list_parameters(revisions.read_parameters(revision))
        key = make_key(revisions.hash_evaluation(revision), told)
        holders.setdefault(key, []).append((revision, told))
    rows = [describe_run(run, holders) for run in runs]
    carried = {make_key(run.data.tags.get(EVALUATION_TAG), run.data.params) for run in runs}
    rows += [
        describe_revision(revision, parameters)
        for key, group in holders.items()
        for revision, parameters in group
        if key[0] and key not in carried and revision.experiment
    ]
    rows += summarise_folds(rows)
    keep_differing(rows)
    return sort_rows(rows, sort)


def make_key(evaluation: str | None, parameters: Mapping[str, str]) -> Key:
    """What tells results apart: the evaluation's hash and what it was asked."""
    return evaluation, frozenset(i for i in parameters.items() if i[0].startswith("evaluate."))


def find_holder(run: Any, holders: Mapping[Key, list[Holder]]) -> revisions.Revision | None:
    """The experiment or commit that holds a run's result: best the one of the run's own name."""
    evaluation, named = run.data.tags.get(EVALUATION_TAG), run.data.tags.get(EXPERIMENT_TAG)

    def rank(holder: Holder) -> tuple[bool, bool]:
        revision, parameters = holder
        return revision.experiment != named, not parameters.items() <= run.data.params.items()

    held = holders.get(make_key(evaluation, run.data.params), []) if evaluation else []
    return min(held, key=rank)[0] if held else None


def describe_run(run: Any, holders: Mapping[Key, list[Holder]]) -> Row:
    """An MLflow run, with what in Git holds the same evaluation."""
    tags, best = run.data.tags, find_holder(run, holders)
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return {
        "run_id": run.info.run_id,
        "run": run.info.run_name,
        "status": run.info.status,
        "started": started.isoformat(timespec="seconds"),
        "source": tags.get(SOURCE_TAG),
        "experiment": best.experiment if best else tags.get(EXPERIMENT_TAG),
        "commit": best.commit if best else None,
        "baseline": tags.get("dvc_baseline") or tags.get("git_commit"),
        "back": best.way_back if best else None,
        "folds": None,
        "metrics": pair_intervals(
            {
                name.partition("_")[2]: value
                for name, value in run.data.metrics.items()
                if name.startswith(MEASURED)
            }
        ),
        "parameters": dict(run.data.params),
    }


def describe_revision(revision: revisions.Revision, parameters: dict[str, str]) -> Row:
    """A DVC experiment that no MLflow run carries."""
    figures = json.loads(revisions.read_at(revision, revisions.FILES.evaluation) or b"{}")
    numbers = {k: float(v) for k, v in figures.items() if isinstance(v, int | float)}
    return dict.fromkeys(("run_id", "run", "status", "started", "source", "folds")) | {
        "experiment": revision.experiment,
        "commit": revision.commit,
        "baseline": revision.baseline,
        "back": revision.way_back,
        "metrics": pair_intervals(numbers),
        "parameters": dict(parameters),
    }


def pair_intervals(numbers: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    """NAME, NAME_low and NAME_high as one entry; low and high are None where there are none."""
    return {
        name: {"value": v, "low": numbers.get(f"{name}_low"), "high": numbers.get(f"{name}_high")}
        for name, v in sorted(numbers.items())
        if not (name.endswith(("_low", "_high")) and name.rpartition("_")[0] in numbers)
    }


def keep_differing(rows: list[Row]) -> None:
    """Leave in each row only the parameters that are not the same in all rows that have them."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row["parameters"].items():
            values.setdefault(key, set()).add(value)
    differing = {k for k, v in values.items() if len(v) > 1 and not k.startswith(TOLD_ELSEWHERE)}
    for row in rows:
        row["parameters"] = {k: row["parameters"][k] for k in differing & set(row["parameters"])}


def sort_rows(rows: list[Row], metric: str) -> list[Row]:
    """The best first, by a metric's value; rows without it come last."""
    known = sorted({name for row in rows for name in row["metrics"]})
    if rows and known and metric not in known:
        raise InputError(f"no result has the metric {metric}; there are: {', '.join(known)}")
    sign = 1 if metric.endswith(LOW_IS_GOOD) else -1

    def rank(row: Row) -> tuple[bool, float, str]:
        value = row["metrics"].get(metric, {}).get("value")
        return value is None, sign * (value or 0), row["started"] or ""

    return sorted(rows, key=rank)


def format_metric(entry: Mapping[str, float | None] | None) -> str:
    """'0.950 (0.930-0.965)', '0.950 ± 0.012' over folds, or nothing where there is no figure."""
    if not entry or entry["value"] is None:
        return ""
    if "spread" in entry:
        return f"{entry['value']:.3f} ± {entry['spread']:.3f}"
    interval = f" ({entry['low']:.3f}-{entry['high']:.3f})" if entry["low"] is not None else ""
    return f"{entry['value']:.3f}{interval}"


def format_rows(rows: list[Row], sort: str) -> list[list[str]]:
    """Head and cells of the table; the metric that is sorted by stands first among the figures."""
    metrics = (sort, *(name for name in KEY_METRICS if name != sort))
    table = [["DVC", "MLflow run", "id", "status", *metrics, "parameters that differ"]]
    for row in rows:
        run = [row["run"] or "", (row["run_id"] or "")[:8], name_status(row)]
        figures = [format_metric(row["metrics"].get(name)) for name in metrics]
        changed = " ".join(f"{key}={shorten(v)}" for key, v in sorted(row["parameters"].items()))
        table.append([name_holder(row), *run, *figures, changed])
    return table


def name_holder(row: Row) -> str:
    """The experiment or commit that holds a result, or the folds that it is the mean of."""
    if row["folds"]:
        return name_folds(row)
    gone = " (gone)" if row["experiment"] and not row["commit"] else ""
    return (row["experiment"] or (row["commit"] or "")[:9]) + gone


def name_status(row: Row) -> str:
    """How a run ended; an interruption may have come between training and evaluation."""
    ended = row["status"] or ("mean ± deviation" if row["folds"] else "no run")
    waits = row["source"] == "train" and ended == "FINISHED" and not row["metrics"]
    return ended + ", not evaluated" * waits


def shorten(value: str) -> str:
    """Numbers to four digits, all else as it is."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def show_results(rows: list[Row], sort: str) -> None:
    """A table on a terminal; elsewhere lines whose cells are parted by tabs."""
    from rich.console import Console
    from rich.table import Table

    head, *body = format_rows(rows, sort)
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(cells) + "\n" for cells in (head, *body))
        return
    table = Table(*head, title="Results, the best first; intervals are those of the evaluation")
    for column in table.columns:
        column.overflow = "fold"
    table.columns[2].no_wrap = True  # the id, which commands take
    for *cells, changed in body:
        table.add_row(*cells, changed.replace(" ", "\n"))
    Console(highlight=False, markup=False).print(table)
