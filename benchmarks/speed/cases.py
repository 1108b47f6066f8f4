"""Benchmark cases: a backbone, the shape of a batch, and the forms of prompts and prototypes."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.config import Config
from swt_time.language.finding import find_backbone
from swt_time.language.loading import load_language_model

DESCRIPTION = (
    "The Electricity Transformer Temperature (ETT) is a crucial indicator in the electric power long-term deployment. "
    "This dataset consists of 2 years data from two separated counties in China. To explore the granularity on the "
    "Long sequence time-series forecasting (LSTF) problem, different subsets are created: ETTh1 and ETTh2 at one hour, "
    "ETTm1 at 15 minutes. Each point consists of the target value oil temperature and 6 power load features."
)

FORMS = {"paper, mapping": ("paper", "mapping"), "compact, free": ("compact", "free")}
"""Prompt template and prototypes of each form of swt-time; the reference implementation always uses the first form."""

GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 6, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": GPT2,
    "gpt2-small": {**GPT2, "n_layer": 12},
    "llama-7b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 2048,
        "vocab_size": 32000,
    },
    "bert-1024": {
        "model_type": "bert",
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "max_position_embeddings": 1024,
        "vocab_size": 30522,
    },
}
"""Backbones with random weights: GPT-2 with six and with twelve layers, LLaMA-7B, and MiniLM with 1,024 positions."""

BACKBONES = ("minilm", *SHAPES)
MINILM_POSITIONS = 512
OTHER_TOKENS = 90
"""Positions reserved for the task and the statistics of a compact prompt."""


@dataclass(frozen=True)
class Case:
    """A backbone and the shape of a batch: ``windows`` windows with ``channels`` channels each."""

    backbone: str = "minilm"
    windows: int = 8
    channels: int = 7
    context: int = 512
    horizon: int = 96
    layers: int | None = None
    description: str = DESCRIPTION
    precision: str = "auto"
    device: str = "cpu"

    @property
    def series(self) -> int:
        """Number of series in a batch, ``M``."""
        return self.windows * self.channels

    @property
    def n_patches(self) -> int:
        """Number of patches of a series, ``P``."""
        return self.config("minilm", "compact, free").n_patches

    @property
    def room(self) -> int:
        """Most tokens of a description that fit beside patches, task and statistics."""
        shape = SHAPES.get(self.backbone, {})
        positions = shape.get("n_positions") or shape.get("max_position_embeddings") or MINILM_POSITIONS
        return positions - self.n_patches - OTHER_TOKENS

    def config(self, folder: str, form: str) -> Config:
        """Return the configuration of one form, without a skip because the original has none."""
        template, prototypes = FORMS[form]
        return Config().replace(
            {
                "data.context": self.context,
                "data.horizon": self.horizon,
                "data.description": self.description,
                "prompt.template": template,
                "backbone.name": folder,
                "backbone.layers": self.layers,
                "backbone.random_init": self.backbone in SHAPES and not self.stores_weights,
                "backbone.precision": self.precision,
                "backbone.prompt_attention": "prefix",
                "model.prototypes": prototypes,
                "model.n_prototypes": 1024,
                "model.skip": "none",
                "model.dropout": 0.0,
            }
        )

    @property
    def stores_weights(self) -> bool:
        """Whether the random weights are drawn once, on the GPU, and stored: drawing billions takes a CPU minutes."""
        return self.backbone in SHAPES and self.device != "cpu"

    def draw(self) -> Tensor:
        """Draw random walks, ``(B, T, N)``."""
        return torch.randn(self.windows, self.context, self.channels, device=self.device).cumsum(dim=1)

    def draw_target(self) -> Tensor:
        """Draw random targets, ``(B, H, N)``."""
        return torch.randn(self.windows, self.horizon, self.channels, device=self.device)


def words(count: int) -> str:
    """Return a description of ``count`` tokens of MiniLM's tokenizer, which every case uses."""
    return " ".join(["load"] * count)


@contextmanager
def backbone_folder(case: Case, *, weights: bool = False) -> Iterator[str]:
    """Provide the backbone of a case: ``minilm`` itself, or a folder with a configuration and MiniLM's tokenizer.

    Parameters
    ----------
    case : Case
    weights : bool
        Whether the folder also holds weights, with exactly the layers of the case: for contenders that cannot draw
        random weights themselves. On a GPU it always does, in bfloat16.
    """
    if case.backbone == "minilm" and not (weights and case.layers):
        yield case.backbone
        return
    source = find_backbone("minilm")
    with tempfile.TemporaryDirectory() as folder:
        for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            if (source / file).is_file():
                shutil.copy(source / file, folder)
        shape = SHAPES.get(case.backbone) or json.loads((source / "config.json").read_text())
        if case.layers:
            shape = {**shape, "n_layer" if shape["model_type"] == "gpt2" else "num_hidden_layers": case.layers}
        config = Path(folder, "config.json")
        config.write_text(json.dumps(shape))
        if weights or case.stores_weights:
            with torch.device(case.device):
                drawn = load_language_model(folder, random_init=True, precision="float32").model
            (drawn.bfloat16() if case.stores_weights else drawn).save_pretrained(folder)
            config.write_text(json.dumps(shape))  # save_pretrained wrote values that loading had changed
        yield folder
