"""Times through the public door: date formats, cutoffs, periods, time zones, and tables whose rows are counted."""

import contextlib
import io
import warnings
import zoneinfo
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.cli import run
from swt_time.errors import SWTTimeWarning, TableError

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_every_zone_of_the_tz_database": (
        "time zones",
        "a Parquet file with times in a zone of the tz database is forecast in that zone, at the times of pandas",
    ),
    "test_date_formats": ("dates", "dates in a format that is given or found are read as their author meant them"),
    "test_a_cutoff_is_read_as_the_dates_of_the_table": (
        "dates",
        "a cutoff is read as the dates of the table are, in its time zone",
    ),
}

CONTEXT, HORIZON = 4, 3
SIZES = {"d_model": 4, "patch_len": 2, "stride": 1, "wavelet": "haar", "level": 1, "device": "cpu", "split": "none"}


def new(**options) -> Forecaster:
    """A forecaster that is trained in no time: the closed form alone."""
    return Forecaster(horizon=HORIZON, context=CONTEXT, backbone="none", max_steps=0, **SIZES, **options)


def table(times, **options) -> pd.DataFrame:
    return pd.DataFrame({"date": times, "y": np.sin(np.arange(len(times))), **options})


def forecast_times(times, **options) -> list:
    """Times of the forecast of a model that is trained on a table with these times."""
    frame = table(times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        return new(**options).fit(frame).predict(frame)["date"].tolist()


def days(*texts: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(text) for text in texts]


@pytest.fixture(scope="module")
def model() -> Forecaster:
    """A trained model that forecasts tables of other series."""
    frame = pd.DataFrame({"unique_id": "s", "ds": pd.date_range("2020-01-01", periods=30), "y": np.arange(30) % 4})
    return new().fit(frame)


@pytest.fixture(scope="module")
def checkpoint(model: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("times") / "model"
    model.save(folder)
    return folder


def command(*words: object) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed on standard error."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        return run([str(word) for word in words]), stderr.getvalue()


# formats of dates


@pytest.mark.parametrize("day_first", [False, True])
@pytest.mark.parametrize("mark", ["/", "-"])
def test_the_gapless_reading_of_a_date_is_taken(day_first, mark):
    months = pd.date_range("2019-01-01", periods=14, freq="MS")
    found = forecast_times(
        [mark.join(map(str, (1, t.month) if day_first else (t.month, 1))) + f"{mark}{t.year}" for t in months]
    )
    assert found == days("2020-03-01", "2020-04-01", "2020-05-01")


def test_the_gapless_reading_is_judged_for_each_series():
    """Neither series has a gap, but the days of both together have."""
    january, march = pd.date_range("2024-01-01", periods=8), pd.date_range("2024-05-01", periods=8)
    frame = pd.DataFrame(
        {
            "unique_id": ["a"] * 8 + ["b"] * 8,
            "ds": [f"{t.day}/{t.month}/{t.year}" for t in [*january, *march]],
            "y": np.arange(16.0),
        }
    )
    with pytest.raises(TableError, match=r"day and month is ambiguous .*set data\.date_format to %d/%m/%Y or %m/%d"):
        new().fit(frame[frame["unique_id"] == "a"])
    with pytest.warns(SWTTimeWarning, match="dates were parsed as %d/%m/%Y"):
        found = new().fit(frame).predict(frame)
    assert found["ds"].tolist() == days(
        "2024-01-09", "2024-01-10", "2024-01-11", "2024-05-09", "2024-05-10", "2024-05-11"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"frequency": "MS"}, days("2024-11-01", "2024-12-01", "2025-01-01")),
        ({"frequency": "D"}, days("2024-01-11", "2024-01-12", "2024-01-13")),
        ({"date_format": "%m/%d/%Y"}, days("2024-11-01", "2024-12-01", "2025-01-01")),
        ({"date_format": "%d/%m/%Y"}, days("2024-01-11", "2024-01-12", "2024-01-13")),
        ({"date_format": "%-d/%-m/%Y"}, days("2024-01-11", "2024-01-12", "2024-01-13")),
    ],
)
def test_frequency_or_format_decide_between_gapless_readings(options, expected):
    assert forecast_times([f"{i}/1/2024" for i in range(1, 11)], **options) == expected


def test_truly_ambiguous_dates_are_refused():
    for frequency in (None, "none"):
        with pytest.raises(TableError, match=r"column 'date': the order of day and month is ambiguous \(row 2: '1/1/2"):
            new(frequency=frequency).fit(table([f"{i}/1/2024" for i in range(1, 11)]))


MONTHS = pd.date_range("2024-01-01", periods=12, freq="MS")
NEXT_MONTHS = days("2025-01-01", "2025-02-01", "2025-03-01")


@pytest.mark.parametrize(
    ("times", "form", "expected"),
    [
        ([int(t.strftime("%Y%m")) for t in MONTHS], "%Y%m", NEXT_MONTHS),
        ([int(t.strftime("%m%Y")) for t in MONTHS], "%m%Y", NEXT_MONTHS),  # without leading zeros
        ([t.strftime("%Y%m") for t in MONTHS], "%Y%m", NEXT_MONTHS),
        ([t.strftime("%b-%y") for t in MONTHS], "%b-%y", NEXT_MONTHS),
        ([t.strftime("%m/%Y") for t in MONTHS], "%m/%Y", NEXT_MONTHS),
        ([t.strftime("%m/%Y") for t in MONTHS], None, NEXT_MONTHS),
        ([f"{2022 + i // 4}Q{i % 4 + 1}" for i in range(12)], "%YQ%q", days("2025-01-01", "2025-04-01", "2025-07-01")),
        ([f"{2022 + i // 4}Q{i % 4 + 1}" for i in range(12)], None, days("2025-01-01", "2025-04-01", "2025-07-01")),
        ([f"Q{i % 4 + 1} {22 + i // 4}" for i in range(12)], "Q%q %y", days("2025-01-01", "2025-04-01", "2025-07-01")),
        ([f"2024-W{i:02}" for i in range(1, 13)], "%G-W%V", days("2024-03-25", "2024-04-01", "2024-04-08")),
        ([f"2024-W{i:02}" for i in range(1, 13)], None, days("2024-03-25", "2024-04-01", "2024-04-08")),
        ([f"2024 {i}" for i in range(1, 13)], "%Y %W", days("2024-03-25", "2024-04-01", "2024-04-08")),
        ([*range(1999, 2011)], "%Y", days("2011-01-01", "2012-01-01", "2013-01-01")),
        (
            [f"2024-01-01 {i:02}:00:00 UTC" for i in range(12)],
            "%Y-%m-%d %H:%M:%S %Z",
            days("2024-01-01T12Z", "2024-01-01T13Z", "2024-01-01T14Z"),
        ),
        (
            [f"2024-01-01 {i:02}:00:00 UTC" for i in range(12)],
            None,
            days("2024-01-01T12Z", "2024-01-01T13Z", "2024-01-01T14Z"),
        ),
        (
            [f"01.01.2024 {i:02}:00 +0130" for i in range(12)],
            "%d.%m.%Y %H:%M %z",
            days("2024-01-01T12:00+0130", "2024-01-01T13:00+0130", "2024-01-01T14:00+0130"),
        ),
    ],
    ids=lambda value: str(value)[:32],
)
def test_date_formats(times, form, expected):
    assert forecast_times(times, date_format=form) == expected


@pytest.mark.parametrize("times", [[int(t.strftime("%Y%m")) for t in MONTHS], [t.strftime("%b-%y") for t in MONTHS]])
def test_dates_that_have_no_certain_reading_are_refused_with_the_format_as_remedy(times):
    with pytest.raises(TableError, match=r"column 'date', row 2: .* data\.date_format"):
        new().fit(table(times))


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("%Y-%Q", r"data\.date_format '%Y-%Q': '%Q' is unknown"),
        ("%d.%m.", r"data\.date_format '%d\.%m\.' has no year"),
        ("%z %Y-%m-%d", r"expected the time zone \(%z or %Z\) at the end"),
        ("%Y-%m Q%q", r"a quarter \(%q\) stands beside a year only"),
        ("%Y%y Q%q", r"a quarter \(%q\) stands beside a year only"),
        ("%Y Q%q Q%q", r"a quarter \(%q\) stands beside a year only"),
        ("%Y%", r"data\.date_format '%Y%': '%' is unknown"),
        ("%d.%m.%Y", r"column 'date', row 2: '2024Q1' does not have the format '%d\.%m\.%Y' of data\.date_format"),
    ],
)
def test_wrong_formats_are_refused(form, error):
    with pytest.raises(TableError, match=error):
        new(date_format=form).fit(table(["2024Q1", "2024Q2", "2024Q3"]))


def test_a_format_of_the_training_table_does_not_bind_tables_with_iso_dates_or_timestamps(tmp_path):
    months = pd.date_range("2024-01-01", periods=9, freq="MS")
    forecaster = new(date_format="%Y%m").fit(table([int(t.strftime("%Y%m")) for t in months]))
    for times in (months, months.strftime("%Y-%m-%d")):
        assert forecaster.predict(table(times))["date"].tolist() == days("2024-10-01", "2024-11-01", "2024-12-01")


@pytest.mark.parametrize("where", ["column", "index", "level", "objects"])
@pytest.mark.parametrize("alias", ["h", "D", "W", "M", "Q", "Y"])
def test_periods_are_read_as_their_first_moment(where, alias):
    periods = pd.period_range("2022-01-01", periods=10, freq=alias)
    frame, name = pd.DataFrame({"unique_id": "a", "ds": periods[:7], "y": np.arange(7.0)}), "ds"
    if where == "index":
        frame = frame.drop(columns="unique_id").set_index("ds")
    elif where == "level":
        frame = frame.set_index(["unique_id", "ds"])
    elif where == "objects":
        frame[name] = frame[name].astype(object)
    forecaster = new().fit(frame)
    assert forecaster.predict(frame)["ds"].tolist() == periods[7:].start_time.tolist()


# cutoffs


def forecast_at(checkpoint: Path, folder: Path, times: list, cutoff: object, *more: object) -> list[str] | str:
    """Times of a forecast with a cutoff by the command line, or its error."""
    pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(len(times))}).to_csv(folder / "t.csv", index=False)
    words = ("--data", folder / "t.csv", "--out", folder / "f.csv", "--cutoff", cutoff, *more)
    code, stderr = command("forecast", "--model", checkpoint, *words)
    if code:
        assert code == 2
        return stderr
    return pd.read_csv(folder / "f.csv", dtype=str)["ds"].tolist()


US = [f"{t.month}/{t.day}/{t.year}" for t in pd.date_range("2024-01-01", periods=100)]
UK = [f"{t.day}/{t.month}/{t.year}" for t in pd.date_range("2024-01-01", periods=100)]
ZONED = [f"2024-03-{day:02}T00:00+01:00" for day in range(20, 32)] + [f"2024-04-{d:02}T00:00+02:00" for d in (1, 2, 3)]


@pytest.mark.parametrize(
    ("times", "cutoff", "more", "expected"),
    [
        (US, "3/2/2024", (), "2024-03-03"),
        (UK, "3/2/2024", (), "2024-02-04"),
        (UK, "2024-02-03", (), "2024-02-04"),
        ([f"{day} 00:00" for day in UK], "3/2/2024", (), "2024-02-04"),
        ([t.strftime("%Y%m") for t in MONTHS], "202406", ("--date-format", "%Y%m"), "2024-07-01"),
        ([f"{2022 + i // 4}Q{i % 4 + 1}" for i in range(12)], "2023Q4", (), "2024-01-01"),
        ([f"2024-W{i:02}" for i in range(1, 13)], "2024-W09", (), "2024-03-04"),
        ([*range(1999, 2011)], "2005", ("--date-format", "%Y"), "2006-01-01"),
        ([*range(1000, 1020)], "1009", ("--freq", "none"), "1010"),
        (ZONED, "2024-03-31", (), "2024-04-01 00:00:00+02:00"),
        (ZONED, "2024-03-30T23:00Z", (), "2024-04-01 00:00:00+02:00"),
        ([f"2024-01-{day:02} 00:00:00 UTC" for day in range(1, 20)], "2024-01-09", (), "2024-01-10 00:00:00+00:00"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_cutoff_is_read_as_the_dates_of_the_table(checkpoint, tmp_path, times, cutoff, more, expected):
    found = forecast_at(checkpoint, tmp_path, times, cutoff, *more)
    assert found[0] == expected, found


@pytest.mark.parametrize(
    ("cutoff", "error"),
    [
        ("2023-12-31", "every series begins after the cutoff 2023-12-31, the first at 2024-01-01"),
        ("31/12/2023", "every series begins after the cutoff 31/12/2023"),
        ("2024-04-10", r"cutoff '2024-04-10' lies after the end of every series; expected a time up to 09/04/2024"),
        ("1/2/24", "cutoff '1/2/24' is not a time; expected one in the format of the table, such as 09/04/2024"),
        ("2/13/2024", "cutoff '2/13/2024' is not a time"),
        ("2024-02-03T00:00Z", "has a time zone, the table has none"),
    ],
)
def test_cutoffs_outside_the_table_or_of_another_format_are_refused(checkpoint, tmp_path, cutoff, error):
    found = forecast_at(checkpoint, tmp_path, UK, cutoff)
    assert isinstance(found, str)
    assert pd.Series([found]).str.contains(error).all(), found


def test_a_cutoff_between_the_ends_of_series_is_taken(checkpoint, tmp_path):
    frame = pd.DataFrame({"unique_id": ["a"] * 9 + ["b"] * 12, "ds": [*US[:9], *US[:12]], "y": np.arange(21)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ("--data", tmp_path / "t.csv", "--out", tmp_path / "f.csv", "--cutoff", "1/10/2024", "--freq", "D")
    code, stderr = command("forecast", "--model", checkpoint, *words, "--date-format", "%m/%d/%Y")
    assert code == 0, stderr
    assert pd.read_csv(tmp_path / "f.csv")["ds"].tolist()[::3] == ["2024-01-10", "2024-01-11"]


# rows that are counted


def test_an_integer_index_continues_with_the_following_integers(tmp_path):
    for column, expected in [(range(1900, 1930), [1930, 1931, 1932]), (range(0, 300, 10), [300, 310, 320])]:
        frame = pd.DataFrame({"ds": list(column), "y": np.sin(np.arange(30))})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            forecaster = new(frequency="none").fit(frame)
            found = forecaster.predict(frame)
        assert found["ds"].tolist() == expected
        assert found["ds"].dtype == frame["ds"].dtype
        forecaster.save(tmp_path / "model", overwrite=True)
        again = Forecaster.load(tmp_path / "model").predict(
            pd.concat([frame, found.rename(columns={"yhat": "y"})[["ds", "y"]]])
        )
        assert again["ds"].tolist() == [one + 3 * (expected[1] - expected[0]) for one in expected]


def test_an_integer_index_in_polars_and_cross_validation():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"ds": list(range(7, 40)), "y": np.sin(np.arange(33))}, schema_overrides={"ds": pl.Int32})
    forecaster = new(frequency="none").fit(frame)
    assert forecaster.predict(frame).schema["ds"] == pl.Int32
    assert forecaster.predict(frame)["ds"].to_list() == [40, 41, 42]
    folds = forecaster.cross_validation(frame, windows=2)
    assert folds["cutoff"].to_list() == [33] * 3 + [36] * 3
    assert folds["ds"].to_list() == [34, 35, 36, 37, 38, 39]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # bars of a market, from Monday to Friday
        (
            [
                t
                for t in pd.date_range("2024-01-04 14:00", "2024-01-09 20:00", freq="h")
                if t.weekday() < 5 and 14 <= t.hour <= 20
            ],
            days("2024-01-09 21:00", "2024-01-09 22:00", "2024-01-09 23:00"),
        ),
        # dekads
        (
            days(*[f"2024-{month:02}-{day:02}" for month in range(1, 6) for day in (1, 11, 21)]),
            days("2024-05-31", "2024-06-10", "2024-06-20"),
        ),
        # a step of days keeps the local time of day when daylight saving begins
        (
            [t for t in pd.date_range("2024-03-01", "2024-03-30", tz="Europe/Berlin") if t.day not in (9, 20)],
            list(pd.date_range("2024-03-31", periods=3, tz="Europe/Berlin")),
        ),
    ],
)
def test_irregular_times_continue_with_the_median_step_and_a_note(times, expected):
    frame = table(times)
    with pytest.raises(TableError, match=r"data\.frequency to none"):
        new().fit(frame)
    forecaster = new(frequency="none").fit(frame)
    with pytest.warns(SWTTimeWarning, match="rows are counted .* continue with the median step of"):
        found = forecaster.predict(frame)
    assert found["date"].tolist() == expected
    joined = pd.concat([frame, found.rename(columns={"yhat": "y"})[["date", "y"]]])
    assert len(forecaster.predict(joined)) == HORIZON


def test_missing_values_of_counted_rows_are_filled_by_rows(tmp_path):
    frame = pd.DataFrame({"ds": [1, 2, 4, 8, 16, 32, 64, 128], "y": [0, 1, np.nan, 3, 4, 5, 6, 7]})
    with pytest.raises(TableError, match=r"1 missing values \(NaN\)"):
        new(frequency="none").fit(frame)
    with pytest.warns(SWTTimeWarning, match="filled 1 values"):
        series = new(frequency="none", fill="linear").fit(frame).read_series(frame)
    assert series.values[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert series.times[0].tolist() == frame["ds"].tolist()


def test_counted_rows_are_drawn_and_scored(tmp_path):
    pytest.importorskip("matplotlib")
    pd.DataFrame({"ds": range(60), "y": np.sin(np.arange(60))}).to_csv(tmp_path / "t.csv", index=False)
    settings = [
        word
        for key, value in SIZES.items()
        if key not in ("device", "split")
        for word in ("--set", f"embedding.{key}={value}")
    ]
    data = ("--data", tmp_path / "t.csv")
    trained = command(
        "train",
        *data,
        "--out",
        tmp_path / "m",
        "--freq",
        "none",
        "--horizon",
        3,
        "--context",
        4,
        "--backbone",
        "none",
        "--max-steps",
        0,
        *settings,
    )
    assert trained[0] == 0, trained[1]
    for words in (
        (
            "forecast",
            "--model",
            tmp_path / "m",
            *data,
            "--out",
            tmp_path / "f.csv",
            "--plot",
            tmp_path / "f.png",
            "--cutoff",
            50,
        ),
        ("evaluate", "--model", tmp_path / "m", *data),
        ("bands", *data, "--out", tmp_path / "b.png", "--freq", "none", "--level", 2),
    ):
        code, stderr = command(*words)
        assert code == 0, stderr
    assert pd.read_csv(tmp_path / "f.csv")["ds"].tolist() == [51, 52, 53]


@pytest.mark.parametrize("name", ["ds", "t", "index", "date", "time"])
@pytest.mark.parametrize("values", [range(1900, 2200), range(2018, 2038), range(20)])
def test_integers_are_never_silently_years(name, values):
    frame = pd.DataFrame({name: list(values), "y": np.arange(float(len(values)))})
    for cells in (frame[name], frame[name].astype(str)):
        remedies = r"set data\.frequency to none if it counts rows, or data\.date_format to .* such as %Y"
        with pytest.raises(TableError, match=f"is a number, expected a date; {remedies}"):
            new(time_column=name).fit(frame.assign(**{name: cells}))


@pytest.mark.parametrize("name", ["year", "Year", "fiscal_year", " YEAR "])
def test_integers_in_a_column_of_years_are_years(name):
    frame = pd.DataFrame({name: range(2000, 2012), "y": np.arange(12.0)})
    for cells in (frame[name], frame[name].astype(str)):
        found = new(time_column=name).fit(frame.assign(**{name: cells})).predict(frame.assign(**{name: cells}))
        assert found[name].tolist() == days("2012-01-01", "2013-01-01", "2014-01-01")


# time zones


HARD_ZONES = [
    *("America/New_York", "America/Port-au-Prince", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Etc/GMT-14"),
    *("America/North_Dakota/New_Salem", "EST5EDT", "Asia/Kolkata", "UTC", "GB-Eire", "NZ-CHAT", "Africa/Porto-Novo"),
]


def forecast_in_zone(forecaster: Forecaster, zone: str, path: Path) -> None:
    """Forecast a Parquet file with times in a zone, as the command line does, and compare with pandas."""
    times = pd.date_range("2024-02-01", periods=CONTEXT + 3, freq="h", tz=zone)
    pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(7.0)}).to_parquet(path)
    for frame in (pd.read_parquet(path), pd.read_parquet(path, dtype_backend="pyarrow")):
        found = forecaster.predict(frame)["ds"]
        assert found.tolist() == pd.date_range(times[-1], periods=4, freq="h")[1:].tolist()
        assert str(found.dt.tz) == zone


@pytest.mark.parametrize("zone", HARD_ZONES)
def test_zones_of_any_name(model, zone, tmp_path):
    pytest.importorskip("pyarrow")
    if zone not in zoneinfo.available_timezones():
        pytest.skip("this system does not know the former names of zones")
    forecast_in_zone(model, zone, tmp_path / "t.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("zone", sorted(zoneinfo.available_timezones()))
def test_every_zone_of_the_tz_database(model, zone, tmp_path):
    pytest.importorskip("pyarrow")
    forecast_in_zone(model, zone, tmp_path / "t.parquet")


def test_there_are_zones():
    assert len(zoneinfo.available_timezones()) > 400


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("zone", ["America/New_York", "Etc/GMT+5"])
def test_zones_by_the_command_line(checkpoint, tmp_path, zone, suffix):
    pytest.importorskip("pyarrow")
    times = pd.date_range("2024-03-09", periods=9, freq="h", tz=zone)
    frame = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(9.0)})
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "t.parquet")
    out = tmp_path / f"f.{suffix}"
    code, stderr = command("forecast", "--model", checkpoint, "--data", tmp_path / "t.parquet", "--out", out)
    assert code == 0, stderr
    found = pd.read_parquet(out)["ds"] if suffix == "parquet" else pd.to_datetime(pd.read_csv(out)["ds"])
    assert [t.isoformat() for t in found] == [t.isoformat() for t in pd.date_range(times[-1], periods=4, freq="h")[1:]]


def test_text_with_several_offsets_keeps_the_wall_clock_of_days():
    with pytest.warns(SWTTimeWarning, match="several UTC offsets were read as local times of Europe/Berlin"):
        found = new().fit(table(ZONED)).predict(table(ZONED))["date"]
    assert [t.isoformat() for t in found] == [f"2024-04-0{day}T00:00:00+02:00" for day in (4, 5, 6)]


def test_python_times_with_several_offsets_keep_the_wall_clock_of_days():
    frame = table(pd.Series([pd.Timestamp(text).to_pydatetime() for text in ZONED], dtype=object))
    with pytest.warns(SWTTimeWarning, match="several time zones were read as local times of Europe/Berlin"):
        found = new().fit(frame).predict(frame)["date"]
    assert [t.isoformat() for t in found] == [f"2024-04-0{day}T00:00:00+02:00" for day in (4, 5, 6)]


def test_text_with_several_offsets_of_no_zone_keeps_the_wall_clock_without_a_zone():
    times = [text.replace("+01:00", "+01:10").replace("+02:00", "+02:10") for text in ZONED]
    with pytest.warns(SWTTimeWarning, match="were read as wall-clock times, whose steps are regular"):
        found = new().fit(table(times)).predict(table(times))["date"]
    assert found.tolist() == days("2024-04-04", "2024-04-05", "2024-04-06")


def test_hours_with_several_offsets_are_converted_to_utc():
    hours = pd.date_range("2024-03-30 20:00", periods=12, freq="h", tz="Europe/Berlin")
    with pytest.warns(SWTTimeWarning, match="several UTC offsets were converted to UTC"):
        found = new().fit(table([t.isoformat() for t in hours])).predict(table([t.isoformat() for t in hours]))["date"]
    assert found.tolist() == pd.date_range(hours[-1], periods=4, freq="h")[1:].tolist()


def test_filling_keeps_midnight_where_the_first_day_has_none():
    known = pd.DatetimeIndex(["2024-09-08 01:00", *[f"2024-09-{day:02}" for day in (9, 10, 12, 13, 14)]])
    frame = table(known.tz_localize("America/Santiago"))
    with pytest.warns(SWTTimeWarning, match="filled 1 values"):
        series = new(fill="linear").fit(table(pd.date_range("2024-01-01", periods=9))).read_series(frame)
    assert [t.hour for t in series.times[0]] == [1, 0, 0, 0, 0, 0, 0]
    assert series.frequency == "D"
