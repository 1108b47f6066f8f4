"""The plain patch embedding against PyTorch's own layers, and its receptive field."""

import numpy as np
import pytest
import torch
from torch import nn

from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.patching import PatchEmbedding, patch_count
from swt_time.wavelets import reach, wavelet_support

SHAPES = [(64, 16, 8), (61, 16, 8), (50, 5, 9), (40, 4, 4), (24, 24, 8), (33, 1, 1)]
"""(T, patch_len, stride): strides that divide T - patch_len or not, patches shorter than the stride, one full patch."""


@pytest.fixture(autouse=True)
def fixed_seed():
    """Run every test with the same seed."""
    torch.manual_seed(0)


def reference_patches(series: np.ndarray, patch_len: int, stride: int) -> np.ndarray:
    """Reference implementation: patches of one series whose last sample is repeated for one stride."""
    padded = list(series) + [series[-1]] * stride
    starts = range(0, len(padded) - patch_len + 1, stride)
    return np.array([padded[start : start + patch_len] for start in starts])


@pytest.mark.parametrize(("length", "patch_len", "stride"), SHAPES)
def test_tokens_equal_projected_patches(length, patch_len, stride):
    x = torch.randn(2, 3, length)
    embed = PatchEmbedding(7, patch_len, stride)
    tokens = embed(x)
    assert tokens.shape == (6, patch_count(length, patch_len, stride), 7)
    weight = embed.projection.weight.detach().numpy()[:, :, 0]
    expected = [reference_patches(row, patch_len, stride) @ weight.T for row in x.reshape(6, length).numpy()]
    np.testing.assert_allclose(tokens.detach().numpy(), np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "patch_len", "stride"), SHAPES)
def test_kernel_size_three_equals_a_circular_conv1d(length, patch_len, stride):
    x = torch.randn(2, 3, length)
    embed = PatchEmbedding(7, patch_len, stride, kernel_size=3)
    oracle = nn.Conv1d(patch_len, 7, 3, padding=1, padding_mode="circular", bias=False)
    assert oracle.weight.shape == embed.projection.weight.shape
    oracle.load_state_dict({"weight": embed.projection.weight})
    features = np.stack([reference_patches(row, patch_len, stride) for row in x.reshape(6, length).numpy()])
    expected = oracle(torch.from_numpy(features).transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(embed(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize(("field", "first", "last"), [(None, 0, 0), (16, 0, 0), (21, 2, 3), ((7, 2), 7, 2)])
def test_receptive_field(field, first, last, kernel_size):
    """A token depends on exactly the samples of its receptive field; an integer is centred on the patch."""
    embed = PatchEmbedding(4, 16, 8, kernel_size=kernel_size, receptive_field=field)
    x = torch.randn(1, 1, 96, requires_grad=True)
    (seen,) = torch.autograd.grad(embed(x)[0, 4].abs().sum(), x)
    neighbours = 8 * (kernel_size // 2)
    start, stop = 32 - first - neighbours, 48 + last + neighbours
    assert seen[0, 0].nonzero().flatten().tolist() == list(range(start, stop))


@pytest.mark.parametrize("boundary", ["periodic", "causal", "replicate"])
def test_reach_gives_the_receptive_field_of_the_wavelet_embedding(boundary):
    wavelet = WaveletPatchEmbedding(4, wavelet="db4", level=2, boundary=boundary)
    plain = PatchEmbedding(4, receptive_field=reach("db4", 2, boundary), boundary=boundary)
    assert plain.projection.weight.shape[1] == 16 + wavelet_support("db4", 2) - 1
    x = torch.randn(1, 1, 128, requires_grad=True)
    seen = [torch.autograd.grad(embed(x)[0, 7].square().sum(), x)[0][0, 0] != 0 for embed in (wavelet, plain)]
    assert torch.equal(*seen)


def test_a_linear_wavelet_embedding_equals_a_plain_one_with_the_same_receptive_field():
    """The folded kernel, used as weights of the plain embedding, gives the same tokens."""
    wavelet = WaveletPatchEmbedding(8, wavelet="db4", level=3, boundary="reflect", projection="per_band")
    plain = PatchEmbedding(8, receptive_field=reach("db4", 3), boundary="reflect")
    with torch.no_grad():
        plain.projection.weight.copy_(wavelet.folded_kernels(96)[0][:, : wavelet.taps].unsqueeze(-1))
    x = torch.randn(2, 3, 96)
    torch.testing.assert_close(plain(x), wavelet(x))


def test_positions_are_added_to_each_patch():
    embed = PatchEmbedding(4, positions="patch", context=64)
    assert embed.position.shape == (8, 4)
    assert 0.01 < embed.position.std() < 0.03
    x = torch.randn(2, 3, 64)
    with_positions = embed(x)
    embed.position.data.zero_()
    embed.position.data[5] = 1.0
    moved = embed(x)
    embed.position.data.zero_()
    torch.testing.assert_close((moved - embed(x))[:, 5], torch.ones(6, 4))
    assert (with_positions - embed(x)).abs().max() > 0


def test_dropout_acts_in_training_only():
    embed = PatchEmbedding(16, dropout=0.5)
    x = torch.randn(2, 3, 64)
    assert 0.3 < (embed(x) == 0).float().mean() < 0.7
    assert (embed.eval()(x) == 0).float().mean() < 0.01


def test_autocast_and_half_precision():
    embed = PatchEmbedding(8)
    x = torch.randn(2, 3, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = embed(x)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, embed(x))
    half = embed(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - embed(x)).abs().max() < 0.05 * embed(x).abs().max()


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_compiles_into_one_graph(kernel_size):
    torch.compiler.reset()
    embed = PatchEmbedding(8, kernel_size=kernel_size, receptive_field=(3, 4), positions="patch", context=61)
    x = torch.randn(2, 3, 61)
    compiled = torch.compile(embed, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), embed(x))


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: PatchEmbedding(8, kernel_size=2), ["kernel_size 1 or 3", "got 2"]),
        (lambda: PatchEmbedding(0), ["d_model of at least 1", "got 0"]),
        (lambda: PatchEmbedding(8, stride=0), ["stride of at least 1", "got 0"]),
        (lambda: PatchEmbedding(8, receptive_field=9), ["contains the patch of 16", "got 9", "at least 16"]),
        (lambda: PatchEmbedding(8, positions="band"), ["'band'", "WaveletPatchEmbedding"]),
        (lambda: PatchEmbedding(8, positions="patch"), ["context=T", "None"]),
        (lambda: PatchEmbedding(8, boundary="wrap"), ["'wrap'", "periodic"]),
        (lambda: PatchEmbedding(8)(torch.randn(3, 64)), ["(B, N, T)", "(3, 64)"]),
        (lambda: PatchEmbedding(8)(torch.randn(1, 1, 9)), ["patch_len = 16", "got 9", "patch_len <= 9"]),
        (
            lambda: PatchEmbedding(8, positions="patch", context=64)(torch.randn(1, 1, 80)),
            ["8 patches", "got 10", "context=T"],
        ),
    ],
)
def test_error_messages(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    assert not [part for part in parts if part not in str(error.value)], str(error.value)
