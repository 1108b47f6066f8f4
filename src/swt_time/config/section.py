"""A group of options."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of options that refuses unknown keys."""

    # The docstring under a field is its description: in docs/configuration.md and in the help of the command line.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
