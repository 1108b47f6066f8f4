"""Forecasters as ONNX graphs: equal forecasts by onnxruntime and by a reader of a few lines, without PyTorch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from support import onnx_reader
from support.promotions import promoted
from swt_time import CheckpointError, ConfigError, Forecaster, MissingDependencyError
from swt_time.checkpoints import Checkpoint, TrainedOn
from swt_time.config import Config
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import Uncertainty
from swt_time.exporting import export_onnx
from swt_time.exporting.onnx_files import onnx_graph
from swt_time.exporting.trained import exportable
from swt_time.intervals import Calibration, reach
from swt_time.model import build_model
from swt_time.model.alone import WEIGHT
from swt_time.model.weights import to_arrays
from swt_time.selection import Blend
from test_contracts import CONTEXT, EMBEDDINGS, HORIZON, TINY, member

TOLERANCE = 1e-5
"""Largest difference from a forecast in Python, in standard deviations of the series (networks: single precision)."""

EXACT = 1e-12
"""The same for what is computed in double precision."""

IDS = ["load", "heat"]
DEVIATION = np.array([30.0, 0.5])


@pytest.fixture(scope="module")
def values():
    """Values of two series with different levels and spreads, (900, 2)."""
    rng, hours = np.random.default_rng(0), np.arange(900)
    cycle = np.sin(2 * np.pi * hours / 24)
    return np.stack([1000 + 40 * cycle, 0.3 * np.roll(cycle, 6)], axis=1) + DEVIATION * rng.standard_normal((900, 2))


@pytest.fixture
def run(tmp_path):
    """Run a graph by onnxruntime and by the reader, which must agree, and return its outputs by name."""

    def both(content, feed, tolerance=1e-6):
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        assert {one.name for one in session.get_inputs()} == set(feed)
        found, read = dict(zip(names, session.run(names, feed), strict=True)), onnx_reader.run(path, feed)
        assert found.keys() == read.keys()
        for name in names:
            assert found[name].dtype == np.float64
            np.testing.assert_allclose(read[name] / DEVIATION, found[name] / DEVIATION, rtol=tolerance, atol=tolerance)
        return found

    return both


def trained(changes, seed=0):
    """A network with random weights, none of which is zero, as a trained model of two series."""
    config = Config.parse(TINY).replace(changes)
    torch.manual_seed(seed)
    model = build_model(config)
    with torch.no_grad():
        for weight in model.trained_state().values():
            weight += 0.05 * torch.randn_like(weight)
    on = TrainedOn("wide", "h", IDS, [1000.0, 0.0], DEVIATION.tolist())
    return Trained.build(Checkpoint(config, to_arrays(model.trained_state()), on), "cpu")


def assert_equal_windows(run, network, values, lengths=(CONTEXT, CONTEXT)):
    """The graph forecasts the ends of two series, of which so many rows are known, as the network does in Python."""
    history = values[-CONTEXT:].copy()
    for number, length in enumerate(lengths):
        history[: CONTEXT - length, number] = np.nan
    windows = history.T / DEVIATION[:, None]
    expected = network.forecast_windows(windows).T
    found = run(onnx_graph(network, Uncertainty()), {"history": history[None], "deviation": DEVIATION[None]})["yhat"]
    assert found.shape == (1, HORIZON, 2)
    assert np.ptp(expected) > 1e-3, "the control"
    np.testing.assert_allclose(found[0] / DEVIATION, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("one", EMBEDDINGS, ids=lambda one: one.name)
def test_every_embedding(one, run, values):
    assert_equal_windows(run, trained(one.changes), values)


NETWORKS = [
    *(member({"backbone.name": name, "model.skip": skip}) for name in ("attention", "transformer")
      for skip in ("none", "linear", "ridge")),
    member({"training.loss": "quantile", "model.skip": "none"}),
    member({"model.skip": "ridge"}),
]  # fmt: skip


@pytest.mark.parametrize("one", NETWORKS, ids=lambda one: one.name)
def test_every_network_without_a_language_model(one, run, values):
    assert_equal_windows(run, trained(one.changes), values)


@pytest.mark.parametrize("name", ["none", "attention", "transformer"])
@pytest.mark.parametrize("stride", [4, 7])
def test_padded_windows(name, stride, run, values):
    network = trained({"backbone.name": name, "data.short": "pad", "embedding.stride": stride})
    assert_equal_windows(run, network, values, lengths=(CONTEXT, 9))
    assert_equal_windows(run, network, values, lengths=(1, 30))


def test_a_planted_difference_is_found(run, values):
    network = trained({})
    other = trained({}, seed=1)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_equal_windows(run, replace_network(network, other.network), values)


def replace_network(network, module):
    """A trained model that forecasts by another network in Python, and exports its own."""
    object.__setattr__(network, "forecast_windows", lambda windows: Trained.forecast_windows(
        Trained(network.checkpoint, module), windows))  # fmt: skip
    return network


# --- intervals -------------------------------------------------------------------------------------------------

FORMS = {
    "plain": {},
    "phase": {"phase": 0.5},
    "growth": {"growth": 0.4},
    "season": {"season": 1},
    "week": {"season": 168, "phase": 1.0},
    "own": {"own": 0.5, "phase": 1.0},
    "own alone": {"own": 1.0, "growth": 0.0},
}
CHANGES = {"training.loss": "quantile", "model.skip": "ridge"}


def calibration(**changes):
    rng = np.random.default_rng(1)
    bounds = np.array([[-1.0, -0.5, -1.0], [1.0, 0.5, 1.0]])
    residuals = rng.standard_normal((120, HORIZON)).astype(np.float32)
    plain = Calibration(24, np.array([0.2, 0.3, -0.4, 0.5]), bounds, 0.0, -1.0, residuals)
    return replace(plain, **changes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [900, 130])
def test_intervals_of_every_form(form, rows, run, values):
    own = calibration(**FORMS[form])
    network = trained(CHANGES)
    network = replace(network, checkpoint=network.checkpoint.with_intervals(own, {}))
    forecaster = Forecaster.from_config(network.checkpoint.config)
    forecaster._found = network
    table = pd.DataFrame(values[-rows:], columns=IDS).assign(ds=pd.date_range("2024-01-01", periods=rows, freq="h"))
    expected = forecaster.predict(table, levels=(50, 90), quantiles=[0.3])
    feed = {"history": values[None, -rows:], "deviation": DEVIATION[None]}
    found = run(onnx_graph(network, Uncertainty((50, 90), (0.3,))), feed)
    assert set(found) == {"yhat", "yhat_lo_50", "yhat_hi_50", "yhat_lo_90", "yhat_hi_90", "quantile_0_3"}
    assert (found["yhat_hi_90"] > found["yhat_hi_50"]).all(), "the control"
    assert_equal_columns(found, expected, TOLERANCE)


def assert_equal_columns(found, expected, tolerance, deviation=DEVIATION):
    """Outputs (1, H, N) equal the columns of a forecast."""
    for name, output in found.items():
        column = name.removeprefix("quantile_").replace("0_", "0.") if name.startswith("q") else name.replace("_", "-")
        rows = expected[column].to_numpy().reshape(output.shape[2], -1).T
        np.testing.assert_allclose(
            output[0] / deviation, rows / deviation, rtol=tolerance, atol=tolerance, err_msg=name
        )


# --- tables ----------------------------------------------------------------------------------------------------

FAST = {"horizon": 12, "context": 48, "preset": "fast", "level": 2, "patch_len": 8, "stride": 4}


@pytest.fixture(scope="module")
def table(values):
    return pd.DataFrame(values, columns=IDS).assign(ds=pd.date_range("2024-01-01", periods=len(values), freq="h"))


@pytest.fixture(scope="module")
def fitted(table):
    """A closed form of hourly series."""
    return Forecaster(**FAST).fit(table)


def test_a_closed_form_forecasts_a_table(fitted, table, run, tmp_path):
    path = export_onnx(fitted, tmp_path / "out.onnx", levels=(80, 90), quantiles=[0.1])
    found = run(path.read_bytes(), {"history": table[IDS].to_numpy()[None]}, EXACT)
    assert_equal_columns(found, fitted.predict(table, levels=(80, 90), quantiles=[0.1]), EXACT)


def test_a_batch_of_series_with_different_lengths(table, values, run):
    lengths = {"a": 400, "b": 300, "c": 60}
    long = pd.concat(table[["ds", "load"]].tail(rows).assign(unique_id=name) for name, rows in lengths.items())
    long = long.rename(columns={"load": "y"})
    forecaster = Forecaster(**FAST).fit(long)
    history = np.full((3, 400, 1), np.nan)
    for row, rows in zip(history, lengths.values(), strict=True):
        row[-rows:, 0] = values[-rows:, 0]
    found = run(onnx_graph(forecaster.trained, Uncertainty((80,))), {"history": history}, EXACT)
    expected = forecaster.predict(long, levels=(80,))
    for name, output in found.items():
        assert output.shape == (3, 12, 1)
        wanted = expected[name.replace("_", "-")].to_numpy().reshape(3, 12)
        np.testing.assert_allclose(output[..., 0], wanted, rtol=EXACT)


def test_a_closed_form_forecasts_fewer_rows_than_its_context(table, run):
    forecaster = Forecaster(**FAST, short="pad").fit(table)
    few = table.tail(20)
    found = run(onnx_graph(forecaster.trained, Uncertainty((80,))), {"history": few[IDS].to_numpy()[None]}, EXACT)
    assert_equal_columns(found, forecaster.predict(few, levels=(80,)), EXACT)


@pytest.mark.parametrize("negative", [False, True])
def test_filled_values_are_no_observations(table, run, negative):
    """Gaps are filled for the forecast, not for the scale; negative values count wherever they were observed."""
    gaps = table[["ds", "heat"]].assign(heat=table["heat"].abs())
    gaps.loc[[860, 861, 862, 890], "heat"] = np.nan
    gaps.loc[3, "heat"] = -1.0 if negative else 1.0  # before the rows that the scale is made of
    forecaster = Forecaster(**FAST, fill="linear").fit(gaps)
    series = forecaster.read_series(gaps)
    feed = {"history": series.values[0][None, :, None], "observed": series.observed[0][None, :, None]}
    found = run(onnx_graph(forecaster.trained, Uncertainty((80, 95))), feed, EXACT)
    expected = forecaster.predict(gaps)
    assert reach(forecaster.trained.calibration.season) < 890, "the control"
    assert (found["yhat_lo_95"].min() < 0) == negative
    assert_equal_columns(found, expected, EXACT, deviation=1.0)


@pytest.fixture(scope="module")
def panel(table):
    """A forecaster with a panel."""
    return Forecaster(horizon=12, preset="panel").fit(table.tail(200))


def test_the_whole_weight_beside_a_panel(panel, fitted, table, run):
    """A network with all the weight forecasts no negative value where none was observed."""
    frame = table.assign(heat=np.exp(table["heat"]))[["ds", "heat"]]
    checkpoint = fitted.trained.checkpoint
    wild = {**checkpoint.weights, WEIGHT: 50 * checkpoint.weights[WEIGHT]}
    alone, beside = (
        with_weights(fitted, wild | more) for more in ({}, Blend(1.0, panel.trained.blend.panel).to_arrays())
    )
    found = run(onnx_graph(beside.trained, Uncertainty((80,))), {"history": frame[["heat"]].to_numpy()[None]}, EXACT)
    assert alone.predict(frame, levels=None)["yhat"].min() < 0, "the control"
    assert found["yhat"].min() == 0
    assert_equal_columns(found, beside.predict(frame, levels=(80,)), EXACT, deviation=1.0)
    assert exportable(beside, language_models=False) is beside.trained


def with_weights(forecaster, weights):
    """A forecaster with other weights, that forecasts any column."""
    checkpoint = forecaster.trained.checkpoint
    other = Forecaster.from_config(checkpoint.config)
    other._found = Trained.build(replace(checkpoint, weights=weights, trained_on=TrainedOn.unknown()), "cpu")
    return other


# --- what is written -------------------------------------------------------------------------------------------


def properties(content):
    return {one.key: one.value for one in onnx.load_from_string(content).metadata_props}


def test_the_file_says_what_it_expects(fitted):
    content = onnx_graph(fitted.trained, Uncertainty((80,)))
    model, known = onnx.load_from_string(content), properties(content)
    assert (known["context"], known["horizon"], known["frequency"]) == ("48", "12", "h")
    assert set(json.loads(known["columns"])["series"]) == set(IDS)
    assert json.loads(known["outputs"]) == {"yhat": "yhat", "yhat_lo_80": "yhat-lo-80", "yhat_hi_80": "yhat-hi-80"}
    assert json.loads(known["probabilities"]) == pytest.approx({"yhat-lo-80": 0.1, "yhat-hi-80": 0.9})
    assert json.loads(known["provenance"])["data_sha256"]
    assert known["swt_time_version"] == model.producer_version
    assert known["scaling"].startswith("none")
    assert "deviation" not in known
    assert [one.version for one in model.opset_import] == [17]
    shapes = [[d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim]
              for one in (*model.graph.input, model.graph.output[0])]  # fmt: skip
    assert shapes == [["batch", "rows", "series"], ["batch", 12, "series"]]
    assert all(one.doc_string for one in (*model.graph.input, *model.graph.output))


def test_a_network_says_its_scales():
    assert json.loads(properties(onnx_graph(trained({}), Uncertainty()))["deviation"]) == {"load": 30.0, "heat": 0.5}


def test_equal_models_give_equal_files(fitted, tmp_path):
    first, second = (export_onnx(fitted, tmp_path / f"{name}.onnx").read_bytes() for name in "ab")
    assert first == second


def test_a_level_that_the_residuals_do_not_allow_is_replaced(fitted):
    with pytest.warns(UserWarning, match="the level 99.99 needs"):
        known = properties(onnx_graph(fitted.trained, Uncertainty((99.99,))))
    assert "yhat-lo-99.99" not in json.loads(known["probabilities"])


# --- what is refused -------------------------------------------------------------------------------------------


def test_a_panel_is_refused(panel, tmp_path):
    with pytest.raises(CheckpointError, match=r"simple forecasters.*have \d+% of its forecast.*preset fast"):
        export_onnx(panel, tmp_path / "out.onnx")


def test_effects_are_refused(tmp_path):
    frame = promoted(207)
    forecaster = Forecaster(**(FAST | {"horizon": 7, "context": 28}), target="sales", known=("promotion",)).fit(
        frame.iloc[:200]
    )
    assert not forecaster.trained.effects.idle, "the control"
    with pytest.raises(CheckpointError, match="covariates or notes change its forecasts"):
        export_onnx(forecaster, tmp_path / "out.onnx")


def test_a_language_model_is_refused_before_it_is_loaded(tmp_path):
    from swt_time.checkpoints import locked, write_checkpoint
    from swt_time.language import BackboneIdentity

    network = trained({})
    config = network.checkpoint.config.replace({"backbone.name": str(tmp_path / "gone")})
    identity = BackboneIdentity("gone", "bert", 2, "0" * 64)
    with locked(tmp_path / "model"):
        write_checkpoint(tmp_path / "model", replace(network.checkpoint, config=config, backbone=identity))
    with pytest.raises(CheckpointError, match=r"needs the language model 'gone'; write a \.pt2 file"):
        export_onnx(tmp_path / "model", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.pb", r"cannot determine the format of .*out\.pb; expected a name ending in \.onnx"),
        ("gone/out.onnx", "the folder .*gone does not exist"),
        ("folder.onnx", "it is a folder"),
    ],
)
def test_a_path_that_cannot_be_written(fitted, tmp_path, name, message):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ConfigError, match=message):
        export_onnx(fitted, tmp_path / name)


def test_a_missing_package_is_named(fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[onnx\]'"):
        export_onnx(fitted, tmp_path / "out.onnx")


def test_a_model_without_intervals(fitted, tmp_path):
    weights = fitted.trained.checkpoint.weights
    forecaster = with_weights(fitted, {name: one for name, one in weights.items() if not name.startswith("intervals.")})
    assert list(json.loads(properties(export_onnx(forecaster, tmp_path / "a.onnx").read_bytes())["outputs"])) == [
        "yhat"
    ]
    with pytest.raises(CheckpointError, match="the model has no intervals"):
        export_onnx(forecaster, tmp_path / "b.onnx", levels=(50,))
    assert not (tmp_path / "b.onnx").exists()


# --- without PyTorch -------------------------------------------------------------------------------------------


def test_neither_export_nor_reader_load_pytorch(fitted, table, tmp_path):
    fitted.save(tmp_path / "model")
    np.save(tmp_path / "history.npy", table[IDS].to_numpy()[None])
    code = (
        "import sys; from swt_time.cli import run; import swt_time.exporting; assert 'onnx' not in sys.modules\n"
        "assert run(sys.argv[1:5]) == 0\n"
        "import numpy as np; from support import onnx_reader\n"
        "print(onnx_reader.run(sys.argv[2], {'history': np.load(sys.argv[5])})['yhat'].shape)\n"
        "assert not {'torch', 'transformers', 'onnxruntime', 'matplotlib'} & set(sys.modules)"
    )
    words = ["export", tmp_path / "out.onnx", "--model", tmp_path / "model", tmp_path / "history.npy"]
    # The reader stands in the folder of the tests.
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(1, 12, 2)"
