"""The report, one page of HTML that needs no other file, and the model card as Markdown."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pneumonia.evaluation.facts import (
    HEADLINE,
    TITLES,
    WORST,
    Facts,
    ResultPaths,
    gather_facts,
    list_misses,
    show,
    show_interval,
)
from pneumonia.evaluation.pictures import draw_search
from pneumonia.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
COMMAND = """git checkout COMMIT
make .venv/ready            # the packages of requirements.lock
dvc repro --force           # all five stages; dvc.lock stays as it is
pneumonia report            # this page, with commit and hash of dvc.lock"""
EXTERNAL_COMMAND = """git checkout COMMIT && dvc pull   # the model, threshold and calibration
pneumonia evaluate --data NAME-or-FOLDER"""
LIMITS = (
    "Images of other hospitals, scanners, ages and exposures may give worse results; the shift "
    "suite imitates some of these changes and replaces no external test.",
    "A threshold may not travel to another prevalence or exposure: check sensitivity and "
    "specificity on own images before any use.",
    "Labels are taken as the data set gives them: how radiologists would agree is not known here.",
    "Patients are told apart as far as file names or the manifest tell them.",
    "The model may rest on marks, borders or framing instead of lungs: look at its heat maps "
    "(pneumonia explain).",
)


def write_pages(paths: ResultPaths, params: dict[str, Any]) -> None:
    """The pictures of the search, the report and the model card, from what the stages wrote."""
    draw_search(paths.plots / "trials.csv", params["tune"]["objective"], paths.plots / "trials.png")
    facts = gather_facts(paths, params)
    write_report(paths.plots / "report.html", facts)
    write_card(paths.models / "card.md", facts)


def write_report(path: Path, facts: Facts, provenance: dict[str, str] | None = None) -> None:
    """Write the page. `provenance` (commit, hash of dvc.lock) is known only after a commit."""
    known = _describe(facts)
    if provenance:
        known["command"] = known["command"].replace("COMMIT", provenance["Git commit"])
    template = _environment().get_template("report.html.j2")
    write_text(path, template.render(**known, provenance=_rows(provenance or {})))


def write_card(path: Path, facts: Facts) -> None:
    """Write the model card after Mitchell et al., Model Cards for Model Reporting, FAT* 2019."""
    template = _environment().get_template("card.md.j2")
    write_text(path, template.render(**_describe(facts)))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html.j2", "svg.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = escape_cell
    return environment


def escape_cell(text: object) -> str:
    """Text of others (names of files, columns) that cannot become Markdown or HTML."""
    cleaned = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return "".join(f"\\{sign}" if sign in "\\`*_[]|#" else sign for sign in cleaned)


def _describe(facts: Facts) -> dict[str, Any]:
    """What the templates name."""
    figures, params = facts.figures, facts.params
    return {
        "figures": figures,
        "data": facts.data,
        "train": facts.train,
        "params": params,
        "pictures": facts.pictures,
        "confidence": params["evaluate"]["confidence"],
        "headline": [(name, title) for name, title in HEADLINE.items() if name in figures],
        "number": facts.number,
        "interval": facts.interval,
        "plain": facts.number,
        "parts": _list_parts(facts.data) if facts.data else [],
        "reasons": sorted(_list_reasons(facts).items(), key=lambda item: (-item[1], item[0])),
        "warnings": facts.data.get("warnings", []),
        "apart": _are_apart(facts.data),
        "classes": ", ".join(
            f"{name} = {label}" for name, label in params["data"]["classes"].items()
        ),
        "crossed": facts.hyperparameters.get("members", 1) > 1 and params["train"]["cross_fit"],
        "network": _name_network(facts.hyperparameters),
        "hyperparameters": [
            (k.replace("_", " "), show_setting(v)) for k, v in facts.hyperparameters.items()
        ],
        "search_text": _tell_search(facts) if facts.tune else "",
        "estimates": _list_estimates(facts),
        "besides": _list_besides(figures),
        "thresholds": _list_thresholds(figures),
        "prevalences": _list_prevalences(figures),
        "subgroups": _list_subgroups(facts.subgroups),
        "misses": _list_misses(facts),
        "reasons_missing": sorted(figures.get("reasons", {}).items()),
        "limits": LIMITS,
        "command": COMMAND if facts.data else EXTERNAL_COMMAND,
        "hash_rows": _rows(facts.hashes),
        "parameter_rows": _rows(flatten(params)),
    }


def show_setting(value: Any) -> str:
    """A hyperparameter: six digits of a number, a word as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _list_reasons(facts: Facts) -> dict[str, int]:
    """Why files were left out, and how many."""
    return facts.data["reasons"] if facts.data else facts.figures["left_out"]


def _rows(table: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in table.items()]


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        flat |= inner if inner else {f"{prefix}{key}": value}
    return flat


def _list_parts(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    titles = {"train": "training", "val": "validation", "test": "test"}
    return [
        (title, n["images"], n["patients"], n["pneumonia"], n["no_pneumonia"],
         show(n["pneumonia"] / max(1, n["images"])))
        for part, title in titles.items()
        for n in [data["parts"][part]]
    ]  # fmt: skip


def _are_apart(data: dict[str, Any]) -> bool:
    """False where a published partition with patients on two sides was kept as it is."""
    leaks = data.get("published", {})
    leaky = any(leaks.get(name) for name in ("patients", "equal_pictures", "near_copies"))
    return not (leaky and leaks.get("kept") and not leaks.get("repaired"))


def _name_network(hyperparameters: dict[str, Any]) -> str:
    members, gradients = hyperparameters.get("members", 1), hyperparameters.get("gradients")
    name = "A convolutional network"
    if members > 1:
        name = f"The mean of {members} convolutional networks"
        name += ", every third on edges instead of greys" if gradients and members > 2 else ""
    name += ", beside each a line through a histogram of oriented gradients," if gradients else ""
    return f"{name} with the preprocessing inside"


def _tell_search(facts: Facts) -> str:
    tune, asked = facts.tune, facts.params["tune"]
    if not asked["enabled"]:
        return "No search: the hyperparameters are those of `model` in params.yaml."
    score, default = show(tune.get("best_score")), show(tune.get("default_score"))
    return (
        f"Search: {asked['strategy']}, {tune.get('completed')} of {tune.get('trials')} trials "
        f"completed, {asked['epochs']} epochs each, judged by {asked['objective']} on validation "
        f"images. Best: trial {tune.get('best_trial')} with {score}; the default model (trial 0) "
        f"had {default}."
    )


def _list_estimates(facts: Facts) -> list[tuple[str, ...]]:
    before = facts.figures.get("uncalibrated", {})
    return [
        (title, facts.number(name), facts.interval(name), _show_both(before, name))
        for name, title in TITLES.items()
        if name in facts.figures
    ]


def _show_both(figures: dict[str, Any], name: str) -> str:
    """'0.950 (0.930 to 0.965)'; nothing where there is no such figure."""
    if figures.get(name) is None:
        return ""
    interval = show_interval(figures, name)
    return show(figures[name]) + (f" ({interval})" if interval else "")


def _list_besides(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    methods = {"delong": "DeLong 1988", "wilson": "Wilson 1927"}
    return [
        (title, show(figures[name]), show_interval(figures, f"{name}_{method}"), source)
        for name, title in TITLES.items()
        for method, source in methods.items()
        if figures.get(f"{name}_{method}_low") is not None
    ]


def _list_thresholds(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    names = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
    return [
        (rule + (" (chosen)" if rule == figures["rule"] else ""), show(row["threshold"]))
        + tuple(_show_both(row, name) or "none" for name in names)
        for rule, row in figures.get("thresholds", {}).items()
    ]


def _list_prevalences(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (prevalence, *(_show_both(row, name) or "none" for name in ("ppv", "npv")))
        for prevalence, row in figures.get("at_prevalence", {}).items()
    ]


def _list_subgroups(groups: Any) -> list[tuple[Any, ...]]:
    names = ("auc", "sensitivity", "specificity")
    return [
        (row["by"], row["group"], row["images"], row["patients"])
        + tuple(_show_both(row, name) or "none" for name in names)
        + (
            "; ".join(
                filter(None, ["small" if row["small"] in (True, "true") else "", row["note"]])
            ),
        )
        for row in groups.to_dict("records")
    ]


def _list_misses(facts: Facts) -> list[tuple[str, ...]]:
    misses = list_misses(facts.predictions, facts.figures["threshold"]).head(WORST)
    return [(r["path"], str(r["label"]), show(r["p"])) for r in misses.to_dict("records")]
