"""Pictures: their formats, their names, their colours, and that they leave the host program alone."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.errors import InputError, MissingDependencyError, SWTTimeWarning
from swt_time.evaluation.ablation import Difference
from swt_time.evaluation.backtesting import cross_validate
from swt_time.evaluation.bands import decompose
from swt_time.pictures import check_picture, plot_bands, plot_calibration, plot_differences, plot_folds, plot_forecast
from swt_time.pictures.style import BLUE, GREEN, PURPLE, VERMILLION

pytest.importorskip("matplotlib")

HOSTILE = r"</text><script>alert(1)</script> $\frac{$ & \undefined{x}$"


@pytest.fixture(scope="module")
def table():
    """Two series, one with a name that is neither mathematics nor markup."""
    rows = np.arange(120)
    noise = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=120, freq="D"),
            HOSTILE: 10 + 3 * np.sin(2 * np.pi * rows / 7) + noise.normal(size=120),
            "calm": 5 + np.cos(2 * np.pi * rows / 7) + 0.1 * noise.normal(size=120),
        }
    )


@pytest.fixture(scope="module")
def forecaster(table):
    return Forecaster(horizon=7).fit(table)


@pytest.fixture(scope="module")
def draw(table, forecaster):
    """Functions that draw each kind of picture into a file."""
    series = forecaster.read_series(table)
    values = table["calm"].to_numpy()
    with pytest.warns(SWTTimeWarning, match="has seen the rows"):
        folds = cross_validate(forecaster.trained, series, 2)
    bands = decompose(values, wavelet="haar", level=2, boundary="periodic")
    differences = [
        Difference("a", 1.0, 0.1, 3, 1, -0.2, 0.1), Difference("b", 1.0, 0.1, 3, 1, 0.2, 0.1),
        Difference(HOSTILE, 1.0, 0.1, 3, 1, 0.01, 0.1),
    ]  # fmt: skip
    shares = np.full(10, 0.1)
    return {
        "forecast": lambda path: plot_forecast(forecaster, table, path, title=HOSTILE),
        "folds": lambda path: plot_folds(folds, path),
        "calibration": lambda path: plot_calibration({"swt-time": shares, HOSTILE: shares}, path),
        "bands": lambda path: plot_bands(bands, table["date"].to_numpy(), values, path, title=HOSTILE),
        "differences": lambda path: plot_differences(differences, path),
    }


KINDS = ("forecast", "folds", "calibration", "bands", "differences")


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawing_is_vectors_with_the_colours_of_the_style_and_equal_again(kind, draw, tmp_path):
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    draw[kind](one)
    draw[kind](other)
    assert one.read_bytes() == other.read_bytes()
    text = one.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # a name that became markup would not be well-formed
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "path" in tags
    assert tags.isdisjoint({"script", "image", "foreignObject"})
    assert any(colour.lower() in text.lower() for colour in (VERMILLION, BLUE))


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_the_suffix_names_the_format(suffix, start, draw, tmp_path):
    path = tmp_path / f"picture{suffix}"
    draw["calibration"](path)
    assert path.read_bytes().startswith(start)


def test_a_forecast_from_a_cutoff_shows_what_followed(forecaster, table, tmp_path):
    plot_forecast(forecaster, table, tmp_path / "past.svg", cutoff="2024-04-10", series=["calm"], levels=None)
    assert GREEN.lower() in (tmp_path / "past.svg").read_text().lower()
    plot_forecast(forecaster, table, tmp_path / "ahead.svg", series=["calm"], levels=None)
    assert GREEN.lower() not in (tmp_path / "ahead.svg").read_text().lower()


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG 2.1."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_are_those_of_okabe_and_ito_and_lines_can_be_seen_on_white():
    assert {VERMILLION, BLUE, GREEN, PURPLE} == {"#D55E00", "#0072B2", "#009E73", "#CC79A7"}
    assert min(contrast(colour, "#ffffff") for colour in (VERMILLION, BLUE, GREEN)) > 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_a_wrong_path_is_refused_before_any_work(tmp_path):
    for path, words in ((tmp_path / "a.txt", "ends in one of"), (tmp_path / "no" / "a.svg", "does not exist")):
        with pytest.raises(InputError, match=words):
            check_picture(path)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"swt-time\[plot\]"):
        check_picture(tmp_path / "a.svg")


def test_pictures_change_no_setting_of_the_host_and_load_no_pyplot(tmp_path):
    code = f"""
import sys, swt_time.pictures as pictures
assert "matplotlib" not in sys.modules
import matplotlib, numpy as np
from pathlib import Path
before = matplotlib.rcParams.copy()  # a look at "backend" would load pyplot
pictures.plot_calibration({{"swt-time": np.full(10, 0.1)}}, Path({str(tmp_path / "a.svg")!r}))
assert dict.__eq__(matplotlib.rcParams, before)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Path(tmp_path / "a.svg").stat().st_size > 1000
