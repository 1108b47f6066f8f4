"""Axes and variants as text and in files, and the configurations they expand to."""

import pytest

from swt_time.config import Config
from swt_time.errors import ConfigError
from swt_time.evaluation.ablation import EVERY_AXIS, Axis, Variant, expand, parse_axis, parse_variant, read_axes


def test_axis_of_values():
    axis = parse_axis("embedding.wavelet=haar,db2")
    assert [v.name for v in axis.variants] == ["embedding.wavelet=haar", "embedding.wavelet=db2"]
    assert [v.changes for v in axis.variants] == [{"embedding.wavelet": "haar"}, {"embedding.wavelet": "db2"}]
    assert [v.changes for v in parse_axis("model.dropout=0.1, 0.5").variants] == [
        {"model.dropout": 0.1},
        {"model.dropout": 0.5},
    ]


def test_commas_in_brackets_do_not_separate():
    axis = parse_axis('data.columns=["a", "b"],["c"]')
    assert [v.changes for v in axis.variants] == [{"data.columns": ["a", "b"]}, {"data.columns": ["c"]}]


def test_variant_of_several_keys():
    variant = parse_variant("plain: embedding.kind=patch, embedding.receptive_field=wavelet")
    assert variant == Variant("plain", {"embedding.kind": "patch", "embedding.receptive_field": "wavelet"})


@pytest.mark.parametrize("text", ["embedding.wavelet", "embedding.wavelet=", "=haar", "wavelet=haar"])
def test_malformed_axis_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        parse_axis(text)


@pytest.mark.parametrize("text", ["embedding.kind=patch", ": embedding.kind=patch"])
def test_malformed_variant_is_refused(text):
    with pytest.raises(ConfigError, match=r"^variant: expected name: section\.key=value"):
        parse_variant(text)


def test_one_at_a_time_gives_the_base_and_each_change():
    axes = [parse_axis("embedding.wavelet=haar,db4"), parse_axis("embedding.level=2")]
    found = expand(Config(), axes, grid=False)
    assert list(found) == ["base", "embedding.wavelet=haar", "embedding.level=2"]  # db4 is the base's own
    assert found["embedding.level=2"] == Config().replace({"embedding.level": 2})


def test_grid_gives_the_base_and_every_combination():
    axes = [parse_axis("embedding.wavelet=haar,db4"), parse_axis("embedding.level=2,3")]
    found = expand(Config(), axes, grid=True)
    pairs = {(c.embedding.wavelet, c.embedding.level) for c in found.values()}
    assert pairs == {("haar", 2), ("haar", 3), ("db4", 2), ("db4", 3)}
    assert len(found) == 4
    assert found["base"] == Config()


def test_change_without_effect_is_left_out():
    base = Config().replace({"backbone.name": "none"})
    assert list(expand(base, [parse_axis("backbone.layers=1,2")], grid=False)) == ["base"]


def test_variant_of_which_no_model_can_be_built_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"variant 'embedding.level=99': .*level 99"):
        expand(Config(), [parse_axis("embedding.level=99")], grid=False)
    twice = Axis("x", (Variant("a", {"embedding.level": 1}), Variant("a", {"embedding.level": 2})))
    with pytest.raises(ConfigError, match="two variants have the name 'a'"):
        expand(Config(), [twice], grid=False)


def test_shipped_axes_cover_every_option_under_study():
    axes = read_axes(EVERY_AXIS)
    keys = {key for axis in axes for variant in axis.variants for key in variant.changes}
    embedding = "kind receptive_field kernel_size wavelet level boundary norm bands band_weights shrink projection"
    embedding += " positions semantic learnable pad"
    assert {f"embedding.{name}" for name in embedding.split()} <= keys
    assert {
        "prompt.template",
        "model.prototypes",
        "model.skip",
        "model.closed_form",
        "backbone.layers",
        "backbone.precision",
    } <= keys
    backbones = {v.changes.get("backbone.name") for axis in axes for v in axis.variants}
    assert {"none", "attention", "transformer", "minilm"} <= backbones
    names = [variant.name for axis in axes for variant in axis.variants]
    assert len(set(names)) == len(names)
    assert len(expand(Config(), axes, grid=False)) > 35


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has none"),
        ("[[axis]]\nname = 'a'", "got axis"),
        ("[[variant]]\nname = 'a'\naxis = 'x'", r"\[\[variant\]\] 1: expected exactly axis, name and set"),
    ],
)
def test_malformed_file_of_axes_is_refused(tmp_path, text, message):
    file = tmp_path / "axes.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_axes(file)
