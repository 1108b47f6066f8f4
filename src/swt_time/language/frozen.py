"""Linear layers of a frozen model on a processor in bfloat16: product, bias and activation in one kernel.

PyTorch's own path copies the bias over the whole result before it multiplies, and applies GPT-2's activation in a
pass of its own that takes as long as the product. oneDNN does all three at once; PyTorch's compiler calls the same
operator. A model in any other number type or place is left as it is.
"""

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Gelu = Literal["none", "tanh"]
"""GELU by the error function, or GPT-2's approximation by tanh: PyTorch's names."""


@cache
def can_fuse() -> bool:
    """Whether this build of PyTorch has the kernel, and this processor what it needs: AVX512 or the like."""
    kernels = torch.ops.mkldnn
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(kernels, "_linear_pointwise")
        and bool(kernels._is_mkldnn_bf16_supported())
    )


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor, gelu: Gelu | None) -> Tensor:
    """``gelu(x W' + b)`` of rows ``(R, in)``, without a graph."""
    name, algorithm = ("none", "") if gelu is None else ("gelu", gelu)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, [], algorithm)


class _Frozen(torch.autograd.Function):
    """`fused_linear` with a gradient to its input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, gelu: Gelu | None) -> Tensor:
        before = fused_linear(x, weight, bias, None)
        ctx.gelu = gelu
        ctx.save_for_backward(weight, *([] if gelu is None else [before]))
        return before if gelu is None else F.gelu(before, approximate=gelu)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        weight, *before = ctx.saved_tensors
        if before:
            gradient = torch.ops.aten.gelu_backward(gradient, before[0], approximate=ctx.gelu)
        return gradient @ weight, None, None, None


class FrozenLinear(nn.Module):
    """A linear layer that does not learn, with the activation behind it.

    Parameters
    ----------
    weight : Tensor, (out, in)
    bias : Tensor, (out,)
    gelu : {None, "none", "tanh"}
    """

    def __init__(self, weight: Tensor, bias: Tensor, gelu: Gelu | None = None):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in)`` to ``(..., out)``."""
        fits = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.bfloat16
        if not fits or torch.compiler.is_compiling() or not can_fuse():
            y = F.linear(x, self.weight, self.bias)
            return y if self.gelu is None else F.gelu(y, approximate=self.gelu)
        rows = x.reshape(-1, x.shape[-1])
        learns = torch.is_grad_enabled() and x.requires_grad
        y = (_Frozen.apply if learns else fused_linear)(rows, self.weight, self.bias, self.gelu)
        return y.view(*x.shape[:-1], -1)


def fuse_linear_layers(model: Any) -> None:
    """Replace the linear layers of a frozen Hugging Face BERT or GPT-2 in place, and the activation of its MLPs.

    Layers without a bias (LLaMA's) gain nothing and stay.
    """
    family = model.config.model_type
    gelu: dict[str, Gelu] = {"gelu": "none", "gelu_pytorch_tanh": "tanh"}
    activation = gelu.get(model.config.hidden_act if family == "bert" else model.config.activation_function)
    blocks = model.encoder.layer if family == "bert" else model.h
    for layer in blocks if activation is not None else ():
        if family == "bert":
            layer.intermediate.dense = _frozen(layer.intermediate.dense, activation)
            layer.intermediate.intermediate_act_fn = nn.Identity()
        else:
            layer.mlp.c_fc = _frozen(layer.mlp.c_fc, activation)
            layer.mlp.act = nn.Identity()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if getattr(child, "bias", None) is not None and (isinstance(child, nn.Linear) or _is_transposed(child)):
                setattr(parent, name, _frozen(child, None))


def _is_transposed(layer: nn.Module) -> bool:
    """Whether a layer is GPT-2's linear layer, which keeps its weight as (in, out)."""
    return type(layer).__name__ == "Conv1D"


def _frozen(layer: Any, gelu: Gelu | None) -> FrozenLinear:
    return FrozenLinear(layer.weight.T if _is_transposed(layer) else layer.weight, layer.bias, gelu)
