"""Axes in words and files, and what they expand to."""

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


def test_commas_in_brackets_do_not_divide():
    axis = parse_axis('data.columns=["a", "b"],["c"]')
    assert [v.changes for v in axis.variants] == [{"data.columns": ["a", "b"]}, {"data.columns": ["c"]}]


def test_variant_of_several_keys():
    variant = parse_variant("plain: embedding.kind=patch, embedding.receptive_field=wavelet")
    assert variant == Variant("plain", {"embedding.kind": "patch", "embedding.receptive_field": "wavelet"})


@pytest.mark.parametrize("text", ["embedding.wavelet", "embedding.wavelet=", "=haar", "wavelet=haar"])
def test_slips_in_an_axis_are_refused(text):
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        parse_axis(text)


@pytest.mark.parametrize("text", ["embedding.kind=patch", ": embedding.kind=patch"])
def test_slips_in_a_variant_are_refused(text):
    with pytest.raises(ConfigError, match="--variant: expected name"):
        parse_variant(text)


def test_one_at_a_time_is_the_base_and_each_change():
    axes = [parse_axis("embedding.wavelet=haar,db4"), parse_axis("embedding.level=2")]
    found = expand(Config(), axes, grid=False)
    assert list(found) == ["base", "embedding.wavelet=haar", "embedding.level=2"]  # db4 is the base's own
    assert found["embedding.level=2"] == Config().replace({"embedding.level": 2})


def test_grid_is_every_combination_and_the_base():
    axes = [parse_axis("embedding.wavelet=haar,db4"), parse_axis("embedding.level=2,3")]
    found = expand(Config(), axes, grid=True)
    pairs = {(c.embedding.wavelet, c.embedding.level) for c in found.values()}
    assert pairs == {("haar", 2), ("haar", 3), ("db4", 2), ("db4", 3)}
    assert len(found) == 4
    assert found["base"] == Config()


def test_a_change_without_effect_is_left_out():
    base = Config().replace({"backbone.name": "none"})
    assert list(expand(base, [parse_axis("backbone.layers=1,2")], grid=False)) == ["base"]


def test_what_no_model_could_be_built_of_is_refused_beforehand_by_its_variant():
    with pytest.raises(ConfigError, match=r"variant 'embedding.level=99': .*level 99"):
        expand(Config(), [parse_axis("embedding.level=99")], grid=False)
    twice = Axis("x", (Variant("a", {"embedding.level": 1}), Variant("a", {"embedding.level": 2})))
    with pytest.raises(ConfigError, match="two variants have the name 'a'"):
        expand(Config(), [twice], grid=False)


def test_the_shipped_list_covers_every_option_in_question():
    axes = read_axes(EVERY_AXIS)
    keys = {key for axis in axes for variant in axis.variants for key in variant.changes}
    embedding = "kind receptive_field kernel_size wavelet level boundary norm bands band_weights shrink projection"
    embedding += " positions semantic learnable pad"
    assert {f"embedding.{name}" for name in embedding.split()} <= keys
    assert {"prompt.template", "model.prototypes", "model.skip", "backbone.layers", "backbone.precision"} <= keys
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
        ("[[variant]]\nname = 'a'\naxis = 'x'", "number 1: expected exactly axis, name and set"),
    ],
)
def test_slips_in_a_file_of_axes_are_refused(tmp_path, text, message):
    file = tmp_path / "axes.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_axes(file)
