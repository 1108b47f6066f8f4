"""Options of the section ``backbone`` that say what of the language model is trained."""

from swt_time.config.choices import Tune
from swt_time.config.section import Section


class TuningOptions(Section):
    """What of the language model is trained too; the rest is frozen."""

    tune: Tune = "none"
    """What of the language model is trained too: nothing, its normalisations and learned positions (``norms``, as in
    GPT4TS), or low-rank adapters of its attention (``lora``, which needs the package ``peft``)."""
