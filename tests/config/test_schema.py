"""Configurations refuse unknown keys and values, and are unchanged by a round trip through files."""

import json

import pytest

from swt_time.config import Config, nearest_names, parse_assignment, read_config_file
from swt_time.errors import ConfigError
from swt_time.model import build_model


def test_round_trip_through_json():
    config = Config().replace({"embedding.wavelet": "sym5", "data.columns": ("a", "b"), "training.max_steps": 7})
    assert Config.parse(json.loads(config.to_json())) == config


def test_toml_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[data]\nhorizon = 24\n[embedding]\nwavelet = "haar"\n')
    config = Config.parse(read_config_file(path))
    assert (config.data.horizon, config.embedding.wavelet, config.data.context) == (24, "haar", 512)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"data": {"horizont": 3}}, "unknown configuration key 'data.horizont'; did you mean data.horizon"),
        ({"dta": {}}, "unknown configuration key 'dta'"),
        ({"data": {"horizon": 0}}, "data.horizon: expected greater than or equal to 1, got 0"),
        ({"training": {"loss": "mape"}}, "training.loss: expected 'mse', 'mae', 'huber' or 'quantile', got 'mape'"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate"),
        ({"training": {"max_seconds": 1e308}}, "training.max_seconds: expected less than or equal to 1000000000"),
        ({"data": {"context": 8}}, "embedding.patch_len 16 is longer than data.context 8"),
    ],
)
def test_wrong_values_are_named(values, text):
    with pytest.raises(ConfigError) as error:
        Config.parse(values)
    assert text in str(error.value)


@pytest.mark.parametrize("key", ["horizon", "data.horzon", "dat.horizon"])
def test_unknown_key_suggests_the_right_one(key):
    with pytest.raises(ConfigError, match=r"data\.horizon"):
        Config().replace({key: 5})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.learning_rate=1e-4", ("training.learning_rate", 1e-4)),
        ("embedding.semantic=true", ("embedding.semantic", True)),
        ("embedding.wavelet=db4", ("embedding.wavelet", "db4")),
        ('data.columns=["a", "b"]', ("data.columns", ["a", "b"])),
        ("data.split=0.7/0.1/0.2", ("data.split", "0.7/0.1/0.2")),
    ],
)
def test_assignments(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["horizon=3", "training.learning_rate", ""])
def test_malformed_assignments_are_refused(text):
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("name", "content"), [("a.toml", b"[data"), ("a.json", b"{"), ("a.json", b"[1]"), ("a.toml", b"\xff\xfe\x00")]
)
def test_broken_files_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        read_config_file(path)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"data": {"horizon": 2**20 + 1}}, "data.horizon"),
        ({"backbone": {"layers": 2000}}, "backbone.layers"),
        ({"embedding": {"d_model": 2**20}, "data": {"horizon": 720}}, "trained weights"),
        ({"data": {"description": "a " * 10_001}}, "data.description"),
    ],
)
def test_absurd_sizes_are_refused(values, text):
    with pytest.raises(ConfigError, match=text):
        Config.parse(values)


SIZES = {"data": {"context": 64, "horizon": 5}, "model": {"d_ff": 8, "n_heads": 2, "n_prototypes": 10}}


@pytest.mark.parametrize("name", ["none", "attention", "transformer", "gpt2"])
@pytest.mark.parametrize(
    "embedding",
    [
        {"kind": "patch", "kernel_size": 3},
        {"level": 2, "positions": "patch"},
        {"level": 2, "projection": "per_band", "semantic": True},
        {"bands": "approx"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("skip", "loss"), [("linear", "mse"), ("ridge", "mse"), ("linear", "quantile")])
def test_least_weights_are_no_more_than_the_model_has(tiny_backbones, name, embedding, skip, loss):
    """Checkpoints with fewer weights are refused, so the bound must hold, and must not be far too low."""
    place = {"name": str(tiny_backbones[name]) if name == "gpt2" else name}
    config = Config.parse({**SIZES, "embedding": {"d_model": 8, **embedding}, "backbone": place})
    config = config.replace({"model.skip": skip, "training.loss": loss})
    held = sum(weight.numel() for weight in build_model(config).trained_state().values())
    assert held / 4 < config.least_weights <= held


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none.toml"):
        read_config_file(tmp_path / "none.toml")


def test_number_of_patches():
    # Time-LLM: int((512 - 16) / 8 + 2)
    assert Config().n_patches == 64
    assert Config().replace({"data.context": 515}).n_patches == 64


def test_nearest_names_prefers_the_same_last_part():
    assert nearest_names("dropout", ["model.dropout", "data.horizon", "embedding.dropout"])[:2] == [
        "model.dropout",
        "embedding.dropout",
    ]
