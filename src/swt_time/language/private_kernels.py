"""Whether private kernels of PyTorch are there and compute what its public operations do.

Their names, arguments and results may change with any release of PyTorch. A kernel is therefore tried once on small
tensors before its first use, and left out if it is missing, refuses our arguments or returns other values.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def default_settings() -> Iterator[None]:
    """Compute with gradients and without autocast, whatever the calling program has set."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        yield


def agrees(kernel: Callable[[], Sequence[Tensor]], public: Callable[[], Sequence[Tensor]], tolerance: float) -> bool:
    """Return whether a private kernel runs and returns the values of the public operations.

    Parameters
    ----------
    kernel, public : callable
        Return the tensors to compare.
    tolerance : float
        Largest absolute difference of two values.
    """
    expected = public()
    try:
        found = kernel()
        return len(found) == len(expected) and all(
            ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0.0, atol=tolerance)
            for ours, theirs in zip(found, expected, strict=True)
        )
    except Exception:  # whatever a changed kernel raises: the public operations remain
        return False


def ramp(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return different values from -1 to 1 on the CPU, without a random generator."""
    count = torch.Size(shape).numel()
    return torch.linspace(-1.0, 1.0, count, device="cpu").mul(7.0).sin().view(shape).to(dtype)
