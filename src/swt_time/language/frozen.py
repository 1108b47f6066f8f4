"""Frozen linear layers on a CPU in bfloat16, with product, bias and activation fused in one oneDNN kernel.

PyTorch's eager path first copies the bias into the whole result, and applies GPT-2's activation in a separate pass that
takes as long as the product. The operator used here is the one that PyTorch's compiler calls. Other dtypes and devices
use the standard operations.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from swt_time.language.private_kernels import agrees, default_settings, ramp
from swt_time.remembered import Remembered

Gelu = Literal["none", "tanh"]
"""PyTorch's names of the exact GELU (``none``) and of the tanh approximation that GPT-2 uses."""


def can_fuse() -> bool:
    """Return whether the CPU supports the kernel (AVX512 or equivalent) and this PyTorch has it as expected."""
    return _can_fuse.get((), _try)


_can_fuse: Remembered[bool] = Remembered()


@default_settings()
def _try() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    x, weight, bias = (ramp(*shape, dtype=torch.bfloat16) for shape in ((3, 32), (32, 32), (32,)))

    def kernel() -> list[Tensor]:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            raise RuntimeError("the CPU has no matrix products in bfloat16")
        return [fused_linear(x, weight, bias, "tanh"), *_derive(fused_linear(x, weight, bias, None))]

    def _derive(before: Tensor) -> list[Tensor]:
        return [torch.ops.aten.gelu_backward(torch.ones_like(before), before, approximate="tanh")]

    def public() -> list[Tensor]:
        before = F.linear(x, weight, bias).requires_grad_()
        after = F.gelu(before, approximate="tanh")
        return [after.detach(), *torch.autograd.grad(after.sum(), before)]

    return agrees(kernel, public, 0.1)


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor, gelu: Gelu | None) -> Tensor:
    """Return ``gelu(x W' + b)`` for rows ``(R, in)``; not differentiable. ``gelu=None`` applies no activation."""
    name, algorithm = ("none", "") if gelu is None else ("gelu", gelu)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, [], algorithm)
    return result


class _Frozen(torch.autograd.Function):
    """`fused_linear` with a gradient for its input only."""

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
    """A linear layer with constant weights, followed by an optional activation.

    Parameters
    ----------
    weight : Tensor, (out, in)
    bias : Tensor, (out,)
    gelu : {None, "none", "tanh"}
        No activation, the exact GELU, or its tanh approximation.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gelu: Gelu | None = None):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)``."""
        fits = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.bfloat16
        if not fits or torch.compiler.is_compiling() or not can_fuse():
            y = F.linear(x, self.weight, self.bias)
            return y if self.gelu is None else F.gelu(y, approximate=self.gelu)
        rows = x.reshape(-1, x.shape[-1])
        learns = torch.is_grad_enabled() and x.requires_grad
        y = (_Frozen.apply if learns else fused_linear)(rows, self.weight, self.bias, self.gelu)
        return y.view(*x.shape[:-1], -1)


def fuse_linear_layers(model: Any) -> None:
    """Replace the linear layers of a frozen Hugging Face BERT or GPT-2 and the activations of its MLPs in place.

    Layers without a bias, such as LLaMA's, would not become faster and are kept.
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
            if getattr(child, "bias", None) is not None and (isinstance(child, nn.Linear) or is_transposed(child)):
                setattr(parent, name, _frozen(child, None))


def is_transposed(layer: nn.Module) -> bool:
    """Return whether a layer is GPT-2's linear layer, whose weight is stored as ``(in, out)``."""
    return type(layer).__name__ == "Conv1D"


def _frozen(layer: Any, gelu: Gelu | None) -> FrozenLinear:
    return FrozenLinear(layer.weight.T if is_transposed(layer) else layer.weight, layer.bias, gelu)
