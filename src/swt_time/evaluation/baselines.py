"""Baselines that are trained and scored on the same windows as the model.

Shapes: ``M`` windows of one series each, ``T`` context, ``H`` horizon.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from swt_time.config import STAND_INS, Config
from swt_time.data.frequency import season_length
from swt_time.data.parts import Parts
from swt_time.data.series import SeriesTable
from swt_time.errors import ConfigError, MissingDependencyError
from swt_time.evaluation.forecasting import TrainedModel, WindowForecaster
from swt_time.evaluation.naive import SeasonalNaive
from swt_time.language.finding import find_backbone, read_hidden_size
from swt_time.model.weights import trained_parameters
from swt_time.training import seeded, train

TREND_KERNEL = 25
"""Length of the moving average of DLinear, in samples."""

PEER = "neuralforecast-timellm"
"""The baseline that also uses the sizes and the language model of the configuration."""


class BaselineNetwork(nn.Module):
    """Base class of networks that the training loop of the model trains; they map ``(B, T, N)`` to ``(B, H, N)``."""

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights by name."""
        return trained_parameters(self)


class DecompositionLinear(BaselineNetwork):
    """DLinear: a moving average and its remainder, each mapped to the horizon by a linear layer shared by all series.

    Source: Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023. The moving average has 25
    samples and pads both ends with the first and the last value; windows are not normalised.
    """

    def __init__(self, context: int, horizon: int):
        super().__init__()
        self.trend = nn.Linear(context, horizon)
        self.remainder = nn.Linear(context, horizon)

    def forward(self, context: Tensor) -> Tensor:
        """``(B, T, N)`` to ``(B, H, N)``."""
        x = context.transpose(1, 2)
        half = TREND_KERNEL // 2
        average = F.avg_pool1d(F.pad(x, (half, half), mode="replicate"), TREND_KERNEL, stride=1)
        forecast: Tensor = self.trend(average) + self.remainder(x - average)
        return forecast.transpose(1, 2)


class PeerTimeLLM(BaselineNetwork):
    """The network of neuralforecast's TimeLLM, prompts included, in the training loop of the model.

    Its own loop samples windows at random, counts them differently and keeps the last weights, so a comparison would
    be one of training loops. Everything else is unchanged; for instance, dropout of the frozen model is active in
    training.

    Parameters
    ----------
    network : module
        Maps ``{"insample_y": (M, T, 1)}`` to (M, H, 1).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, context: Tensor) -> Tensor:
        """``(B, T, N)`` to ``(B, H, N)``."""
        forecast = self.network({"insample_y": context.transpose(1, 2).flatten(0, 1).unsqueeze(-1)})
        windows: Tensor = forecast.squeeze(-1).unflatten(0, (len(context), -1)).transpose(1, 2)
        return windows


def fit_baseline(name: str, parts: Parts, series: SeriesTable, config: Config) -> WindowForecaster:
    """Fit a baseline on the train and validation parts.

    Parameters
    ----------
    name : str
        A key of `BASELINES`.
    parts : Parts
        The windows to train on.
    series : SeriesTable
        The table that they come from, for its frequency.
    config : Config
        The sections ``data`` and ``training`` are used: a trained baseline has the loop, steps, validations and seed of
        the model. neuralforecast's TimeLLM also uses the sizes and the language model.

    Raises
    ------
    ConfigError
        There is no baseline of that name.
    MissingDependencyError
        The baseline needs a package that is not installed.
    """
    check_baselines([name])
    return BASELINES[name](parts, series, config)


def check_baselines(names: Iterable[str]) -> None:
    """Raise if a baseline does not exist.

    Raises
    ------
    ConfigError
    """
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"unknown baseline {name!r}; expected one of {', '.join(BASELINES)}")


def _seasonal_naive(parts: Parts, series: SeriesTable, config: Config) -> SeasonalNaive:
    return SeasonalNaive(season_length(series.frequency), config.data.horizon)


def _last_value(parts: Parts, series: SeriesTable, config: Config) -> SeasonalNaive:
    return SeasonalNaive(1, config.data.horizon)


def _linear(parts: Parts, series: SeriesTable, config: Config) -> TrainedModel:
    return _train(lambda: DecompositionLinear(config.data.steps, config.data.horizon), parts, config)


def _time_llm(parts: Parts, series: SeriesTable, config: Config) -> TrainedModel:
    return _train(lambda: PeerTimeLLM(peer_network(config)), parts, config)


def _train(make: Callable[[], BaselineNetwork], parts: Parts, config: Config) -> TrainedModel:
    with seeded(config.training) as random:
        with random.active():
            model = make().to(random.device)
        result = train(model, parts.train, parts.validation, config.training, random=random)
    return TrainedModel(model, result)


def peer_network(config: Config) -> Any:
    """Build neuralforecast's TimeLLM with the sizes of a configuration and the same files of its language model.

    Raises
    ------
    MissingDependencyError
    """
    try:
        from neuralforecast.losses.pytorch import MSE
        from neuralforecast.models import TimeLLM
    except ImportError:
        raise MissingDependencyError(
            f"the baseline {PEER!r} needs neuralforecast; install it with: pip install 'swt-time[bench]'"
        ) from None
    # A stand-in has no language model; TimeLLM then uses the default one.
    folder = find_backbone(config.backbone.name if config.backbone.name not in STAND_INS else "minilm")
    with contextlib.redirect_stdout(sys.stderr):  # its constructor prints
        return TimeLLM(
            h=config.data.horizon,
            input_size=config.data.steps,
            patch_len=config.embedding.patch_len,
            stride=config.embedding.stride,
            d_model=config.embedding.d_model,
            d_ff=config.model.d_ff,
            n_heads=config.model.n_heads,
            d_llm=read_hidden_size(folder),
            llm=str(folder),
            prompt_prefix=config.data.description,
            dropout=config.model.dropout,
            loss=MSE(),
            random_seed=config.training.seed,
        )


BASELINES: Mapping[str, Callable[[Parts, SeriesTable, Config], WindowForecaster]] = MappingProxyType(
    {
        "seasonal-naive": _seasonal_naive,
        "last-value": _last_value,
        "linear": _linear,
        PEER: _time_llm,
    }
)
"""Baselines by name. A patch transformer and plain patches are configurations of the model (backbone ``transformer``,
embedding ``patch``)."""
