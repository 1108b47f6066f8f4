"""Reports: what they say, how large they are, and what they refuse."""

import hashlib
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.report_facts import small_facts
from swt_time import Forecaster
from swt_time.errors import InputError, SWTTimeWarning, TableError
from swt_time.evaluation.trained import Trained
from swt_time.report import check_report, write_report
from swt_time.report.charts import Frame, thinned, ticks
from swt_time.report.curves import curves_ahead
from swt_time.report.facts import REFITTED, SEEN, UNSEEN, Facts, look_back
from swt_time.report.markup import shown
from swt_time.report.page import LARGEST, page, static
from swt_time.report.viewer import viewer_data
from swt_time.report.words import number


def daily(days: int, columns: int = 2, seed: int = 0) -> pd.DataFrame:
    rows, noise = np.arange(days), np.random.default_rng(seed)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=days, freq="D")})
    for k in range(columns):
        table[f"series {k}"] = 10 + k + 3 * np.sin(2 * np.pi * rows / 7) + noise.normal(size=days)
    return table


class Tables(HTMLParser):
    """The cells of each table by the start of its caption."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.text = self.caption = ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.rows = []
        if tag == "tr":
            self.rows.append([])
        self.text = "" if tag in ("caption", "th", "td") else self.text

    def handle_endtag(self, tag):
        if tag == "caption":
            self.caption = self.text
        if tag in ("th", "td"):
            self.rows[-1].append(self.text)
        if tag == "table":
            self.found[self.caption] = self.rows

    def handle_data(self, data):
        self.text += data

    def __getitem__(self, start: str) -> list[list[str]]:
        return next(rows for caption, rows in self.found.items() if caption.startswith(start))


def test_vendored_files_are_those_that_were_published():
    listed = dict(reversed(line.split()[1:]) for line in static("uPlot.txt").splitlines() if line.startswith("sha256 "))
    assert set(listed) == {"uPlot.iife.min.js", "uPlot.min.css"}
    folder = Path(__file__).parents[2] / "src/swt_time/report/static"
    for name, sha256 in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert "Permission is hereby granted, free of charge" in static("uPlot.txt")
    assert "(v1.6.32)" in static("uPlot.iife.min.js")[:100]


def test_numbers_of_a_report_are_those_of_the_library(tmp_path):
    """Forecast, intervals and errors against `predict`, and a backtest whose errors are computed here."""
    table = daily(80)
    forecaster = Forecaster(horizon=5).fit(table)
    write_report(forecaster, table, tmp_path / "r.html", windows=2)
    found = Tables((tmp_path / "r.html").read_text(encoding="utf-8"))
    forecast = forecaster.predict(table)
    one = forecast[forecast["unique_id"] == "series 1"].reset_index(drop=True)
    rows = found["Forecast of series 1"]
    assert rows[0] == ["Time", "Forecast", "80 % from", "80 % to", "95 % from", "95 % to"]
    columns = ["yhat", "yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    assert rows[1:] == [[str(one["date"][k].date()), *(number(one[c][k]) for c in columns)] for k in range(5)]
    again = Forecaster.from_config(forecaster.trained.checkpoint.config).backtest(table, windows=2)
    mine = float((again["y"] - again["yhat"]).abs().mean())
    values = {name: table[name].to_numpy() for name in ("series 0", "series 1")}
    cells = [(cut + k, name) for name in values for cut in (70, 75) for k in range(5)]
    naive = np.mean([abs(values[name][row] - values[name][row - 7]) for row, name in cells])
    rows = found["Errors over all cutoffs"]
    assert rows[1][0] == "swt-time"
    assert rows[1][2] == number(mine)
    assert (rows[2][0], rows[2][2]) == ("seasonal naive 7", number(float(naive)))
    assert REFITTED in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_report_says_what_the_model_had_seen(monkeypatch):
    table = daily(90, 1)
    series = Forecaster(horizon=4).read_series(table)
    all_rows = Forecaster(horizon=4).fit(table).trained
    assert look_back(all_rows, series, 1).how == REFITTED
    kept = Forecaster(horizon=4, split="0.7/0.1/0.2", model={"panel": True}).fit(table).trained
    assert look_back(kept, series, 1).how == UNSEEN
    monkeypatch.setattr(Trained, "is_closed_form", False)  # one that is trained by gradients is not fitted again
    assert look_back(all_rows, series, 1).how == SEEN


def test_what_was_repaired_and_left_out_is_said(tmp_path):
    table = daily(60, 3).melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    table.loc[10:12, "y"] = np.nan
    short = pd.DataFrame({"unique_id": "young", "ds": pd.date_range("2024-02-27", periods=2), "y": [1.0, 2.0]})
    forecaster = Forecaster(
        horizon=4, context=14, patch_len=4, stride=4, level=1, max_steps=0, fill="linear", short="skip"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        forecaster.fit(table)
    with pytest.warns(SWTTimeWarning, match="filled 3 values"):
        write_report(forecaster, pd.concat([table, short]), tmp_path / "r.html", windows=1)
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "filled 3 values in 1 series (linear)" in content
    assert "3, by linear interpolation" in content
    assert "1 of 4 series are too short and left out: &#x27;young&#x27;" in content
    with pytest.raises(TableError, match="young"):
        write_report(forecaster, pd.concat([table, short]), tmp_path / "r.html", strict=True)


def test_a_series_that_is_too_short_for_a_cutoff_has_a_report_without_errors(tmp_path):
    table = daily(80)
    forecaster = Forecaster(horizon=5, model={"panel": True}).fit(table)
    write_report(forecaster, table.tail(3), tmp_path / "r.html")
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No series is long enough to be forecast from a cutoff" in content
    assert "The series is too short for a wavelet view." in content or "A_1" in content


@pytest.mark.parametrize("many", [3, 30_000])
def test_a_report_is_smaller_than_a_megabyte(many):
    """As many series of a large table as fit are embedded, and the page says so."""
    facts = small_facts(3)
    series, ahead, copies = facts.series, facts.ahead, np.resize(np.arange(3), many)
    wide = replace(
        series, ids=tuple(f"series <{i:05d}> & more 'words'" for i in range(many)), order=(),
        values=tuple(series.values[i] for i in copies), times=(series.times[0],) * many,
        observed=tuple(series.observed[i] for i in copies), labels={},
    )  # fmt: skip
    around = {name: one[copies] for name, one in ahead.around.items()}
    content = page(
        Facts("title", facts.trained, wide, replace(ahead, series=wide, yhat=ahead.yhat[copies], around=around))
    )
    size = len(content.encode())
    assert size < LARGEST
    assert f'"total":{many}' in content
    if many == 3:
        assert content.count('"n":') == 3
    else:
        assert size > 0.6 * LARGEST  # the budget is used
        assert 500 < content.count('"n":') < many


def test_of_many_series_an_even_sample_is_scored(monkeypatch):
    monkeypatch.setattr("swt_time.report.facts.MOST_SCORED", 2)
    facts = small_facts(3)
    past = look_back(facts.trained, facts.series, 1)
    assert past.folds.series.ids == ("series 0", "series 2")
    assert past.how.endswith("2 of 3 series were scored, which are spread evenly over the table and long enough.")


def test_embedded_curves_are_exact_to_what_can_be_seen():
    facts = small_facts(3)
    values = viewer_data(facts, 100_000)
    assert [one["n"] for one in values["series"]] == list(facts.ahead.series.ids)
    for index, one in enumerate(values["series"]):
        curves = curves_ahead(facts.ahead, index)
        span = np.ptp(np.concatenate([curves.context, curves.yhat]))
        np.testing.assert_allclose(one["f"], curves.yhat, atol=1e-4 * span)
        np.testing.assert_allclose(one["y"], curves.context[-one["c"] :], atol=1e-4 * span)
        times = values["times"][one["t"]]
        assert times["count"] == one["c"] + len(one["f"])
        assert pd.Timestamp(times["from"], unit="s") == facts.series.times[index][-one["c"]]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e15])
def test_values_of_any_size_are_drawn(scale):
    facts = small_facts(3)
    series = replace(facts.ahead.series, values=tuple(scale * one for one in facts.ahead.series.values))
    around = {name: scale * one for name, one in facts.ahead.around.items()}
    ahead = replace(facts.ahead, series=series, yhat=scale * facts.ahead.yhat, around=around)
    content = page(replace(facts, ahead=ahead))
    assert "nan" not in "".join(re.findall(r' d="([^"]*)"', content))
    one = viewer_data(replace(facts, ahead=ahead), 100_000)["series"][0]
    np.testing.assert_allclose(one["f"], scale * facts.ahead.yhat[0], rtol=1e-2)


def test_a_chart_keeps_the_lowest_and_the_highest_value():
    y = np.sin(np.arange(10_000.0))
    y[5000], y[7000] = 9.0, -9.0
    x, kept = thinned(np.arange(10_000.0), y)
    assert len(kept) <= 240
    assert (kept.max(), kept.min()) == (9.0, -9.0)
    assert (np.diff(x) > 0).all()
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Frame((0.0, 1.0), (0.0, 1.0)).down(np.array([0.0, 1.0])).tolist() == [198.0, 8.0]


def test_a_lone_surrogate_and_a_long_name_are_shown_in_one_line():
    assert shown("\ud83d<b>") == "?<b>"
    assert shown("x" * 10**7, 50) == "x" * 35 + "..." + "x" * 12
    assert shown("a\nb\tc") == "a b c"


@pytest.mark.parametrize(
    ("name", "words"), [("r.txt", "ends in .html"), ("no/r.html", "does not exist"), ("folder.html", "is a folder")]
)
def test_a_wrong_path_is_refused_before_any_work(name, words, tmp_path):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match=words):
        check_report(tmp_path / name)


def test_commands_write_reports(swt_time, tmp_path):
    daily(80).to_csv(tmp_path / "table.csv", index=False)
    data = ("--data", tmp_path / "table.csv")
    swt_time("forecast", *data, "--horizon", 4, "--out", tmp_path / "f.csv", "--save", tmp_path / "model")
    made = swt_time("report", "--model", tmp_path / "model", *data, "--out", tmp_path / "r.html", "--title", "<Demand>")
    assert made.stdout == f"report: {tmp_path / 'r.html'}\n"
    assert "<h1>&lt;Demand&gt;</h1>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    swt_time(
        "backtest", *data, "--horizon", 4, "--windows", 2, "--report", tmp_path / "b.html", "--out", tmp_path / "b.csv"
    )
    content = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "fitted before the first cutoff" in content
    assert "80 % interval" in content
    assert not any(name.startswith("yhat-") for name in pd.read_csv(tmp_path / "b.csv").columns)
    refused = swt_time("report", "--model", tmp_path / "model", *data, "--out", tmp_path / "table.csv", check=False)
    assert refused.returncode == 2
