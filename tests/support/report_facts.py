"""Facts about a small table for reports, and the same facts with bad texts wherever a report shows a text."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd

from swt_time import Forecaster
from swt_time.data.covariates import Covariate, Covariates
from swt_time.data.told import Notes, Told
from swt_time.effects import Effects
from swt_time.language import BackboneIdentity
from swt_time.report.facts import Facts, Past, look_ahead, look_back


@cache
def small_facts(many: int = 4) -> Facts:
    """Facts about a small table of some series, without a bad text."""
    rows = np.arange(70)
    noise = np.random.default_rng(0)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=70, freq="D")})
    for k in range(many):
        table[f"series {k}"] = 10 + k + 3 * np.sin(2 * np.pi * rows / 7) + noise.normal(size=70)
    forecaster = Forecaster(horizon=3).fit(table)
    series = forecaster.read_series(table)
    ahead = look_ahead(forecaster.trained, series, (80,))
    past = look_back(forecaster.trained, series, 2, levels=(80,))
    return Facts("title", forecaster.trained, series, ahead, past, ("remark",))


def infected(plain: Facts, texts: list[str]) -> Facts:
    """The same facts with these texts wherever a table, its notes or a checkpoint has a text; the first of them in
    places that hold one."""
    ids = tuple(texts[k % len(texts)] + (f" {k}" if k >= len(texts) else "") for k in range(len(plain.series.ids)))
    one, rows = texts[0], len(plain.series.values[0])
    columns = tuple(
        Covariate(text, tuple(np.zeros(rows) for _ in ids), role)
        for role in ("known", "past", "static")
        for text in texts
    )
    nothing = np.zeros(len(texts), dtype=np.int64)
    notes = Notes(tuple(texts), nothing, nothing, (None,) * len(texts), nothing)
    told = Told(notes, np.zeros((len(texts), 1)), one, "0" * 64)
    series = replace(
        plain.series, ids=ids, time_column=one, value_column=one, notes=tuple(texts), left_out=tuple(texts),
        id_columns=(one,), frequency="D", order=(), covariates=Covariates(columns, told),
    )  # fmt: skip
    numbers = {text: 0.5 + k / 100 for k, text in enumerate(texts)}
    provenance = {
        "choice": {"weights": {"panel": 0.5, **numbers}, "errors": numbers, "blocks": 3, "panel": one},
        "branch": {"name": one, "kept": False, "reason": one, "test": {"gain": 0.1, "p": one, "blocks": 4}},
        "intervals": {"origins": one, "residuals": one, "steps": one, "scale": one, "widest_level": one},
        "training": {"steps": one, "ended": one, "closed_form": {"form": one}},
        "versions": {"python": one, **{text: text for text in texts}},
        "commit": one, "created": one, "machine": one, "seed": one, "data_sha256": one,
    }  # fmt: skip
    config = plain.trained.checkpoint.config.replace({"data.description": one, "data.time_column": one})
    checkpoint = replace(
        plain.trained.checkpoint, config=config, provenance=provenance, backbone=BackboneIdentity(one, one, 1, one)
    )
    trained = replace(plain.trained, checkpoint=checkpoint)
    groups = tuple(SimpleNamespace(name=text) for text in texts)
    gains = dict.fromkeys(texts, 0.1)
    effects = Effects(groups, "additive", np.zeros(1), {}, gains, gains, 0.9)
    object.__setattr__(trained, "effects", effects)
    folds = replace(plain.past.folds, series=series)
    each = {method: dict(zip(ids, one.values(), strict=True)) for method, one in plain.past.scores.per_series.items()}
    past = Past(folds, replace(plain.past.scores, per_series=each), plain.past.how)
    return Facts(one, trained, series, replace(plain.ahead, series=series), past, tuple(texts))
