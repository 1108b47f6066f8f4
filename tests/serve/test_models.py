"""Models are found by name in one folder alone, loaded again when they were replaced, and never mixed."""

import shutil
import threading

import pytest

from serve.conftest import error_of, fitted, hourly, post_csv, service
from swt_time import Forecaster
from swt_time.errors import CheckpointError, ConfigError
from swt_time.serve import Settings
from swt_time.serve.models import Models, UnavailableModelError, UnknownModelError
from swt_time.serve.settings import Limits


def test_models_of_a_folder_are_listed_and_named(models):
    table = hourly(100)
    with service(Settings(models=models)) as client:
        assert [one["name"] for one in client.get("/models").json()["models"]] == ["demand", "other"]
        for name in ("demand", "other"):
            answer = post_csv(client, table, f"?model={name}&levels=none")
            wanted = Forecaster.load(models / name).predict(table, levels=None)
            assert answer.text == wanted.to_csv(index=False)
        nameless = post_csv(client, table)
        assert nameless.status_code == 404
        assert "several models" in error_of(nameless)
        one = client.get("/models").json()["models"][0]
        assert (one["loaded"], one["horizon"], one["context"], one["frequency"]) == (True, 6, 48, "h")


TRICKS = [
    *("../models/demand", "demand/", "demand/../other", "/etc/passwd", "..", ".", "empty", "notes.txt", "DEMAND"),
    *("demand\x00", "demand%00", "de mand", "demand\n", "~", "-", "a" * 101, "ｄemand", ".hidden", "link", "C:demand"),
]


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_is_none_is_not_found(models, tmp_path, name):
    root = tmp_path / "models"
    shutil.copytree(models, root)
    (root / "link").symlink_to(models / "demand")
    shutil.copytree(models / "demand", root / ".hidden")
    found = Models(Settings(models=root))
    assert found.names() == ["demand", "other"]
    with pytest.raises(UnknownModelError) as error:
        found.get(name)
    assert str(root) not in str(error.value)


def test_a_single_model_has_the_name_of_its_folder(models):
    found = Models(Settings(model=models / "demand"))
    assert found.get(None) is found.get("demand")
    with pytest.raises(UnknownModelError):
        found.get("other")


def test_a_folder_of_any_name_holds_a_single_model(models, tmp_path):
    shutil.copytree(models / "demand", tmp_path / "größe\n1")
    with service(Settings(model=tmp_path / "größe\n1")) as client:
        assert post_csv(client, hourly(100)).headers["swt-time-model"].startswith("model; sha256=")
        assert client.get("/models").json()["models"][0]["name"] == "model"


def test_no_model_is_no_error_before_it_is_asked_for():
    with service(Settings()) as client:
        assert client.get("/models").json() == {"models": []}
        answer = post_csv(client, hourly(100))
        assert answer.status_code == 404
        assert "no model" in error_of(answer)


def test_settings_that_contradict_each_other(models, tmp_path):
    with pytest.raises(ConfigError, match="give one of them"):
        Settings(model=models / "demand", models=models)
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        Models(Settings(model=tmp_path))
    with pytest.raises(CheckpointError, match="there is no folder"):
        Models(Settings(models=tmp_path / "none"))


@pytest.fixture
def place(models, tmp_path):
    shutil.copytree(models / "demand", tmp_path / "demand")
    return tmp_path / "demand"


def test_a_model_that_was_replaced_is_loaded_again(place):
    found = Models(Settings(model=place))
    former = found.get(None)
    assert found.get(None) is former
    fitted(7).save(place, overwrite=True)
    present = found.get(None)
    assert present.sha256 != former.sha256
    assert former.trained is not present.trained


def test_an_equal_model_is_not_loaded_again(place):
    found = Models(Settings(model=place))
    former = found.get(None)
    Forecaster.load(place).save(place, overwrite=True)
    assert found.get(None) is former


def test_a_request_keeps_the_model_it_has_begun_with(place, monkeypatch):
    """The model is replaced, and loaded by a second request, while a first one forecasts."""
    table = hourly(100)
    wanted = [Forecaster.load(place).predict(table).to_csv(index=False)]
    began, go_on = threading.Event(), threading.Event()
    from swt_time.serve import forecasting

    original = forecasting.forecastable

    def slow(*arguments):
        if not began.is_set():
            began.set()
            assert go_on.wait(20)
        return original(*arguments)

    monkeypatch.setattr(forecasting, "forecastable", slow)
    with service(Settings(model=place)) as client:
        answers = []
        first = threading.Thread(target=lambda: answers.append(post_csv(client, table)))
        first.start()
        assert began.wait(20)
        fitted(7).save(place, overwrite=True)
        wanted.append(Forecaster.load(place).predict(table).to_csv(index=False))
        second = post_csv(client, table)
        go_on.set()
        first.join(20)
    assert [answers[0].text, second.text] == wanted
    assert wanted[0] != wanted[1]
    assert answers[0].headers["swt-time-model"] != second.headers["swt-time-model"]


def test_a_damaged_replacement_leaves_the_former_model(place, caplog):
    found = Models(Settings(model=place))
    former = found.get(None)
    manifest = place / "manifest.json"
    text = manifest.read_text()
    manifest.unlink()
    manifest.write_text(text.replace('"bytes": ', '"bytes": 1'))
    assert found.get(None) is former
    assert "cannot be loaded" in caplog.text
    caplog.clear()
    assert found.get(None) is former
    assert caplog.text == ""  # tried once for each state of the folder


def test_a_damaged_model_is_unavailable_and_its_path_stays_in_the_log(place, caplog):
    (place / "config.json").write_text("{}")
    with service(Settings(model=place)) as client:
        answer = post_csv(client, hourly(100))
    assert answer.status_code == 503
    assert str(place) not in answer.text
    assert "cannot be loaded" in error_of(answer)
    assert any(str(place) in getattr(record, "reason", "") for record in caplog.records)


def test_a_model_that_is_gone_is_not_found(place):
    found = Models(Settings(models=place.parent))
    found.get("demand")
    shutil.rmtree(place)
    with pytest.raises(UnknownModelError):
        found.get("demand")
    assert found.loaded() == {}


def test_the_model_that_was_not_used_for_longest_makes_room(models):
    found = Models(Settings(models=models, limits=Limits(models=1)))
    first = found.get("demand")
    found.get("other")
    assert list(found.loaded()) == ["other"]
    assert found.get("demand") is not first


def test_a_model_that_does_not_load_is_tried_again(place):
    content = (place / "config.json").read_bytes()
    (place / "config.json").write_text("{}")
    found = Models(Settings(model=place))
    with pytest.raises(UnavailableModelError):
        found.get(None)
    (place / "config.json").write_bytes(content)
    assert found.get(None).name == "demand"
