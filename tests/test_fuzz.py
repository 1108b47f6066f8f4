"""Arbitrary inputs give a finite forecast or a typed error, and never another exception.

200 examples of each property, 10,000 with ``HYPOTHESIS_PROFILE=nightly``.
"""

import datetime
import functools
import importlib.util
import json
import math
import shutil
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from support import trust
from swt_time import Forecaster
from swt_time.config import Config, dotted_keys, parse_assignment, read_config_file
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.errors import BackboneError, CheckpointError, ConfigError, InputError, TableError
from swt_time.model import build_embedding

# Ten thousand examples take longer than the default timeout of a test.
pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("_on_record")]

tried: dict[str, list[bool]] = {}


def counted(claim: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Count the examples of a property, and those that passed, for the trust results."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def one(*arguments: Any, **named: Any) -> None:
            outcomes = tried.setdefault(claim, [])
            outcomes.append(False)
            test(*arguments, **named)
            outcomes[-1] = True

        return one

    return decorate


@pytest.fixture(scope="module")
def _on_record():
    yield
    command = "make fuzz" if settings.get_current_profile_name() == "nightly" else "python -m pytest tests/test_fuzz.py"
    for claim, outcomes in tried.items():
        trust.record("trust_tables.csv", "fuzzing", claim, len(outcomes), sum(outcomes), command)


# Fixtures are shared by the examples on purpose: tables and folders are only read, or overwritten by each example.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TINY = {"d_model": 4, "patch_len": 2, "stride": 1, "wavelet": "haar", "level": 1, "max_steps": 2, "device": "cpu"}
TINY |= {"keep_branch": True}  # too short to judge it


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    """A model trained on a long table, which forecasts tables with any columns."""
    days = pd.date_range("2020-01-01", periods=30)
    table = pd.DataFrame({"unique_id": "s", "ds": days, "y": np.arange(30.0) % 7})
    return Forecaster(horizon=2, context=3, backbone="none", data={"split": "none"}, **TINY).fit(table)


def forecast_or_refusal(forecaster: Forecaster, table: Any) -> bool:
    """Return whether the table was forecast; fail unless the forecast is finite or an ``InputError`` is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            forecast = forecaster.predict(table)
        except InputError:
            return False
    assert len(forecast) > 0
    assert np.isfinite(np.asarray(forecast["yhat"], dtype=float)).all()
    is_missing = pd.DataFrame.isna if isinstance(forecast, pd.DataFrame) else pl.DataFrame.null_count
    assert not np.asarray(is_missing(forecast)).any()
    return True


# Tables in memory

NAMES = st.sampled_from(["ds", "date", "unique_id", "y", "Y", "y ", "", "a", "größe", "Unnamed: 0", "year", "🌊"])
STARTS = st.datetimes(datetime.datetime(1600, 1, 1), datetime.datetime(2400, 1, 1))
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]
STEPS = ["h", "15min", "D", "W", "B", "MS", "ME", "QS", "YE", "7h", "3D", "s", "37us"]
CELLS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=8),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.times(),
    st.binary(max_size=4),
    st.decimals(allow_nan=True),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from(
        [pd.NA, pd.NaT, np.nan, np.float16(1), np.int8(3), np.datetime64("NaT"), pd.Timestamp(0, tz="UTC")]
    ),
)
KINDS = [
    st.floats(),
    st.floats(-10, 10),
    st.floats(-10, 10) | st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**70), 2**70),
    st.integers(1900, 2100),
    st.integers(0, 10).map(str),
    st.text(max_size=6),
    st.booleans(),
    st.datetimes(),
    st.dates(),
    st.sampled_from(["2024-01-01", "2024-01-02", "03/01/2024", "04.01.24", "2024-W05", "1e3", "1,5", "NaN", ""]),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.timedeltas(),
    CELLS,
]
DTYPES = [
    None,
    "object",
    "category",
    "string",
    "Int64",
    "Float64",
    "boolean",
    "float16",
    "float32",
    "uint8",
    "int64[pyarrow]",
    "double[pyarrow]",
    "string[pyarrow]",
    "Sparse[float]",
    "complex128",
    "period[D]",
    "timedelta64[s]",
    "datetime64[s]",
    "datetime64[ns, Europe/Berlin]",
]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> tuple[str, list[Any]]:
    """A column name, and cells of one kind or of a mixture."""
    return draw(NAMES), draw(st.lists(draw(st.sampled_from(KINDS)), min_size=rows, max_size=rows))


@st.composite
def regular_times(draw: st.DrawFn, rows: int) -> pd.DatetimeIndex:
    """Regular timestamps in any time zone and of any frequency."""
    start, step = draw(STARTS), draw(st.sampled_from(STEPS))
    unit = draw(st.sampled_from(["s", "ms", "us"])) if step != "37us" else "us"
    times = pd.date_range(start.replace(microsecond=0), periods=rows, freq=step, unit=unit)
    zone = draw(st.sampled_from([None, None, *ZONES]))
    return times if zone is None else times.tz_localize("UTC").tz_convert(zone)


@st.composite
def cells_by_name(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    """Columns of a valid table, of a valid table with some columns replaced or added, or arbitrary columns."""
    rows = draw(st.integers(0, 8))
    made: dict[str, Any] = {}
    if draw(st.booleans()):
        made[draw(st.sampled_from(["ds", "date", "time"]))] = draw(regular_times(rows))
        made["y"] = draw(st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows))
    return rows, made | dict(draw(st.lists(columns(rows), max_size=3)))


@st.composite
def pandas_frames(draw: st.DrawFn) -> pd.DataFrame:
    """A pandas table with arbitrary dtypes, index and order of rows."""
    rows, made = draw(cells_by_name())
    dtypes = [draw(st.sampled_from([None, None, None, *DTYPES])) for _ in made]
    change = draw(st.sampled_from(["none", "none", "shuffle", "repeat", "index", "numbers", "levels"]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = pd.DataFrame(made, index=range(rows))
            for name, dtype in zip(made, dtypes, strict=True):
                frame[name] = frame[name] if dtype is None else frame[name].astype(dtype)
            if change == "shuffle":
                frame = frame.sample(frac=1, random_state=0)
            elif change == "repeat":
                frame = pd.concat([frame, frame])
            elif change == "index" and len(frame.columns):
                frame = frame.set_index(frame.columns[0])
            elif change == "numbers":
                frame.columns = range(len(frame.columns))
            elif change == "levels":
                frame.columns = pd.MultiIndex.from_product([["a"], frame.columns])
            repr(frame)
    except Exception:  # a table that pandas itself cannot build or show is not tested
        frame = None
    assume(frame is not None)
    return frame


@st.composite
def polars_frames(draw: st.DrawFn) -> pl.DataFrame:
    """A polars table with arbitrary dtypes."""
    _, made = draw(cells_by_name())
    kinds = [None, None, None, pl.Categorical, pl.Object, pl.Float32, pl.Int128, pl.UInt8, pl.Time, pl.Datetime("ns")]
    dtypes = [draw(st.sampled_from(kinds)) for _ in made]
    frame = None
    try:
        series = [
            pl.Series(name, cells.to_pydatetime().tolist() if isinstance(cells, pd.DatetimeIndex) else cells)
            if dtype is None
            else pl.Series(name, cells, dtype=dtype, strict=False)
            for (name, cells), dtype in zip(made.items(), dtypes, strict=True)
        ]
        frame = pl.DataFrame(series)
    except (Exception, pl.exceptions.PanicException):  # a table that polars itself cannot build is not tested
        frame = None
    assume(frame is not None)
    return frame


@shared
@given(frame=pandas_frames())
@counted("arbitrary pandas tables give a finite forecast or are refused")
def test_arbitrary_pandas_tables(forecaster: Forecaster, frame: pd.DataFrame):
    forecast_or_refusal(forecaster, frame)


@shared
@given(frame=polars_frames())
@counted("arbitrary polars tables give a finite forecast or are refused")
def test_arbitrary_polars_tables(forecaster: Forecaster, frame: pl.DataFrame):
    forecast_or_refusal(forecaster, frame)


@shared
@given(
    frame=pandas_frames(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "fill": st.sampled_from(["linear", "ffill", "zero"]),
            "frequency": st.sampled_from([*STEPS, "H", "M", "Q", "0D", "-1h", "1.5h", "C", "SMS", "", "h h"])
            | st.text(max_size=5),
            "target": NAMES,
            "columns": st.lists(NAMES, max_size=2),
            "id_column": NAMES,
            "time_column": NAMES,
        },
    ),
)
@counted("tables read with arbitrary options are finite and without gaps, or are refused")
def test_arbitrary_reading_options(frame: pd.DataFrame, options: dict[str, Any]):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = to_series(frame, **options)
        except TableError:
            return
        assert all(np.isfinite(values).all() and len(values) for values in table.values)
        assert list(table.ids) == sorted(set(table.ids))
        for times, values in zip(table.times, table.values, strict=True):
            assert len(times) == len(values)
            assert (times[1:] > times[:-1]).all()
        assert len(table.future(3)) == 3 * len(table.ids)
        assert not table.future(3).isna().any()


# Tables as files

CSV_CELLS = st.sampled_from(
    [
        "2024-01-01",
        "2024-01-02",
        "2024-01-03 12:00",
        "1",
        "2.5",
        "-3e2",
        "1e999",
        "NaN",
        "",
        " ",
        "x",
        "1,5",
        '"1,5"',
        '"',
        "a",
        "ä",
        "\x00",
    ]
) | st.text(max_size=5)


@shared
@given(
    rows=st.lists(st.lists(CSV_CELLS, max_size=4), max_size=6),
    header=st.lists(NAMES, max_size=4),
    mark=st.sampled_from([",", ";", "\t", "|", ", "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
@counted("arbitrary CSV files give a finite forecast or are refused")
def test_arbitrary_csv_files(forecaster, tmp_path, rows, header, mark, end, encoding):
    path = tmp_path / "table.csv"
    text = end.join(mark.join(cells) for cells in [header, *rows])
    path.write_bytes(text.encode(encoding, errors="replace"))
    try:
        table = read_table(path)
    except TableError:
        return
    forecast_or_refusal(forecaster, table)


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """Changes to a file: bytes overwritten, inserted, deleted, truncated or repeated, and the places."""
    one = st.tuples(
        st.sampled_from(["overwrite", "insert", "delete", "truncate", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([b'"', b",", b";", b"\n", b"\0", b"\xff", b"-", b"9", b"e", b"NaN", b"{", b"[", b"1e999"])
        | st.binary(min_size=1, max_size=8),
    )
    return draw(st.lists(one, min_size=1, max_size=3))


def damaged(raw: bytes, damage: list[tuple[str, float, bytes]]) -> bytes:
    for how, where, new in damage:
        at = int(where * len(raw))
        if how == "overwrite":
            raw = raw[:at] + new + raw[at + len(new) :]
        elif how == "insert":
            raw = raw[:at] + new + raw[at:]
        elif how == "delete":
            raw = raw[:at] + raw[at + len(new) :]
        elif how == "truncate":
            raw = raw[:at]
        else:
            raw = raw[:at] + raw[at : at + 8 * len(new)] + raw[at:]
    return raw


HOURS = pd.date_range("2024-01-01", periods=12, freq="h")
VALID = pd.DataFrame({"date": HOURS, "a": np.arange(12) / 7, "b": np.arange(12) ** 2})


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents of valid table files of each kind."""
    folder = tmp_path_factory.mktemp("valid")
    VALID.to_csv(folder / "csv", index=False)
    VALID.to_csv(folder / "semicolons", index=False, sep=";", decimal=",")
    VALID.to_csv(folder / "gzip", index=False, compression="gzip")
    for kind in ("bz2", "xz", "zip"):
        VALID.to_csv(folder / kind, index=False, compression=kind)
    pytest.importorskip("pyarrow")
    VALID.to_parquet(folder / "parquet", index=False)
    if importlib.util.find_spec("openpyxl") is not None:
        VALID.to_excel(folder / "excel.xlsx", index=False, engine="openpyxl")
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["csv", "semicolons", "gzip", "bz2", "xz", "zip", "parquet", "excel"])
@shared
@given(damage=damages())
@counted("table files with damaged bytes give a finite forecast or are refused")
def test_damaged_table_files(forecaster, tmp_path, valid_files, kind, damage):
    if kind == "excel":
        pytest.importorskip("openpyxl")
    path = tmp_path / "table"
    path.write_bytes(damaged(valid_files[kind], damage))
    try:
        table = read_table(path)
    except TableError:
        return
    forecast_or_refusal(forecaster, table)


def test_valid_tables_are_forecast(forecaster, tmp_path, valid_files):
    """The control of the tests above: a reader that refused everything would pass them."""
    assert {"csv", "semicolons", "gzip", "bz2", "xz", "zip", "parquet"} <= set(valid_files)
    for raw in valid_files.values():
        (tmp_path / "table").write_bytes(raw)
        assert forecast_or_refusal(forecaster, read_table(tmp_path / "table"))
    assert forecast_or_refusal(forecaster, pl.from_pandas(VALID))
    assert to_series(VALID, frequency="h", fill="linear").ids


# Configurations

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = dotted_keys(Config)
WORDS = ["patch", "haar", "db4", "causal", "approx", "softmax", "per_band", "band", "lattice", "free", "soft", "none"]
VALUES = PLAIN | st.integers(-2, 64) | st.sampled_from(WORDS)


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    """Nested values, mostly under known keys."""
    made: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(KEYS) | st.text(max_size=6), max_size=6)):
        section, _, name = key.partition(".")
        place = made.setdefault(section, {})
        if name and isinstance(place, dict):
            place[name] = draw(VALUES)
        else:
            made[section] = draw(PLAIN)
    return made


def usable_or_refused(values: Any) -> bool:
    """Return whether the values are a usable configuration; fail if anything but a ``ConfigError`` is raised."""
    try:
        config = Config.parse(values)
        assert Config.parse(json.loads(config.to_json())) == config
        size = config.embedding
        if max(size.d_model, size.patch_len, size.stride, size.level, config.data.context) < 2000:
            build_embedding(size, config.data.context)
    except ConfigError:
        return False
    return True


@shared
@given(values=sections() | PLAIN)
@counted("arbitrary nested values are a valid configuration or are refused")
def test_arbitrary_configurations(values: Any):
    usable_or_refused(values)


@shared
@given(
    text=st.text(max_size=60) | PLAIN.map(lambda value: json.dumps(value)), suffix=st.sampled_from([".toml", ".json"])
)
@counted("arbitrary TOML and JSON files are read or refused")
def test_arbitrary_configuration_files(tmp_path, text, suffix):
    path = tmp_path / f"config{suffix}"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        values = read_config_file(path)
    except ConfigError:
        return
    usable_or_refused(values)


TOML = b"""[data]
horizon = 6
context = 48
columns = ["a", "b"]

[embedding]
wavelet = "haar"
patch_len = 8

[training]
learning_rate = 1e-3
max_seconds = 20.5
"""


JSON = json.dumps(tomllib.loads(TOML.decode()), indent=1).encode()


@pytest.mark.parametrize("kind", ["toml", "json"])
@shared
@given(damage=damages())
@counted("configuration files with damaged bytes are read or refused")
def test_damaged_configuration_files(tmp_path, kind, damage):
    path = tmp_path / f"config.{kind}"
    path.write_bytes(damaged(TOML if kind == "toml" else JSON, damage))
    try:
        values = read_config_file(path)
    except ConfigError:
        return
    usable_or_refused(values)


@shared
@given(
    texts=st.lists(
        st.tuples(
            st.sampled_from(KEYS) | st.text(max_size=8),
            st.sampled_from(["=", "", " = ", "=="]),
            VALUES.map(str) | PLAIN.map(json.dumps),
        ).map("".join)
        | st.text(max_size=20),
        max_size=3,
    )
)
@counted("--set with arbitrary text is accepted or refused")
def test_arbitrary_assignments(texts: list[str]):
    try:
        config = Config().replace(dict(parse_assignment(text) for text in texts))
    except ConfigError:
        return
    assert isinstance(config, Config)


def test_valid_configurations_are_accepted(tmp_path):
    """The control of the tests above."""
    for suffix, raw in ((".toml", TOML), (".json", JSON)):
        path = tmp_path / f"config{suffix}"
        path.write_bytes(raw)
        assert usable_or_refused(read_config_file(path))
    assert Config().replace(dict([parse_assignment("data.horizon=6")])).data.horizon == 6


# Checkpoints


@pytest.fixture(scope="module")
def checkpoint(forecaster: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid checkpoint folder."""
    folder = tmp_path_factory.mktemp("checkpoints") / "valid"
    forecaster.save(folder)
    return folder


@shared
@given(which=st.integers(0, 20), damage=damages())
@counted("checkpoints with damaged bytes give a finite forecast or are refused")
def test_damaged_checkpoints(checkpoint, tmp_path, which, damage):
    names = sorted(path.name for path in checkpoint.iterdir())
    name = names[which % len(names)]
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    (folder / name).write_bytes(damaged((checkpoint / name).read_bytes(), damage))
    try:
        loaded = Forecaster.load(folder, device="cpu")
    except (BackboneError, CheckpointError, ConfigError):
        return
    forecast_or_refusal(loaded, VALID)


def test_a_valid_checkpoint_forecasts(checkpoint):
    """The control of the test above."""
    assert forecast_or_refusal(Forecaster.load(checkpoint, device="cpu"), VALID)


FORMER_FAILURES = {
    "ids without a scale": (
        "scaler.json",
        b'{"layout": "long", "frequency": "D", "ids": ["s"], "mean": [], "deviation": []}',
    ),
    "a scale that is text": (
        "scaler.json",
        b'{"layout": "long", "frequency": "D", "ids": ["s"], "mean": ["0"], "deviation": [1]}',
    ),
    "a scale that is NaN": (
        "scaler.json",
        b'{"layout": "long", "frequency": "D", "ids": ["s"], "mean": [NaN], "deviation": [1]}',
    ),
    "a scale of zero": (
        "scaler.json",
        b'{"layout": "long", "frequency": "D", "ids": ["s"], "mean": [0], "deviation": [0]}',
    ),
    "an id that is a number": (
        "scaler.json",
        b'{"layout": "long", "frequency": "D", "ids": [1], "mean": [0], "deviation": [1]}',
    ),
    "a history that is not UTF-8": ("history.csv", b"\xffstep\n1\n"),
}


@pytest.mark.parametrize("failure", FORMER_FAILURES)
def test_damage_that_was_once_accepted_is_refused(checkpoint, tmp_path, failure):
    name, content = FORMER_FAILURES[failure]
    shutil.copytree(checkpoint, tmp_path / "damaged")
    (tmp_path / "damaged" / name).write_bytes(content)
    with pytest.raises(CheckpointError):
        Forecaster.load(tmp_path / "damaged", device="cpu")


@pytest.mark.parametrize("planted", [KeyError("y"), ValueError("bare"), math.nan])
def test_untyped_exceptions_and_nan_are_detected(forecaster, monkeypatch, planted):
    """Planted violations of `forecast_or_refusal`."""

    def predict(table: Any) -> pd.DataFrame:
        if isinstance(planted, Exception):
            raise planted
        return pd.DataFrame({"yhat": [planted]})

    monkeypatch.setattr(forecaster, "predict", predict)
    with pytest.raises((KeyError, ValueError, AssertionError)):
        forecast_or_refusal(forecaster, VALID)
