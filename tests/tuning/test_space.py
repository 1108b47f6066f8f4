"""What is searched: texts, files, keys and values that are allowed, and defaults for every preset."""

import warnings

import pytest

from swt_time.config import Config, preset_names, read_preset
from swt_time.errors import ConfigError, SWTTimeWarning
from swt_time.tuning.defaults import default_space
from swt_time.tuning.space import Choices, Range, check_space, configuration, parameters_of, parse_search, read_space

FAST = Config.parse(read_preset("fast")).replace({"data.context": 96})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding.level=2..6", ("embedding.level", Range(2, 6))),
        ("embedding.d_model= 8 .. 64 :log", ("embedding.d_model", Range(8, 64, log=True))),
        ("training.weight_decay=1e-4..1:log", ("training.weight_decay", Range(1e-4, 1, log=True))),
        ("data.context=96,auto", ("data.context", (96, "auto"))),
        ("model.closed_form=[],['season', 'last']", ("model.closed_form", ([], ["season", "last"]))),
        ("model.panel=true,false", ("model.panel", (True, False))),
    ],
)
def test_texts(text, expected):
    assert parse_search(text) == expected


@pytest.mark.parametrize("text", ["", "level=2..6", "embedding.level", "embedding.level=", "embedding.level= "])
def test_wrong_texts_say_what_is_expected(text):
    with pytest.raises(ConfigError, match=r"section\.key=low\.\.high"):
        parse_search(text)


def test_a_file_is_read_as_the_texts_are(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        '"embedding.level" = "2..6"\n[training]\nlearning_rate = "1e-4..1e-2:log"\n[model]\npanel = [true]\n'
    )
    assert read_space(path) == {
        "embedding.level": Range(2, 6),
        "training.learning_rate": Range(1e-4, 1e-2, log=True),
        "model.panel": (True,),
    }
    path.write_text('[embedding]\nwavelet = "haar"\n')
    with pytest.raises(ConfigError, match=r"embedding\.wavelet: expected a list of values or a range"):
        read_space(path)


@pytest.mark.parametrize(
    ("key", "asked", "message"),
    [
        ("embedding.levle", (1, 2), "did you mean embedding.level"),
        ("training.seed", (1, 2), "a lucky seed"),
        ("data.horizon", (12, 24), "scored on different values"),
        ("data.target", ("a", "b"), "scored on different values"),
        ("training.device", ("cpu", "cuda"), "does not change what is computed"),
        ("embedding.wavelet", Range(1, 2), "is not a number"),
        ("embedding.level", Range(1.5, 2.5), "is an integer"),
        ("model.dropout", Range(0.5, 0.1), "low < high"),
        ("training.learning_rate", Range(0.0, 0.1, log=True), "begins above 0"),
        ("model.dropout", Range(0.0, 1.0), r"model\.dropout=1.0: .*less than 1"),
        ("embedding.wavelet", ("haar", "dbx"), "expected the name of a discrete wavelet"),
        ("embedding.level", Range(2, 7), "the largest level that fits is 6"),
        ("embedding.wavelet", ("haar",), "the single value haar"),
    ],
)
def test_wrong_keys_and_values_are_refused_at_the_door(key, asked, message):
    with pytest.raises(ConfigError, match=message):
        check_space({key: asked}, FAST)


def test_nothing_to_search_is_refused():
    with pytest.raises(ConfigError, match="nothing is searched"):
        check_space({}, FAST)


def test_numbers_have_the_type_of_their_key_and_choices_hold_the_base():
    space = check_space({"model.dropout": Range(0, 0.75), "embedding.level": Range(2, 6)}, FAST)
    assert [type(space[key].low) for key in space] == [float, int]
    space = check_space(
        {"embedding.wavelet": ("db4", "sym4"), "data.context": ("auto", 48)}, FAST.replace({"embedding.level": 2})
    )
    assert space["embedding.wavelet"] == Choices(("haar", "db4", "sym4"))
    assert space["data.context"] == Choices((96, "auto", 48))


def test_values_that_need_each_other_are_allowed():
    """A context of 24 is too short for the level of the base, but not for a level that is searched too."""
    short = {"data.context": (24, 48)}
    with pytest.raises(ConfigError, match=r"data\.context=24"):
        check_space(short, FAST)
    space = check_space({**short, "embedding.level": Range(2, 4)}, FAST)
    assert space["data.context"] == Choices((96, 24, 48))


def test_a_key_without_effect_is_named():
    with pytest.warns(SWTTimeWarning, match=r"model\.n_heads has no effect beside the base"):
        check_space({"model.n_heads": (4, 8)}, FAST)


def test_parameters_and_configurations_are_inverse():
    space = check_space({"model.closed_form": (["season"], []), "embedding.level": Range(2, 6)}, FAST)
    parameters = {"model.closed_form": '["season"]', "embedding.level": 3}
    config = configuration(FAST, space, parameters)
    assert (config.model.closed_form, config.embedding.level) == (("season",), 3)
    assert parameters_of(config, space) == parameters
    assert configuration(FAST, space, parameters_of(FAST, space)) == FAST


def test_what_a_range_does_not_hold_is_no_parameter():
    space = {"data.context": Range(48, 96), "embedding.level": Range(2, 3)}
    assert parameters_of(FAST.replace({"data.context": "auto"}), space) == {}


@pytest.mark.parametrize("preset", [None, *preset_names()])
def test_defaults_are_valid_and_have_an_effect(preset):
    base = Config() if preset is None else Config.parse(read_preset(preset))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = check_space(default_space(base, (504, 240, 120)), base)
    assert 3 <= len(space) <= 6
    assert "data.context" in space


def test_defaults_leave_out_what_does_not_fit():
    base = FAST.replace({"data.context": 48, "embedding.level": 5, "model.panel": True})
    space = default_space(base, (120, 60, 30))
    assert space["data.context"] == (120, 60)  # 30 is too short for the level
    assert "data.context" not in default_space(base, ())
