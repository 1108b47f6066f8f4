"""Rivals on the same windows as the model: what every result is held against.

Shapes: ``M`` windows of one series each, ``T`` context, ``H`` horizon.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swt_time.backbones import find_backbone
from swt_time.config import Config
from swt_time.data.parts import Parts
from swt_time.data.series import SeriesTable
from swt_time.errors import ConfigError, MissingDependencyError
from swt_time.training import TrainingResult, resolve_device, train
from swt_time.twins import TWINS

SEASON_LENGTHS = {"h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
"""Steps of the usual season by unit of frequency: a day of hours, a week of days, a year of weeks, ..."""

TREND_KERNEL = 25
"""Samples of DLinear's moving average."""

INFERENCE_BATCH = 512

PEER = "neuralforecast-timellm"
"""The rival that also reads the model's sizes and language model."""


class WindowForecaster(Protocol):
    """Whatever can be scored: a trained model, or a rival."""

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Scaled contexts (M, T) to forecasts (M, H)."""
        ...


@dataclass(frozen=True)
class SeasonalNaive:
    """Repeat the last season of the context; season 1 repeats the last value.

    Attributes
    ----------
    season, horizon : int
    """

    season: int
    horizon: int

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Contexts (M, T) to forecasts (M, H)."""
        season = min(self.season, contexts.shape[1])
        last = contexts[:, contexts.shape[1] - season :]
        return np.tile(last, (1, -(-self.horizon // season)))[:, : self.horizon]


class Rival(nn.Module):
    """A network that the model's own loop trains: without prompt, gate or anything beside the loss."""

    gate = None

    def solve(self, windows: object, validation: object) -> None:
        """Nothing has a closed form here: it is trained as published."""

    def write_prompt(self, context: Tensor) -> None:
        """No prompt is written beforehand."""

    def penalty(self) -> None:
        """Nothing is added to the loss."""

    def trained_state(self) -> dict[str, Tensor]:
        """The trained weights by name."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}


class DecompositionLinear(Rival):
    """DLinear: a moving average and what it leaves, each through a linear map that all series share.

    Source: Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023. The average has 25
    samples and repeats the first and the last value at the ends; windows are not normalised.
    """

    def __init__(self, context: int, horizon: int):
        super().__init__()
        self.trend = nn.Linear(context, horizon)
        self.remainder = nn.Linear(context, horizon)

    def forward(self, context: Tensor, prompt: None = None) -> Tensor:
        """``(B, T, N)`` to ``(B, H, N)``."""
        x = context.transpose(1, 2)
        half = TREND_KERNEL // 2
        average = F.avg_pool1d(F.pad(x, (half, half), mode="replicate"), TREND_KERNEL, stride=1)
        forecast: Tensor = self.trend(average) + self.remainder(x - average)
        return forecast.transpose(1, 2)


class PeerTimeLLM(Rival):
    """The network of neuralforecast's TimeLLM, which writes and reads its own prompts.

    Its loop is left out: it samples windows at random, counts them otherwise and keeps the last weights, so that a
    comparison would be one of loops. What it does in training (the frozen model's dropout is active) stays its own.

    Parameters
    ----------
    network : module
        Takes ``{"insample_y": (M, T, 1)}``, gives (M, H, 1).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, context: Tensor, prompt: None = None) -> Tensor:
        """``(B, T, N)`` to ``(B, H, N)``."""
        forecast = self.network({"insample_y": context.transpose(1, 2).flatten(0, 1).unsqueeze(-1)})
        return forecast.squeeze(-1).unflatten(0, (len(context), -1)).transpose(1, 2)


@dataclass(frozen=True)
class TrainedRival:
    """A rival after training.

    Attributes
    ----------
    model : Rival
        With the weights that were best on validation.
    result : TrainingResult
    """

    model: Rival
    result: TrainingResult

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Scaled contexts (M, T) to forecasts (M, H), float32."""
        device = next(self.model.parameters()).device
        batches = torch.from_numpy(np.ascontiguousarray(contexts, np.float32)).split(INFERENCE_BATCH)
        with torch.no_grad():
            return torch.cat([self.model(b.to(device).unsqueeze(-1)).squeeze(-1).cpu() for b in batches]).numpy()


def fit_rival(name: str, parts: Parts, series: SeriesTable, config: Config) -> WindowForecaster:
    """Make a rival ready to be scored; it sees the train and validation parts only.

    Parameters
    ----------
    name : str
        A key of `RIVALS`.
    parts : Parts
        The windows that the model was trained on.
    series : SeriesTable
        The table they were cut from, for its frequency.
    config : Config
        ``data`` and ``training`` count: a trained rival has the model's loop, steps, validations and seed. The peer's
        TimeLLM also takes the model's sizes and language model.

    Raises
    ------
    ConfigError
        No rival has that name.
    MissingDependencyError
        The rival needs a package that is not installed.
    """
    if name not in RIVALS:
        raise ConfigError(f"unknown rival {name!r}; expected one of {', '.join(RIVALS)}")
    return RIVALS[name](parts, series, config)


def _seasonal_naive(parts: Parts, series: SeriesTable, config: Config) -> SeasonalNaive:
    return SeasonalNaive(season_length(series.frequency), config.data.horizon)


def _last_value(parts: Parts, series: SeriesTable, config: Config) -> SeasonalNaive:
    return SeasonalNaive(1, config.data.horizon)


def _linear(parts: Parts, series: SeriesTable, config: Config) -> TrainedRival:
    return _train(lambda: DecompositionLinear(config.data.context, config.data.horizon), parts, config)


def _time_llm(parts: Parts, series: SeriesTable, config: Config) -> TrainedRival:
    return _train(lambda: PeerTimeLLM(peer_network(config)), parts, config)


def _train(make: Callable[[], Rival], parts: Parts, config: Config) -> TrainedRival:
    device = resolve_device(config.training.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.training.seed)
        model = make().to(device)
        result = train(model, parts.train, parts.validation, config.training)
    return TrainedRival(model, result)


def peer_network(config: Config) -> Any:
    """neuralforecast's TimeLLM of the configuration's sizes, around the same files of the same language model.

    Raises
    ------
    MissingDependencyError
    """
    try:
        from neuralforecast.losses.pytorch import MSE
        from neuralforecast.models import TimeLLM
    except ImportError:
        raise MissingDependencyError(
            f"the rival {PEER!r} needs neuralforecast; install it with: pip install 'swt-time[bench]'"
        ) from None
    # A twin has no language model to share, so the peer then reads the default one.
    folder = find_backbone(config.backbone.name if config.backbone.name not in TWINS else "minilm")
    sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(sys.stderr):  # it prints
        return TimeLLM(
            h=config.data.horizon,
            input_size=config.data.context,
            patch_len=config.embedding.patch_len,
            stride=config.embedding.stride,
            d_model=config.embedding.d_model,
            d_ff=config.model.d_ff,
            n_heads=config.model.n_heads,
            d_llm=sizes.get("hidden_size") or sizes["n_embd"],
            llm=str(folder),
            prompt_prefix=config.data.description,
            dropout=config.model.dropout,
            loss=MSE(),
            random_seed=config.training.seed,
        )


RIVALS: Mapping[str, Callable[[Parts, SeriesTable, Config], WindowForecaster]] = MappingProxyType(
    {
        "seasonal-naive": _seasonal_naive,
        "last-value": _last_value,
        "linear": _linear,
        PEER: _time_llm,
    }
)
"""Rivals by name. A patch transformer and plain patches are configurations of the model itself (the backbone
``transformer``, the embedding ``patch``)."""


def season_length(frequency: str) -> int:
    """Steps in the usual season of a pandas frequency: ``h`` 24, ``15min`` 96, ``D`` 7, ``W-SUN`` 52, ``MS`` 12.

    Frequencies without a usual season (``10D``, ``6MS``) give 1.
    """
    digits = len(frequency) - len(frequency.lstrip("0123456789"))
    multiple, unit = int(frequency[:digits] or 1), frequency[digits:].partition("-")[0]
    seconds = {"s": 1, "min": 60, "h": 3600}.get(unit)
    if seconds is not None:
        return 86400 // (seconds * multiple) if 86400 % (seconds * multiple) == 0 and seconds * multiple < 86400 else 1
    if multiple != 1:
        return 1
    return SEASON_LENGTHS.get(unit[:1] if unit not in ("BMS", "BME", "BQS", "BQE", "BYS", "BYE") else unit[1], 1)
