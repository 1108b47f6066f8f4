"""Weekdays, months and public holidays as covariates that are known in advance."""

import datetime
import sys
import types

import numpy as np
import pandas as pd
import pytest

from swt_time import Config
from swt_time.data.series import to_series
from swt_time.effects import covariate_groups, fit_effects
from swt_time.effects.calendar import HOLIDAYS, holidays_of
from swt_time.errors import MissingDependencyError


@pytest.fixture(autouse=True)
def forget():
    holidays_of.cache_clear()
    yield
    holidays_of.cache_clear()


def test_holidays_without_the_package_name_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "swt-time\[holidays\]"'):
        holidays_of("DE")


def test_holidays_are_those_of_the_package_in_any_locale(monkeypatch):
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(name, "de")
    unity, day_after = (int(np.datetime64(day, "D").astype(int)) for day in ("2024-10-03", "2024-10-04"))
    assert holidays_of("DE")[unity] == "German Unity Day"
    assert day_after not in holidays_of("DE")
    assert len(holidays_of("DE-BY")) > len(holidays_of("DE"))


def test_an_effect_of_holidays_is_found(monkeypatch):
    every = {datetime.date(year, month, 13): "Thirteenth" for year in range(2015, 2021) for month in range(1, 13)}
    package = types.ModuleType("holidays")
    package.country_holidays = lambda code, subdiv, years, language: every
    monkeypatch.setitem(sys.modules, "holidays", package)
    days = pd.date_range("2016-01-01", periods=1000)
    values = 20 + np.sin(2 * np.pi * np.arange(1000) / 7) - 6 * (days.day == 13)
    values = values + 0.3 * np.random.default_rng(0).normal(size=1000)
    table = to_series(pd.DataFrame({"ds": days, "sales": values}))
    config = Config().replace({"data.holidays": "DE", "data.calendar": True})
    groups = covariate_groups(table, config, [1000])
    assert HOLIDAYS + "DE" in {group.name for group in groups}
    fitted = fit_effects(table, 14, [1000], groups)
    assert any("holidays" in group.name for group in fitted.effects.groups)
    ahead = fitted.effects.apart(table).ahead(np.array([[0, 990]]), 40)
    size = ahead[0][0] if fitted.effects.link == "additive" else 20 * (ahead[1][0] - 1)
    later = pd.date_range(days[990], periods=40)
    assert size[later.day == 13].mean() - size[later.day == 20].mean() < -4
