"""The branch of a configuration: what is trained by gradients beside a linear forecast, and enters through a gate."""

from typing import Any

from swt_time.config.schema import Config


def has_branch(config: Config) -> bool:
    """Whether the configured network is a linear forecast that could replace it, with a gated branch beside it.

    A network that is trained to quantiles has none: the linear forecast has no quantiles, which were asked for.
    """
    if config.training.loss == "quantile":
        return False
    model, named = config.model, config.backbone.name != "none"
    return (model.skip != "none" and named) or (model.skip == "ridge" and config.training.max_steps != 0)


def without_branch(config: Config) -> Config:
    """Return the configuration of the linear forecast alone.

    Beside a closed form nothing is trained any more. A trained linear forecast is the head of a network that has no
    language model.
    """
    changes: dict[str, Any] = {"backbone.name": "none", "backbone.tune": "none"}
    changes |= {"training.max_steps": 0} if config.model.skip == "ridge" else {"model.skip": "none"}
    return config.replace(changes)
