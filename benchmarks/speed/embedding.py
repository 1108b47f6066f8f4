"""Speed and memory of the wavelet patch embedding: folded, plain, and ``ptwt`` + unfold + Conv1d.

All contenders compute the same tokens (``pad="coefficient"``, periodic boundary), which is verified first.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from speed.measuring import copy_bandwidth, interleaved_medians, peak_extra_bytes, provenance
from swt_time.errors import MissingDependencyError
from swt_time.machine import torch_defaults
from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.patching import patch_count


class Shape(NamedTuple):
    """Shape of the input and the embedding in one measurement."""

    batch: int
    channels: int
    length: int
    d_model: int
    wavelet: str = "db4"
    level: int = 3


SHAPES = (
    Shape(16, 321, 512, 16),
    Shape(32, 7, 512, 32),
    Shape(32, 7, 512, 16),
    Shape(256, 1, 512, 32),
    Shape(32, 7, 96, 16),
)
"""Shapes from the design document, and the default shape for datasets with seven channels."""

SWEEP = (
    *(Shape(32, 7, length, 32) for length in (96, 192, 336, 720, 1024, 2048, 4096)),
    *(Shape(32, 7, 512, 32, level=level) for level in (1, 2, 4, 5, 6)),
    *(Shape(32, 7, 512, 32, wavelet=wavelet) for wavelet in ("haar", "sym8")),
    *(Shape(32, 7, 512, 128, level=level) for level in (1, 3, 6)),
)
"""Window lengths, levels, wavelets and model widths around the shape (32, 7, 512, 32)."""


class PtwtEmbedding(nn.Module):
    """The embedding from ``ptwt.swt``, padding by the last coefficient, overlapping patches and a pointwise Conv1d."""

    def __init__(self, shape: Shape, patch_len: int, stride: int) -> None:
        super().__init__()
        try:
            import ptwt
        except ImportError:
            raise MissingDependencyError(
                "the embedding benchmark compares with ptwt, which is not installed; "
                "install it with: pip install 'swt-time[bench]'"
            ) from None
        self.transform = ptwt.swt
        self.wavelet, self.level = shape.wavelet, shape.level
        self.patch_len, self.stride = patch_len, stride
        self.projection = nn.Conv1d(patch_len * (shape.level + 1), shape.d_model, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, T) -> (B*N, P, D)``."""
        series = x.reshape(-1, 1, x.shape[-1])
        bands = torch.stack([c.squeeze(1) for c in self.transform(series, self.wavelet, level=self.level)], dim=1)
        bands = torch.cat((bands, bands[..., -1:].expand(-1, -1, self.stride)), dim=-1)
        features = bands.unfold(-1, self.patch_len, self.stride).permute(0, 2, 3, 1).flatten(2)
        return self.projection(features.transpose(1, 2)).transpose(1, 2)


@torch_defaults()
def run(
    device: str | torch.device = "cpu",
    shapes: Iterable[Shape] = (*SHAPES, *SWEEP),
    *,
    patch_len: int = 16,
    stride: int = 8,
    repeats: int = 15,
    report: Callable[[dict[str, Any]], None] = lambda row: None,
) -> list[dict[str, Any]]:
    """Measure every shape, forward and forward+backward.

    Parameters
    ----------
    device : str or torch.device
    shapes : iterable of Shape
    patch_len, stride : int
    repeats : int
        Runs of each contender; the median is reported.
    report : callable
        Called with each row as soon as it is measured.

    Returns
    -------
    list of dict
        One row for each shape, pass and contender (``folded``, ``plain``, ``ptwt``): milliseconds, speed-up over
        ``ptwt``, whether the embedding would choose this path by default, peak extra memory and its ratio to that of
        ``ptwt``, the bytes that any implementation must move (read the series, write the tokens; in a backward pass
        read the gradient of the tokens and the series once more), and the reached share of the speed at which a copy
        moves these bytes.

    Raises
    ------
    MissingDependencyError
        ``ptwt`` is not installed.
    """
    device = torch.device(device)
    bandwidth = copy_bandwidth(device)
    origin = provenance(device, ("swt-time", "torch", "PyWavelets", "ptwt"))
    rows = []
    for shape in shapes:
        for row in _measure(shape, device, patch_len, stride, repeats, bandwidth):
            rows.append({**row, **origin})
            report(rows[-1])
    return rows


def describe(row: dict[str, Any]) -> str:
    """Format a row as one line."""
    shape = f"B {row['B']} N {row['N']} T {row['T']} D {row['D']} {row['wavelet']} level {row['level']}"
    chosen = " (chosen)" if row["chosen"] else ""
    return (
        f"{shape:42} {row['pass']:17} {row['contender']:7} {row['ms']:10.3f} ms {row['times_faster']:7.2f}x ptwt  "
        f"{row['peak_mib']:9.2f} MiB{chosen}"
    )


def _measure(
    shape: Shape, device: torch.device, patch_len: int, stride: int, repeats: int, bandwidth: float
) -> Sequence[dict[str, Any]]:
    size = (shape.batch, shape.channels, shape.length)
    models: dict[str, Any] = {"folded": None, "plain": None}
    for name in models:
        model = WaveletPatchEmbedding(
            shape.d_model, patch_len, stride, wavelet=shape.wavelet, level=shape.level, pad="coefficient"
        )
        models[name] = model.to(device)
    chooses = models["folded"].folds
    models["folded"].folds = lambda series: True
    models["plain"].folds = lambda series: False
    models["ptwt"] = PtwtEmbedding(shape, patch_len, stride).to(device)
    weight = models["ptwt"].projection.weight.detach()
    for name in ("folded", "plain"):
        models[name].projection.weight.data.copy_(weight[..., 0])
    _check_equal(models, torch.randn(2, 1, shape.length, device=device))

    series, patches = shape.batch * shape.channels, patch_count(shape.length, patch_len, stride)
    floor = 4 * series * (shape.length + patches * shape.d_model)
    rows = []
    for backward in (False, True):
        makers = {name: _maker(model, size, backward, device) for name, model in models.items()}
        seconds = interleaved_medians(makers, device, repeats)
        memory = {name: peak_extra_bytes(make(), device) for name, make in makers.items()}
        with torch.set_grad_enabled(backward):
            path = "folded" if chooses(torch.empty(series, shape.length, device="meta")) else "plain"
        for name, took in seconds.items():
            moved = floor * (2 if backward else 1)
            rows.append(
                {
                    **dict(zip(("B", "N", "T", "D", "wavelet", "level"), shape, strict=True)),
                    "pass": "forward+backward" if backward else "forward",
                    "contender": name,
                    "chosen": int(name == path),
                    "ms": round(took * 1e3, 4),
                    "times_faster": round(seconds["ptwt"] / took, 2),
                    "peak_mib": round(memory[name] / 2**20, 3),
                    "share_of_peak": round(memory[name] / memory["ptwt"], 4),
                    "floor_mib": round(moved / 2**20, 3),
                    "share_of_limit": round(moved / bandwidth / took, 4),
                    "repeats": repeats,
                }
            )
    return rows


def _check_equal(models: dict[str, nn.Module], x: Tensor) -> None:
    """Raise an error if the contenders do not compute the same tokens."""
    with torch.no_grad():
        expected = models["ptwt"](x)
        for name, model in models.items():
            error = float((model(x) - expected).abs().max() / expected.abs().max())
            if error > 1e-4:
                raise RuntimeError(
                    f"tokens of {name} differ from those of ptwt by {error:.1e} of the largest token; "
                    "at most 1e-4 is allowed"
                )


def _maker(
    model: nn.Module, size: tuple[int, int, int], backward: bool, device: torch.device
) -> Callable[[], Callable[[], Any]]:
    """Return a maker that draws fresh inputs and returns a pass: eval-mode inference, or forward and backward."""

    def forward_pass() -> Callable[[], Any]:
        x = torch.randn(*size, device=device)

        def work() -> None:
            with torch.no_grad():
                model(x)

        model.eval()
        with torch.no_grad():
            model(x[:1, :1])  # eval mode computes its constants in the first call
        return work

    def training_pass() -> Callable[[], Any]:
        x = torch.randn(*size, device=device)
        model.train()
        model.zero_grad()
        with torch.no_grad():
            gradient = torch.randn_like(model(x))  # in the memory layout of the tokens, as a loss would give it
        return lambda: model(x).backward(gradient)

    return training_pass if backward else forward_pass
