"""Report, model card and pictures: whole, escaped, the same again, and honest about gaps."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.facts import ResultPaths, gather_external, gather_facts, list_misses
from pneumonia.evaluation.page import escape_cell, write_card, write_pages, write_report
from pneumonia.evaluation.pictures import PICTURES, describe
from pneumonia.evaluation.report import Folders, report
from pneumonia.files import hash_file, write_csv, write_json
from pneumonia.params import Params

EVIL = '<script>alert("1")</script>|`x`$_^$'
DECISION = {
    "calibration": {"method": "temperature", "temperature": 2.0},
    "threshold": 0.5,
    "thresholds": {"youden": 0.5, "sensitivity": 0.3, "specificity": 0.7, "cost": 0.2},
    "rule": "youden",
}
TRIALS = """trial,status,score,val_auc,width,depth,norm,learning_rate,message
0,COMPLETED,0.8,0.8,24,3,batch,0.003,
1,COMPLETED,0.9,0.9,8,3,group,0.0001,
2,FAILED,,,8,4,batch,0.01,out of memory
"""


def make_result(folder: Path, params: Params, labels: np.ndarray, raw: np.ndarray) -> ResultPaths:
    """The files of one evaluated result in `folder`, of labels int (N,) and scores (N,)."""
    paths = ResultPaths(folder / "metrics", folder / "plots", folder / "models", folder / "split")
    paths.models.mkdir(parents=True)
    (paths.models / "model.keras").write_bytes(b"a model")
    counts = {"images": 80, "patients": 40, "pneumonia": 50, "no_pneumonia": 30}
    data = {"name": "own", "files": 243, "used": 240, "left_out": 3, "patients": 120}
    data |= {"parts": dict.fromkeys(("train", "val", "test"), counts)}
    write_json(paths.metrics / "data.json", data | {"reasons": {f"not an image {EVIL}": 3}})
    train = {"parameters": 1234, "epochs": 3}
    write_json(paths.metrics / "train.json", train)
    best = {"best_score": 0.9, "best_trial": 1, "completed": 2, "default_score": None, "trials": 3}
    write_json(paths.metrics / "tune.json", best)
    chosen = {"width": 8, "members": 3, "gradients": True}
    write_json(paths.models / "hyperparameters.json", chosen)
    paths.plots.mkdir()
    (paths.plots / "trials.csv").write_text(TRIALS)
    columns = [f"{p}_{m}" for m in ("loss", "accuracy") for p in ("train", "val", "test")]
    epochs = pd.DataFrame({name: [0.9, 0.5, 0.6] for name in columns})
    write_csv(paths.plots / "epochs.csv", epochs.assign(epoch=[1, 2, 3]))
    shifts = {"shift": ["none", "noisy"], "auc": [0.9, 0.8], "accuracy": [0.9, 0.7]}
    write_csv(paths.plots / "shift.csv", pd.DataFrame(shifts))
    count = len(labels)
    rows = pd.DataFrame({"path": [f"{EVIL}-{i}.png" for i in range(count)]})
    rows = rows.assign(group=[f"p{i // 2}" for i in range(count)], view=["AP", EVIL] * (count // 2))
    write_csv(paths.split / "manifest.csv", rows)
    facts = {"data": "own", "model_sha256": hash_file(paths.models / "model.keras")}
    facts |= {f"shift_{n}_{w}": 0.8 for n in ("auc", "accuracy") for w in ("mean", "worst")}
    facts |= {"other_rim_auc": 0.4321, "other_rim_accuracy": 0.5}
    folders = Folders(paths.split, paths.models, paths.metrics / "evaluate.json", paths.plots)
    settings = params.evaluate.model_copy(update={"bootstrap_draws": 100})
    part = Part(np.zeros((count, 4, 4), "uint8"), labels)
    report(part, raw, rows, DECISION, settings, 1, folders, facts)
    return paths


def make_scores(count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) // 2 % 2
    noise = np.random.default_rng(1).normal(0, 2, count)
    return labels, 1 / (1 + np.exp(-(3 * labels - 1.5 + noise)))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ResultPaths:
    params = load_own_params()
    paths = make_result(tmp_path_factory.mktemp("result"), params, *make_scores())
    write_pages(paths, params.model_dump(exclude={"tracking"}))
    return paths


def load_own_params() -> Params:
    from pneumonia.params import load_params

    return load_params(Path("params.yaml"))


class Outline(HTMLParser):
    """The tags of a page that is well nested, their attributes, and its text."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_page_holds_everything_and_needs_nothing(result: ResultPaths) -> None:
    page = (result.plots / "report.html").read_text()
    outline = Outline(page)
    pictures = [a["src"] for tag, a in outline.tags if tag == "img"]
    assert len(pictures) == len(PICTURES) + 1
    assert all(str(src).startswith("data:image/png;base64,") for src in pictures)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", page)
    assert len(page) < 1_000_000
    figures = json.loads((result.metrics / "evaluate.json").read_text())
    shown = " ".join(outline.text.split())
    assert describe(figures, "auc").replace(" (", " ").rstrip(")") in shown
    for words in ("Files found: 243", "Left out: 3", "Intended use", "Limits", figures["rule"]):
        assert words in shown
    assert "of an image of the other class, AUC 0.432, accuracy 0.500" in shown
    assert figures["model_sha256"] in shown
    assert "mean of 3 convolutional networks, every third on edges instead of greys" in shown


def test_names_of_files_columns_and_reasons_are_escaped(result: ResultPaths) -> None:
    page = (result.plots / "report.html").read_text()
    assert "script" not in {tag for tag, _ in Outline(page).tags}
    assert EVIL in Outline(page).text
    card = (result.models / "card.md").read_text()
    assert "<script" not in card
    (row,) = (line for line in card.splitlines() if "script" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 7


def test_flow_diagram_is_an_image_of_its_own(result: ResultPaths) -> None:
    page = (result.plots / "report.html").read_text()
    tags = Outline(re.findall(r"<svg.*?</svg>", page, re.DOTALL)[0]).tags
    _, _, width, height = (float(x) for x in str(tags[0][1]["viewbox"]).split())
    boxes = [
        [float(str(a[name])) for name in ("x", "y", "width", "height")]
        for tag, a in tags
        if tag == "rect"
    ]
    assert len(boxes) == 6
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)


def test_the_pages_say_who_judged_the_validation_images(
    result: ResultPaths, params: Params
) -> None:
    said = "not learnt from its patient"
    told = params.model_dump(exclude={"tracking"})
    for enabled in (False, True):
        told["train"] |= {"cross_fit": enabled}
        write_pages(result, told)
        for page in (result.plots / "report.html", result.models / "card.md"):
            assert (said in page.read_text()) == enabled


def test_same_result_gives_the_same_bytes(result: ResultPaths, params: Params) -> None:
    names = [result.plots / "report.html", result.models / "card.md", result.plots / "trials.png"]
    before = [hash_file(name) for name in names]
    write_pages(result, params.model_dump(exclude={"tracking"}))
    assert [hash_file(name) for name in names] == before


def test_leaks_and_warnings_of_the_data_are_said(
    result: ResultPaths, params: Params, tmp_path: Path
) -> None:
    facts = gather_facts(result, params.model_dump(exclude={"tracking"}))
    leaks = {"patients": 2, "kept": True, "repaired": False}
    data = facts.data | {"published": leaks, "warnings": [f"brightness tells the label {EVIL}"]}
    for name, write in (("page.html", write_report), ("card.md", write_card)):
        write(tmp_path / name, facts)
        assert "too good" not in (tmp_path / name).read_text()
        write(tmp_path / name, replace(facts, data=data))
        text = (tmp_path / name).read_text()
        assert "patients or pictures are on two sides" in text
        assert "To look at" in text
        assert "<script" not in text


def test_page_for_handing_over_names_commit_and_lock(
    result: ResultPaths, params: Params, tmp_path: Path
) -> None:
    facts = gather_facts(result, params.model_dump(exclude={"tracking"}))
    write_report(tmp_path / "page.html", facts, {"Git commit": "abc123", "dvc.lock (sha256)": EVIL})
    page = (tmp_path / "page.html").read_text()
    assert "abc123" in page
    assert EVIL not in page
    assert EVIL in Outline(page).text


def test_figures_of_another_model_are_refused(
    params: Params, tmp_path: Path, result: ResultPaths
) -> None:
    (tmp_path / "model.keras").write_bytes(b"another model")
    with pytest.raises(InputError, match=r"is not of .*model\.keras"):
        gather_facts(replace(result, models=tmp_path), params.model_dump())
    with pytest.raises(InputError, match=r"dvc repro"):
        gather_facts(replace(result, models=tmp_path / "none"), params.model_dump())


@pytest.mark.parametrize("case", ["one class", "not finite", "two patients", "constant"])
def test_parts_without_figures_give_a_page_that_says_why(
    case: str, params: Params, tmp_path: Path
) -> None:
    labels, raw = make_scores(4 if case == "two patients" else 40)
    if case == "one class":
        labels = np.ones_like(labels)
    raw = {"not finite": raw * np.nan, "constant": raw * 0 + 0.5}.get(case, raw)
    paths = make_result(tmp_path / "result", params, labels, raw)
    write_pages(paths, params.model_dump(exclude={"tracking"}))
    page = Outline((paths.plots / "report.html").read_text())
    assert "What could not be had" in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)
    for name in PICTURES:
        with Image.open(paths.plots / f"{name}.png") as picture:
            assert picture.width > 300


def test_page_of_an_external_set(params: Params, tmp_path: Path) -> None:
    paths = make_result(tmp_path / "result", params, *make_scores())
    figures = json.loads((paths.metrics / "evaluate.json").read_text())
    figures |= {"trained_on": "home", "model": "main", "left_out": {f"broken {EVIL}": 2}}
    figures |= {"drift": {"domain_auc": 0.9, "sentence": f"Inputs differ {EVIL}"}}
    figures = {name: value for name, value in figures.items() if not name.startswith("shift_")}
    write_json(tmp_path / "own.json", figures)
    shown = params.model_dump(include={"seed", "data", "evaluate", "augment"})
    write_report(tmp_path / "page.html", gather_external(tmp_path / "own.json", paths.plots, shown))
    page = Outline((tmp_path / "page.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    for words in ("external to the training data", "Inputs differ", "home", "pneumonia evaluate"):
        assert words in page.text


def test_misses_are_ranked_by_how_sure_they_were() -> None:
    table = pd.DataFrame({"path": list("abcd"), "label": [1, 0, 1, 0], "p": [0.1, 0.95, 0.9, 0.1]})
    assert list(list_misses(table, 0.5)["path"]) == ["b", "a"]
    assert list(list_misses(table.assign(p=np.nan), 0.5)["path"]) == []


def test_cells_of_the_card_cannot_break_its_tables() -> None:
    assert escape_cell("a|b\n<i>*c*") == r"a\|b &lt;i>\*c\*"


def test_card_is_made_from_the_result(result: ResultPaths, params: Params, tmp_path: Path) -> None:
    facts = gather_facts(result, params.model_dump(exclude={"tracking"}))
    write_card(tmp_path / "card.md", facts)
    card = (tmp_path / "card.md").read_text()
    assert card == (result.models / "card.md").read_text()
    headings = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert headings[:3] == ["Model", "Intended use", "Factors"]
    assert facts.number("auc") in card
    assert "other class: AUC 0.432, accuracy 0.500" in card.replace("\n", " ")
