"""Contracts that every embedding, backbone family, stand-in, head and prompt template satisfies for all options.

New choices of the options of embedding and model are included automatically: each choice of each embedding option is a
member, and so is a seeded sample of their combinations. A new backbone has to be added to ``BACKBONES``. For every
contract there is a planted violation that it must detect.
"""

import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import Tensor

from support import another_pandas, trust
from support.backbones import FAMILIES
from swt_time import Forecaster
from swt_time.config import STAND_INS, BackboneConfig, Config, EmbeddingConfig, ModelConfig
from swt_time.errors import ConfigError
from swt_time.language.loading import load_language_model
from swt_time.language.prompt_text import Template
from swt_time.model import SWTTime, build_embedding, build_model

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_contract": (
        "contracts",
        "every embedding, backbone, stand-in, head and prompt template satisfies every contract",
    ),
    "test_a_planted_violation_is_caught": ("contracts", "planted violations of the contracts are detected"),
    "test_kind_and_order_of_a_table_change_nothing": (
        "contracts",
        "weights and forecasts do not depend, bit for bit, on pandas or polars or on the order of rows, series and "
        "columns",
    ),
}

BATCH_BOUND = 1e-5
"""Largest change of a forecast due to other windows of its batch, in standard deviations of its window, in float32."""

CONTEXT, HORIZON = 48, 12

TINY = {
    "data": {"context": CONTEXT, "horizon": HORIZON, "description": "Load of a town."},
    "embedding": {"d_model": 8, "level": 2, "patch_len": 8, "stride": 4},
    "prompt": {"template": "none"},
    "backbone": {"name": "none", "precision": "float32"},
    # With a ridge skip, a single training step would leave the gate of the branch at zero.
    "model": {"d_ff": 8, "n_heads": 2, "n_prototypes": 12, "skip": "linear"},
    "training": {"max_steps": 1, "batch_size": 8, "validation_windows": 8, "device": "cpu"},
}


@dataclass(frozen=True)
class Member:
    """One configuration that must satisfy every contract."""

    name: str
    changes: dict[str, Any]


# --- members: every configuration here is tested for every contract --------------------------------------------

BACKBONES = (*FAMILIES, "minilm", *STAND_INS)
TEMPLATES = typing.get_args(Template)
COMBINATIONS = 24


def choices(section: type, prefix: str) -> dict[str, tuple[Any, ...]]:
    """Return every option of a section that is a name or a boolean, with its choices."""
    found = {}
    for name, field in section.model_fields.items():
        if name == "panel":  # forecasters beside the network, which is the same with and without them
            continue
        if field.annotation is bool:
            found[f"{prefix}.{name}"] = (False, True)
        elif typing.get_origin(field.annotation) is typing.Literal:
            found[f"{prefix}.{name}"] = typing.get_args(field.annotation)
    return found


EMBEDDING_CHOICES = choices(EmbeddingConfig, "embedding")


def member(*changes: dict[str, Any]) -> Member:
    merged = functools.reduce(dict.__or__, changes)
    return Member(", ".join(f"{key.partition('.')[2]}={value}" for key, value in merged.items()), merged)


def makes_sense(changes: dict[str, Any]) -> bool:
    """Return whether the embedding can be built with these options."""
    config = Config.parse(TINY).replace(changes)
    try:
        build_embedding(config.embedding, CONTEXT)
    except ConfigError:
        return False
    return True


def combinations(count: int) -> list[dict[str, Any]]:
    """Draw random choices of all options at once."""
    random = np.random.default_rng(0)
    drawn = (
        {key: values[random.integers(len(values))] for key, values in EMBEDDING_CHOICES.items()}
        | {"embedding.wavelet": ("haar", "db4", "bior2.2")[random.integers(3)]}
        for _ in itertools.count()
    )
    return list(itertools.islice(filter(makes_sense, drawn), count))


EMBEDDINGS = [
    *(
        member({key: value})
        for key, values in EMBEDDING_CHOICES.items()
        for value in values
        if makes_sense({key: value})
    ),
    member({"embedding.kind": "patch", "embedding.receptive_field": "wavelet"}),
    member({"embedding.kind": "patch", "embedding.kernel_size": 3}),
    member({"embedding.dropout": 0.5}),
    *(Member(f"combination {i}", changes) for i, changes in enumerate(combinations(COMBINATIONS))),
]
READERS = [
    *(member({"backbone.name": name}) for name in STAND_INS),
    *(
        member({"backbone.name": name, "backbone.layers": 1, "prompt.template": template})
        for name in BACKBONES
        if name not in STAND_INS
        for template in TEMPLATES
        if name != "minilm" or template == "compact"
    ),
    *(
        member({"backbone.name": "bert", "prompt.template": "compact", "backbone.prompt_attention": value})
        for value in choices(BackboneConfig, "backbone")["backbone.prompt_attention"]
    ),
    member({"backbone.name": "gpt2", "backbone.random_init": True, "prompt.template": "compact"}),
    *(
        member({"backbone.name": name, "backbone.layers": 1, "backbone.tune": "norms", "prompt.template": "compact"})
        for name in FAMILIES
    ),
]
HEADS = [
    member({"backbone.name": "gpt2", "prompt.template": "compact"}, {key: value})
    for key, values in choices(ModelConfig, "model").items()
    for value in values
]
MEMBERS = [*EMBEDDINGS, *READERS, *HEADS]


class Subject:
    """A member as a model or as a forecaster; ``breakage`` plants a violation in the model."""

    def __init__(self, member: Member, folders: dict[str, Path], breakage: Callable[[SWTTime], None] | None = None):
        name = member.changes.get("backbone.name", "none")
        self.config = Config.parse(TINY).replace(
            {**member.changes, "backbone.name": str(folders.get(name, name))},
        )
        self.breakage = breakage

    def build(self) -> SWTTime:
        """Build a model in eval mode, with an open gate so that every part affects the forecast."""
        torch.manual_seed(0)
        model = build_model(self.config, _language_model(self.config.backbone))
        if model.gate is not None:
            torch.nn.init.constant_(model.gate, 0.7)
        if self.breakage is not None:
            self.breakage(model)
        return model.eval()

    def fit(self, table: Any) -> Forecaster:
        forecaster = Forecaster.from_config(self.config).fit(table)
        if self.breakage is not None:
            self.breakage(forecaster.model)
        return forecaster


@functools.lru_cache(maxsize=32)
def _language_model(backbone: BackboneConfig) -> Any:
    if backbone.name in STAND_INS:
        return None
    return load_language_model(
        backbone.name,
        layers=backbone.layers,
        random_init=backbone.random_init,
        precision=backbone.precision,
        prompt_attention=backbone.prompt_attention,
        tune=backbone.tune,
    )


def windows(count: int, channels: int = 1) -> Tensor:
    """Random walks of different scale and level, (count, T, channels)."""
    steps = torch.randn(count, CONTEXT, channels, generator=torch.Generator().manual_seed(3))
    size = torch.logspace(-1, 2, count).reshape(-1, 1, 1)
    return steps.cumsum(dim=1) * size + 10 * size


def _spike() -> Tensor:
    return torch.cat([torch.zeros(CONTEXT - 5), torch.tensor([1e9]), torch.zeros(4)])


EXTREMES = {
    "zero": torch.zeros(CONTEXT),
    "constant": torch.full((CONTEXT,), 5.0),
    "large constant": torch.full((CONTEXT,), 1e15),
    "nearly constant": 1 + 1e-7 * torch.arange(CONTEXT) % 2,
    "a million times": 1e6 * torch.sin(torch.arange(CONTEXT) / 3),
    "as large as tables may be": 1e15 * torch.sin(torch.arange(CONTEXT) / 3),
    "tiny": 1e-30 * torch.sin(torch.arange(CONTEXT) / 3),
    "below normal numbers": torch.full((CONTEXT,), 1e-45),
    "one spike": _spike(),
    "a step": torch.cat([torch.zeros(CONTEXT // 2), torch.full((CONTEXT - CONTEXT // 2,), 1e6)]),
}


# --- contracts ---------------------------------------------------------------------------------------------------


def keeps_shapes(subject: Subject) -> None:
    """``(B, T, N)`` gives ``(B, H, N)``, and tokens are exactly ``(B*N, P, D)``."""
    model, config = subject.build(), subject.config
    with torch.no_grad():
        for batch, channels in ((1, 1), (3, 1), (2, 4)):
            assert model(windows(batch, channels)).shape == (batch, HORIZON, channels)
            tokens = model.embed(windows(batch, channels).transpose(1, 2))
            assert tokens.shape == (batch * channels, config.n_patches, config.embedding.d_model)


def keeps_dtypes(subject: Subject) -> None:
    """Trained weights and forecasts are float32; tokens have the dtype of the input."""
    model = subject.build()
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    with torch.no_grad():
        assert model(windows(2)).dtype == torch.float32
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            assert model.embed(windows(2).transpose(1, 2).to(dtype)).dtype == dtype


def gradients_reach_every_weight(subject: Subject) -> None:
    """Every trained weight has a finite gradient that is not zero; frozen weights have none."""
    model = subject.build().train()
    _loss(model, windows(3)).backward()
    trained = 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            continue
        trained += 1
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias of the keys shifts all scores of a query equally, which softmax ignores; Haar has no angle to learn.
        if parameter.numel() and not name.endswith("key_projection.bias"):
            assert parameter.grad.abs().max() > 0, name
    assert trained > 0


def is_finite_on_extreme_input(subject: Subject) -> None:
    """Forecasts and gradients are finite for extreme windows."""
    model = subject.build()
    batch = torch.stack(list(EXTREMES.values())).unsqueeze(-1)
    with torch.no_grad():
        forecast = model(batch)
    for name, one in zip(EXTREMES, forecast, strict=True):
        assert torch.isfinite(one).all(), name
    for name, window in EXTREMES.items():
        model.zero_grad()
        scale = max(1.0, window.abs().max().item())
        (_loss(model, window.reshape(1, -1, 1)) / scale**2).backward()
        gradients = {key: value.grad for key, value in model.named_parameters() if value.grad is not None}
        assert gradients
        for parameter, gradient in gradients.items():
            assert torch.isfinite(gradient).all(), (name, parameter)


def is_deterministic(subject: Subject) -> None:
    """Forecasts are equal bit for bit when repeated, after rebuilding the model, and after a pass in training mode."""
    first, second, batch = subject.build(), subject.build(), windows(3)
    with torch.no_grad():
        expected = first(batch)
        assert torch.equal(first(batch), expected)
        assert torch.equal(second(batch), expected)
        first.train()(batch)
        assert torch.equal(first.eval()(batch), expected)


def is_independent_of_its_batch(subject: Subject) -> None:
    """The forecast of a window does not depend on the other windows of its batch or on their order."""
    model, batch = subject.build(), windows(17)
    with torch.no_grad():
        together = model(batch)
        backwards = model(batch.flip(0)).flip(0)
        for i in (0, 8, 16):
            alone = model(batch[i : i + 1])[0]
            bound = BATCH_BOUND * batch[i].std()
            assert (together[i] - alone).abs().max() < bound
            assert (backwards[i] - alone).abs().max() < bound


def treats_channels_as_series(subject: Subject) -> None:
    """The forecast of a channel does not depend on the other channels."""
    model, batch = subject.build(), windows(2, channels=3)
    with torch.no_grad():
        together = model(batch)
        for n in range(3):
            alone = model(batch[..., n : n + 1])
            assert (together[..., n : n + 1] - alone).abs().max() < BATCH_BOUND * batch[..., n].std()


def survives_saving(subject: Subject) -> None:
    """A trained model that is saved and loaded gives the same forecast, bit for bit."""
    forecaster = subject.fit(table())
    with tempfile.TemporaryDirectory() as folder:
        forecaster.save(Path(folder) / "model")
        loaded = Forecaster.load(Path(folder) / "model", device="cpu")
    assert loaded.config == forecaster.config
    assert loaded.predict(table())["yhat"].tolist() == forecaster.predict(table())["yhat"].tolist()


CONTRACTS = [
    keeps_shapes,
    keeps_dtypes,
    gradients_reach_every_weight,
    is_finite_on_extreme_input,
    is_deterministic,
    is_independent_of_its_batch,
    treats_channels_as_series,
    survives_saving,
]


def _loss(model: SWTTime, batch: Tensor) -> Tensor:
    penalty = model.penalty()
    return model(batch).square().mean() + (0 if penalty is None else penalty)


@functools.cache
def table() -> pd.DataFrame:
    """A long table with two series of unequal length."""
    hours = np.arange(150)
    frames = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=rows, freq="h"),
                "y": level + np.sin(hours[:rows] / 4) + 0.1 * np.cos(7 * hours[:rows]),
            }
        )
        for name, rows, level in (("north", 150, 3.0), ("south", 110, -40.0))
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_contract(member: Member, contract: Callable[[Subject], None], tiny_backbones: dict[str, Path]):
    contract(Subject(member, tiny_backbones))


def test_members_cover_every_choice():
    """Every choice of every embedding option, every backbone, stand-in and template occurs in a member."""
    seen = {(key, value) for member in MEMBERS for key, value in member.changes.items()}
    wanted = {(key, value) for key, values in EMBEDDING_CHOICES.items() for value in values}
    wanted |= {("backbone.name", name) for name in BACKBONES} | {("prompt.template", name) for name in TEMPLATES}
    assert wanted - seen == set()
    assert len({member.name for member in MEMBERS}) == len(MEMBERS)


# --- planted violations ------------------------------------------------------------------------------------------


def after(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[[SWTTime], None]:
    """Return a breakage that changes the forecast, given the forecast and the context."""

    def breakage(model: SWTTime) -> None:
        forward = model.forward
        model.forward = lambda context, prompt=None: change(forward(context, prompt), context)

    return breakage


def detach_embedding(model: SWTTime) -> None:
    embed = model.embed.forward
    model.embed.forward = lambda x: embed(x).detach()


def change_weights_in_train(model: SWTTime) -> None:
    train = model.train

    def changing(mode: bool = True) -> SWTTime:
        if mode:
            model.head.linear.bias.data += 1
        return train(mode)

    model.train = changing


def change_after_saving(model: SWTTime) -> None:
    model.head.linear.bias.data += 1


VIOLATIONS = [
    (keeps_shapes, after(lambda y, x: y[:, 1:])),
    (keeps_dtypes, after(lambda y, x: y.double())),
    (keeps_dtypes, lambda model: model.head.double()),
    (gradients_reach_every_weight, detach_embedding),
    (gradients_reach_every_weight, lambda model: model.register_parameter("idle", torch.nn.Parameter(torch.ones(2)))),
    (is_finite_on_extreme_input, after(lambda y, x: y / x.std(dim=1, keepdim=True))),
    (is_finite_on_extreme_input, after(lambda y, x: y.square().square())),
    (is_deterministic, after(lambda y, x: y + torch.rand(()))),
    (is_deterministic, change_weights_in_train),
    (is_independent_of_its_batch, after(lambda y, x: y - 1e-3 * x.mean())),
    (treats_channels_as_series, after(lambda y, x: y - 1e-3 * x.mean(dim=-1, keepdim=True))),
    (survives_saving, change_after_saving),
]


@pytest.mark.parametrize(("contract", "breakage"), VIOLATIONS, ids=lambda value: getattr(value, "__name__", "broken"))
def test_a_planted_violation_is_caught(contract, breakage):
    plain = member({"embedding.kind": "wavelet"})
    contract(Subject(plain, {}))
    with pytest.raises((AssertionError, RuntimeError)):
        contract(Subject(plain, {}, breakage))


def test_every_contract_has_a_planted_violation():
    assert {contract for contract, _ in VIOLATIONS} == set(CONTRACTS)


# --- tables: kind of frame, order of rows and series -------------------------------------------------------------

ORDERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "polars": pl.from_pandas,
    "rows shuffled": lambda frame: frame.sample(frac=1, random_state=1),
    "series in reverse order": lambda frame: frame.sort_values("unique_id", ascending=False, kind="stable"),
    "columns in reverse order": lambda frame: frame[frame.columns[::-1]],
    "polars, rows shuffled": lambda frame: pl.from_pandas(frame).sample(fraction=1, shuffle=True, seed=1),
    "times as index": lambda frame: frame.set_index("ds"),
    "ids as categories": lambda frame: frame.assign(unique_id=frame["unique_id"].astype("category")),
    "nullable numbers": lambda frame: frame.assign(y=frame["y"].astype("Float64")),
}


def forecast_of(subject: Subject, frame: Any) -> tuple[dict[str, Tensor], list[tuple[Any, ...]]]:
    """Train on a table; return the trained weights and the rows of the forecast, sorted: series follow the table."""
    forecaster = subject.fit(frame)
    forecast = forecaster.predict(frame)
    times = pd.DatetimeIndex(forecast["ds"].to_list()).as_unit("us").asi8.tolist()
    rows = zip(map(str, forecast["unique_id"].to_list()), times, forecast["yhat"].to_list(), strict=True)
    return forecaster.model.trained_state(), sorted(rows)


def assert_same(subject: Subject, first: Any, second: Any) -> None:
    (weights, rows), (other_weights, other_rows) = forecast_of(subject, first), forecast_of(subject, second)
    assert rows == other_rows
    assert weights.keys() == other_weights.keys() != set()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("name", "order"),
    [(name, order) for name in BACKBONES for order in ORDERS if name != "minilm" or order == "polars, rows shuffled"],
)
@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_kind_and_order_of_a_table_change_nothing(name: str, order: str, tiny_backbones: dict[str, Path]):
    subject = Subject(member({"backbone.name": name, "prompt.template": "compact"}), tiny_backbones)
    assert_same(subject, table(), ORDERS[order](table()))


def test_other_values_give_another_forecast():
    """The control of the test above."""
    with pytest.raises(AssertionError):
        assert_same(Subject(member({"embedding.kind": "wavelet"}), {}), table(), table().assign(y=lambda t: t["y"] + 1))


def forecasts_under(pandas_folder: str | None) -> dict[str, Any]:
    """Run ``another_pandas.py`` with the pandas in a folder, or with that of this environment."""
    paths = [pandas_folder, os.environ.get("PYTHONPATH"), *sys.path]
    run = subprocess.run(
        [sys.executable, another_pandas.__file__],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


OTHER_PANDAS = os.environ.get("SWT_TIME_OTHER_PANDAS")


@pytest.mark.skipif(not OTHER_PANDAS, reason="SWT_TIME_OTHER_PANDAS does not name a folder with another pandas")
def test_another_pandas_gives_equal_forecasts():
    """First ``pip install --no-deps --target FOLDER pandas==2.3.3 pytz``, then set ``SWT_TIME_OTHER_PANDAS=FOLDER``."""
    ours, theirs = forecasts_under(None), forecasts_under(OTHER_PANDAS)
    assert ours.pop("pandas") != theirs.pop("pandas")
    assert set(ours) == set(theirs) == set(another_pandas.TABLES)
    equal = [name for name in ours if theirs[name] == ours[name]]
    claim = "weights and forecasts are equal, bit for bit, under pandas 2 and pandas 3"
    command = "SWT_TIME_OTHER_PANDAS=FOLDER python -m pytest tests/test_contracts.py -k another_pandas"
    trust.record("trust_tables.csv", "contracts", claim, len(ours), len(equal), command)
    assert equal == list(ours)
