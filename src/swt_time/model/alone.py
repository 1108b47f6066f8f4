"""A closed form alone: the model of a configuration that asks for neither a branch nor training, without any layer.

The network of such a configuration (`swt_time.model.network.SWTTime`) has a gate of zero, so it forecasts the same up
to its single precision. NumPy alone is needed here, and a forecast begins two seconds earlier.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swt_time.config import Config, EmbeddingConfig
from swt_time.errors import ConfigError
from swt_time.machine import one_thread
from swt_time.model.closed_form import Prior
from swt_time.wavelets.boundaries import check_level

WEIGHT = "skip.weight"
"""Name of the map among the weights of a checkpoint, as in the network."""

BATCH_SIZE = 64
"""Windows in one product of matrices. The last batch is filled up, so that a forecast does not depend on the others."""


@dataclass(frozen=True)
class ClosedForm:
    """The map of a closed form, as it is saved.

    Attributes
    ----------
    weight : ndarray, (H, T)
        Single precision.
    """

    weight: np.ndarray

    def trained_state(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        return {WEIGHT: self.weight}

    @one_thread()
    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Forecast scaled windows in double precision: ``mean + W (x - mean)`` of each.

        Parameters
        ----------
        contexts : (M, T) array
            NaN before the start of a series, which counts as the mean of the window.

        Returns
        -------
        (M, H) float64 array
        """
        contexts = np.asarray(contexts, np.float64)
        # One order in memory, saved or not: on some processors the last digits of a product depend on it.
        weight = self.weight.T.astype(np.float64, order="C")
        found = np.empty((len(contexts), weight.shape[1]))
        x = np.zeros((BATCH_SIZE, len(weight)))
        for begin in range(0, len(contexts), BATCH_SIZE):
            batch = contexts[begin : begin + BATCH_SIZE]
            padded = np.isnan(batch)
            mean = (np.nanmean if padded.any() else np.mean)(batch, axis=1, keepdims=True)
            x[: len(batch)] = np.where(padded, 0.0, batch - mean)
            found[begin : begin + BATCH_SIZE] = (x @ weight)[: len(batch)] + mean
        return found


def is_alone(config: Config) -> bool:
    """Whether a configuration describes a closed form alone: nothing in it is trained by gradients."""
    return config.backbone.name == "none" and config.model.skip == "ridge" and config.training.max_steps == 0


def stored_weights(config: Config, weights: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return the weights that a checkpoint stores: of a closed form alone its map, since no other layer was trained.

    A run of no steps may start from a trained branch, whose gate is open; then all layers are stored.
    """
    return {WEIGHT: weights[WEIGHT]} if is_alone(config) and not weights.get("gate", 0) else weights


def check_levels(config: Config) -> None:
    """Raise if the transform of the prior needs a longer context.

    Raises
    ------
    ConfigError
    """
    if config.embedding.kind == "wavelet":
        try:
            check_level(config.embedding.levels, config.data.steps)
        except ValueError as error:
            raise ConfigError(f"embedding.level: {error}") from None


def prior_of(embedding: EmbeddingConfig) -> Prior | None:
    """Return the transform that the closed form of a configuration takes as its prior; None for plain patches."""
    if embedding.kind == "patch":
        return None
    return Prior(embedding.wavelet, embedding.levels, embedding.boundary)
