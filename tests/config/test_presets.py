"""Presets are valid configurations; the hash of a configuration does not depend on the defaults."""

import tomllib

import pytest
import torch

from swt_time import Forecaster
from swt_time.checkpoints.originals import time_llm_config
from swt_time.config import Config, identity, presets
from swt_time.config.choices import CLOSED_FORM_PARTS
from swt_time.config.identity import config_hash, config_of, options_of
from swt_time.config.presets import preset_names, read_preset
from swt_time.errors import ConfigError
from swt_time.model import build_model


def test_every_preset_is_a_valid_configuration_with_a_description():
    assert set(preset_names()) == {"auto", "panel", "fast", "paper", "best"}
    for name, purpose in preset_names().items():
        assert len(purpose) > 20
        Config.parse(read_preset(name))


def test_unknown_presets_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean fast"):
        read_preset("fats")
    with pytest.raises(ConfigError, match="unknown preset 'reference'"):
        read_preset("reference")


def test_paper_is_time_llm_with_the_wavelet_embedding():
    theirs = time_llm_config(
        {
            "backbone.name": "minilm",
            "backbone.layers": None,
            "backbone.precision": "auto",
            "data.context": 512,
            "data.horizon": 96,
            "embedding.kind": "wavelet",
            "embedding.wavelet": "db4",
            "embedding.level": 3,
            "embedding.patch_len": 16,
            "embedding.stride": 8,
            "embedding.d_model": 32,
            "model.d_ff": 128,
            "model.n_heads": 8,
            "model.prototypes": "mapping",
        }
    )
    ours = Config.parse(read_preset("paper"))
    assert ours.embedding == theirs.embedding
    assert ours.backbone == theirs.backbone
    assert ours.prompt == theirs.prompt
    kept = {"d_ff", "n_heads", "prototypes", "n_prototypes", "skip"}
    assert ours.model.model_dump(include=kept) == theirs.model.model_dump(include=kept)


def test_forecaster_takes_a_preset_and_what_is_given_wins():
    forecaster = Forecaster(horizon=24, preset="fast", wavelet="db2")
    fast = Config.parse(read_preset("fast"))
    assert forecaster.config == fast.replace({"data.horizon": 24, "embedding.wavelet": "db2"})
    assert Forecaster(backbone="minilm").config == Config()


def test_a_forecaster_of_which_only_the_table_is_described_is_automatic():
    auto = Config.parse(read_preset("auto"))
    assert Forecaster().config == auto
    given = {"data.horizon": 24, "data.context": 96, "training.seed": 3, "data.fill": "zero"}
    assert Forecaster(horizon=24, context=96, seed=3, fill="zero").config == auto.replace(given)
    assert Forecaster(horizon=24, max_steps=5).config == Config().replace({"data.horizon": 24, "training.max_steps": 5})


def test_options_build_the_configuration_again():
    config = Config().replace(
        {"embedding.wavelet": "haar", "data.columns": ["a", "b"], "training.max_steps": 7, "model.dropout": 0.3}
    )
    options = options_of(config)
    assert options == {
        "embedding.wavelet": "haar",
        "data.columns": ["a", "b"],
        "training.max_steps": 7,
        "model.dropout": 0.3,
        "backbone.prompt_attention": "prefix",  # defaults that are not the reference's
        "model.skip": "ridge",
        "model.closed_form": list(CLOSED_FORM_PARTS),
    }
    assert config_of(options) == config
    assert config_hash(config_of(options)) == config_hash(config) != config_hash(Config())


def test_where_a_run_happens_tells_no_results_apart():
    assert config_hash(Config().replace({"training.device": "cpu"})) == config_hash(Config())
    assert config_hash(Config().replace({"training.seed": 1})) != config_hash(Config())


def test_the_reference_holds_no_key_that_the_configuration_has_lost():
    file = tomllib.loads((presets.FOLDER / "reference.toml").read_text())
    Config.parse(file)


def test_a_changed_default_is_named_and_a_younger_key_at_its_default_is_not(monkeypatch):
    def with_reference(changes):
        now = {"model.skip": "ridge", "backbone.prompt_attention": "prefix"}
        now["model.closed_form"] = list(CLOSED_FORM_PARTS)
        whole = {**identity._reference(), **now, **changes}
        monkeypatch.setattr(identity, "_reference", lambda: {k: v for k, v in whole.items() if v is not None})
        return options_of(Config())

    assert with_reference({"embedding.level": 4}) == {"embedding.level": 3}
    monkeypatch.undo()
    assert with_reference({"embedding.norm": None}) == {}


SMALL = {
    "data.context": 48,
    "data.horizon": 6,
    "embedding.d_model": 8,
    "embedding.level": 2,
    "model.d_ff": 8,
    "model.n_heads": 2,
    "model.n_prototypes": 8,
    "model.skip": "linear",  # a ridge skip not yet solved hides all behind its gate
}
OTHER = {
    "embedding.kernel_size": 3,
    "embedding.receptive_field": "wavelet",
    "embedding.norm": True,
    "embedding.bands": "approx",
    "embedding.band_weights": "free",
    "embedding.shrink": "soft",
    "embedding.projection": "per_band",
    "embedding.semantic": True,
    "embedding.learnable": "lattice",
    "embedding.pad": "coefficient",
    "embedding.wavelet": "haar",
    "embedding.level": 1,
    "embedding.boundary": "zero",
    "data.description": "Other words.",
    "prompt.template": "paper",
    "model.prototypes": "mapping",
    "model.n_prototypes": 9,
    "model.attention_dropout": 0.5,
    "model.n_heads": 4,
    "model.skip": "none",
    "model.closed_form": [],
    "model.d_ff": 16,
    "backbone.random_init": True,
    "backbone.precision": "float16",
    "backbone.prompt_attention": "full",
    "backbone.layers": 1,
}


@pytest.mark.parametrize(
    "base",
    [
        {"backbone.name": "none"},
        {"backbone.name": "none", "embedding.kind": "patch"},
        {"backbone.name": "none", "embedding.kind": "patch", "embedding.receptive_field": "wavelet"},
        {"backbone.name": "attention"},
        {"backbone.name": "transformer"},
    ],
)
def test_an_option_is_left_out_exactly_where_it_changes_nothing(base):
    """Weights and forecasts of the same seed: equal where the hash is equal, different where it is not."""
    config = Config().replace({**SMALL, **base})
    window = torch.randn(2, 48, 1, generator=torch.Generator().manual_seed(1))

    def computed(one):
        torch.manual_seed(0)
        model = build_model(one).train()
        torch.manual_seed(0)
        output = model(window)
        for weight in model.parameters():
            output = torch.cat([output.flatten(), weight.detach().flatten()])
        return output

    expected = computed(config)
    for key, value in [*OTHER.items(), ("model.skip", "ridge")]:
        changed = config.replace({key: value})
        if changed == config:
            continue
        found = computed(changed)
        equal = found.shape == expected.shape and torch.equal(found, expected)
        assert (config_hash(changed) == config_hash(config)) == equal, key
