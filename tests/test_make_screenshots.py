"""The parts of docs/make_screenshots.py that need no browser."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import make_screenshots
import pytest

from pneumonia.errors import InputError

PAGE = """<script src="https://cdn.example/npm/vega@5.20.2"></script>
<script src="https://cdn.example/npm/vega-lite@5.2.0"></script>
<script src="other.js"></script>"""


def write_script(modules: Path, name: str) -> None:
    (modules / name / "build").mkdir(parents=True)
    (modules / name / "build" / f"{name}.min.js").write_text("")


def test_comparison_names_runs_and_experiment() -> None:
    address = make_screenshots.address_comparison(["a1", "b2"], "7")
    query = parse_qs(urlsplit(urlsplit(address).fragment).query)
    assert {key: json.loads(value[0]) for key, value in query.items()} == {
        "runs": ["a1", "b2"],
        "experiments": ["7"],
    }


def test_the_roc_picture_is_one_runs() -> None:
    path = urlsplit(make_screenshots.address_roc("a1", "7")).fragment
    assert path == "/experiments/7/runs/a1/artifacts/plots/roc.png"


def test_vega_comes_from_the_folder(tmp_path: Path) -> None:
    for name in ("vega", "vega-lite"):
        write_script(tmp_path, name)
    page = make_screenshots.load_locally(PAGE, tmp_path)
    for name in ("vega", "vega-lite"):
        assert f'src="{tmp_path.as_uri()}/{name}/build/{name}.min.js"' in page
    assert "https://" not in page
    assert 'src="other.js"' in page


def test_a_script_that_is_missing_is_named(tmp_path: Path) -> None:
    write_script(tmp_path, "vega")
    with pytest.raises(InputError, match=r"vega-lite\.min\.js does not exist"):
        make_screenshots.load_locally(PAGE, tmp_path)
    with pytest.raises(InputError, match="loads no Vega script"):
        make_screenshots.load_locally("<html></html>", tmp_path)


@pytest.mark.parametrize("browser", ["false", "true"])
def test_a_browser_that_makes_no_picture_is_named(browser: str, tmp_path: Path) -> None:
    """`false` and `true` stand for browsers that crash and that write nothing."""
    with pytest.raises(InputError, match=f"{browser} made no picture of about:blank"):
        make_screenshots.take_picture(browser, "about:blank", tmp_path / "a.png", "10,10", 1)
    assert list(tmp_path.iterdir()) == []
