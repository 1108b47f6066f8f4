"""The wavelet patch embedding against a NumPy reference implementation, and its folded path against the plain one."""

import copy
import itertools

import numpy as np
import pytest
import pywt
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from swt_time.model.embedding import CHOICES, WaveletPatchEmbedding
from swt_time.model.patching import patch_count
from swt_time.wavelets import BOUNDARIES, swt, wavelet_support

SHAPES = [(64, 16, 8), (61, 16, 8), (50, 5, 9), (40, 4, 4), (24, 24, 8), (33, 1, 1)]
"""(T, patch_len, stride): strides that divide T - patch_len or not, patches shorter than the stride, one full patch."""
PADDING = {"periodic": "wrap", "reflect": "reflect", "replicate": "edge", "zero": "constant"}
FOLDING_TOL = 1e-5  # relative to the largest entry, float32


@pytest.fixture(autouse=True)
def one_thread():
    """Run on one thread, which is faster for small tensors, with a fixed seed."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def refused(**options) -> bool:
    """Whether the embedding refuses a combination of options."""
    return options.get("bands") == "approx" and (
        options.get("band_weights") == "softmax"
        or options.get("projection") == "per_band"
        or options.get("positions") == "band"
    )


def shake(embed: torch.nn.Module, size: float = 0.05) -> None:
    """Add noise to every parameter, so that options that are initialised as the identity have an effect."""
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in embed.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=noise, dtype=parameter.dtype))


def reference_tokens(embed: WaveletPatchEmbedding, series: np.ndarray) -> np.ndarray:
    """Reference implementation: tokens of one series, without positions, by PyWavelets and loops."""
    length, room = len(series), wavelet_support(embed.wavelet, embed.level) + embed.stride
    fill = -(length + 2 * room) % 2**embed.level
    padded = np.pad(series, (room, room + fill), mode=PADDING[embed.boundary])
    bands = pywt.swt(padded, embed.wavelet, embed.level, trim_approx=True, norm=embed.norm)
    bands = np.stack(bands)[: embed.bands, room : room + length + embed.stride]
    if embed.pad == "coefficient":
        bands[:, length:] = bands[:, length - 1 : length]
    if embed.threshold is not None:
        threshold = embed.threshold.detach().numpy().clip(min=0)[:, None]
        bands = np.sign(bands) * np.maximum(np.abs(bands) - threshold, 0)
    if embed.band_weight is not None:
        weight = embed.band_weight.detach().numpy().astype(np.float64)
        bands = bands * (len(weight) * np.exp(weight) / np.exp(weight).sum() if embed.softmax else weight)[:, None]
    tokens = []
    for p in range(patch_count(length, embed.patch_len, embed.stride)):
        patch = bands[:, p * embed.stride : p * embed.stride + embed.patch_len]
        weight = embed.projection.weight.detach().numpy()
        if weight.ndim == 2:
            features = [patch[k, r] for r in range(embed.patch_len) for k in range(embed.bands)]
            tokens.append(weight @ np.array(features))
        else:
            features = np.concatenate([weight[k] @ patch[k] for k in range(embed.bands)])
            tokens.append(embed.projection.fusion.detach().numpy() @ features)
    return np.stack(tokens)


def outputs_and_gradients(embed: WaveletPatchEmbedding, path: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Tokens of one path, and the gradients of a squared loss with respect to the series and every parameter."""
    embed.zero_grad()
    x = x.detach().clone().requires_grad_()
    tokens = getattr(embed, path)(x)
    (tokens - 0.7).square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in embed.named_parameters() if p.grad is not None}
    return {"tokens": tokens.detach(), "x": x.grad, **gradients}


def assert_near(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float) -> None:
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert (got[name] - value).abs().max() <= tolerance * value.abs().max(), name


# --- the definition ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", PADDING)
@pytest.mark.parametrize("pad", CHOICES["pad"])
@pytest.mark.parametrize(("length", "patch_len", "stride"), SHAPES)
def test_tokens_equal_the_reference_implementation(length, patch_len, stride, pad, boundary):
    for options in (
        {},
        {"bands": "approx", "norm": True},
        {"band_weights": "softmax", "projection": "per_band"},
        {"band_weights": "free", "shrink": "soft"},
    ):
        embed = WaveletPatchEmbedding(6, patch_len, stride, level=2, boundary=boundary, pad=pad, **options).double()
        shake(embed, 0.3)
        x = torch.randn(2, 2, length, dtype=torch.float64)
        tokens = embed(x)
        assert tokens.shape == (4, patch_count(length, patch_len, stride), 6)
        expected = np.stack([reference_tokens(embed, row) for row in x.reshape(4, length).numpy()])
        np.testing.assert_allclose(tokens.detach().numpy(), expected, atol=1e-9, rtol=0)


def test_causal_tokens_use_the_causal_bands():
    embed = WaveletPatchEmbedding(6, boundary="causal").double()
    x = torch.randn(1, 1, 64, dtype=torch.float64)
    bands = swt(x[0, 0], "db4", 3, "causal")
    features = bands[:, 24:40].T.reshape(-1)
    torch.testing.assert_close(embed(x)[0, 3], embed.projection.weight @ features)


def test_causal_tokens_do_not_change_with_the_future():
    embed = WaveletPatchEmbedding(6, boundary="causal")
    x = torch.randn(1, 1, 64)
    later = x.clone()
    later[..., 40:] += 1.0
    before, after = embed(x), embed(later)
    assert torch.equal(before[:, :4], after[:, :4])  # patch 3 ends at sample 39
    assert (before[:, 4] != after[:, 4]).any()


@pytest.mark.parametrize("d_model", [1, 3, 4, 7, 16])
@pytest.mark.parametrize("level", [1, 2, 3, 5])
@pytest.mark.parametrize("projection", CHOICES["projection"])
def test_the_output_has_d_model_features(d_model, level, projection):
    """Also if the number of bands does not divide D."""
    embed = WaveletPatchEmbedding(d_model, level=level, projection=projection)
    assert embed(torch.randn(2, 3, 96)).shape == (6, 12, d_model)


def test_options_that_are_initialised_as_the_identity():
    plain = WaveletPatchEmbedding(8)
    x = torch.randn(2, 3, 96)
    for options in ({"band_weights": "free"}, {"band_weights": "softmax"}, {"shrink": "soft"}):
        embed = WaveletPatchEmbedding(8, **options)
        embed.load_state_dict(plain.state_dict(), strict=False)
        torch.testing.assert_close(embed(x), plain(x))
    for learnable in ("lattice", "free"):
        embed = WaveletPatchEmbedding(8, learnable=learnable)
        embed.load_state_dict(plain.state_dict(), strict=False)
        assert (embed(x) - plain(x)).abs().max() < 1e-5


def test_every_parameter_is_trained():
    """One step changes every parameter."""
    x = torch.randn(4, 2, 61)
    for options in (
        {"band_weights": "free", "projection": "per_band", "positions": "band", "learnable": "lattice"},
        {"band_weights": "softmax", "shrink": "soft", "positions": "patch", "learnable": "free", "semantic": True},
        {"band_weights": "softmax", "pad": "coefficient", "learnable": "free"},
    ):
        embed = WaveletPatchEmbedding(8, context=61, **options)
        before = copy.deepcopy(embed.state_dict())
        optimizer = torch.optim.SGD(embed.parameters(), lr=1e-3)
        (embed(x) - 1).square().sum().backward()
        optimizer.step()
        for name, value in embed.named_parameters():
            assert (value != before[name]).any(), name


def test_positions_depend_on_patch_and_band():
    x = torch.randn(2, 3, 64)
    for projection in CHOICES["projection"]:
        embed = WaveletPatchEmbedding(8, positions="band", projection=projection, context=64)
        assert embed.position.shape == (8, 8)
        assert embed.band_position.shape == (8, 16, 4)
        for table in (embed.position, embed.band_position):
            assert 0.01 < table.std() < 0.03
        base = embed(x)
        embed.band_position.data[5, :, 2] += 1.0
        by_band_2 = embed(x) - base
        embed.band_position.data[5, :, 2] -= 1.0
        embed.band_position.data[5, :, 3] += 1.0
        by_band_3 = embed(x) - base
        for change in (by_band_2, by_band_3):
            assert change[:, [0, 1, 2, 3, 4, 6, 7]].abs().max() < 1e-5
            assert change[:, 5].abs().max() > 0.01
        assert (by_band_2 - by_band_3).abs().max() > 0.01


def test_band_positions_are_added_to_the_patch_before_the_projection():
    embed = WaveletPatchEmbedding(8, positions="band", context=64)
    x = torch.randn(1, 1, 64)
    expected = embed.position[3] + embed.projection.weight @ embed.band_position[3].reshape(-1)
    difference = embed(x)[0, 3] - embed.plain(x[0])[0, 3]
    torch.testing.assert_close(difference, expected, rtol=1e-4, atol=1e-5)


def test_shrinkage_removes_small_coefficients_and_negative_thresholds_get_gradients():
    embed = WaveletPatchEmbedding(8, shrink="soft")
    x = torch.randn(2, 3, 64)
    start = embed(x).detach()
    embed.threshold.data.fill_(1e6)
    assert embed(x).abs().max() == 0
    embed.threshold.data.fill_(-1.0)
    torch.testing.assert_close(embed(x), start)
    embed(x).square().sum().backward()
    assert (embed.threshold.grad != 0).all()


def test_semantic_projection_follows_the_positions_and_keeps_the_width():
    embed = WaveletPatchEmbedding(8, semantic=True, positions="patch", context=64)
    x = torch.randn(2, 3, 64)
    first, gelu, last = embed.semantic
    tokens = embed.plain(x.reshape(6, 64)) + embed.position
    torch.testing.assert_close(embed(x), last(gelu(first(tokens))), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only():
    embed = WaveletPatchEmbedding(16, dropout=0.5)
    x = torch.randn(2, 3, 64)
    assert 0.3 < (embed(x) == 0).float().mean() < 0.7
    assert (embed.eval()(x) == 0).float().mean() < 0.01


def test_only_free_filters_have_a_penalty():
    for learnable in ("none", "lattice"):
        assert WaveletPatchEmbedding(8, learnable=learnable).penalty() is None
    embed = WaveletPatchEmbedding(8, learnable="free")
    assert embed.penalty() < 1e-10
    shake(embed)
    penalty = embed.penalty()
    assert penalty > 1e-3
    penalty.backward()
    assert embed.bank.dec_lo.grad.abs().max() > 0


# --- folding -----------------------------------------------------------------------------------------------

LINEAR = {name: CHOICES[name] for name in ("bands", "band_weights", "projection", "learnable", "pad")}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("length", "patch_len", "stride", "wavelet"), [(61, 16, 8, "db4"), (50, 5, 9, "sym5")])
def test_folded_equals_plain_outputs_and_every_gradient(length, patch_len, stride, wavelet, boundary):
    """Every combination of the linear options, for overlapping patches and for patches that skip samples.

    The folded path in float32 is compared with the plain path in float64.
    """
    counted = 0
    for values in itertools.product(*LINEAR.values()):
        options = dict(zip(LINEAR, values, strict=True))
        if refused(**options):
            continue
        embed = WaveletPatchEmbedding(7, patch_len, stride, wavelet=wavelet, boundary=boundary, **options)
        shake(embed)
        x = torch.randn(6, length)
        exact = outputs_and_gradients(copy.deepcopy(embed).double(), "plain", x.double())
        assert_near(outputs_and_gradients(embed, "folded", x), exact, FOLDING_TOL)
        # The rounding of the plain path is larger, because the gradient of an angle is a difference of large terms.
        assert_near(outputs_and_gradients(embed, "plain", x), exact, 5 * FOLDING_TOL)
        counted += 1
    assert counted == 48


@pytest.mark.parametrize("pad", CHOICES["pad"])
@pytest.mark.parametrize(("length", "patch_len", "stride"), SHAPES)
@pytest.mark.parametrize("wavelet", ["haar", "bior2.2", "db10"])
def test_folded_equals_plain_in_double_precision(wavelet, length, patch_len, stride, pad):
    for level, norm in ((1, False), (3, True), (4, False)):
        embed = WaveletPatchEmbedding(5, patch_len, stride, wavelet=wavelet, level=level, norm=norm, pad=pad).double()
        x = torch.randn(3, length, dtype=torch.float64)
        assert_near(outputs_and_gradients(embed, "folded", x), outputs_and_gradients(embed, "plain", x), 1e-12)


def test_the_comparison_detects_a_wrong_kernel():
    """Control: a kernel that is shifted by one sample fails the comparison."""
    embed = WaveletPatchEmbedding(7)
    embed.reach = (embed.reach[0] + 1, embed.reach[1] - 1)
    x = torch.randn(6, 61)
    with pytest.raises(AssertionError):
        assert_near(outputs_and_gradients(embed, "folded", x), outputs_and_gradients(embed, "plain", x), 0.1)


def test_half_precision_is_close_to_float32():
    embed = WaveletPatchEmbedding(8).eval()
    x = torch.randn(2, 3, 96)
    exact = embed(x)
    for dtype, tolerance in ((torch.bfloat16, 0.02), (torch.float16, 0.003)):
        for tokens in (embed(x.to(dtype)), embed.plain(x.to(dtype).reshape(6, 96))):
            assert tokens.dtype == dtype
            assert (tokens.float() - exact).abs().max() < tolerance * exact.abs().max()
        half = copy.deepcopy(embed).to(dtype)
        assert half.filters.dtype == torch.float32
        assert (half(x.to(dtype)).float() - exact).abs().max() < tolerance * exact.abs().max()


def test_autocast_does_not_affect_the_transform():
    x = torch.randn(2, 3, 96)
    for options in ({}, {"shrink": "soft", "positions": "band", "context": 96}):
        embed = WaveletPatchEmbedding(8, **options)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = embed(x)
        assert inside.dtype == torch.float32
        assert torch.equal(inside, embed(x))


class LargestTensor(TorchDispatchMode):
    """Record the size of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                self.largest = max(self.largest, value.untyped_storage().nbytes() // value.element_size())
        return out


def test_neither_bands_nor_patches_are_materialised():
    """No tensor of the folded path, backward included, is larger than the extended signal or the tokens."""
    embed = WaveletPatchEmbedding(8)
    x = torch.randn(16, 4, 512)
    bound = 64 * max(512 + 8 + 49 + 8, 64 * 8)  # extended to whole blocks of a stride
    with LargestTensor() as seen:
        embed(x).square().sum().backward()
    assert seen.largest <= bound
    with LargestTensor() as seen:
        embed.plain(x.reshape(64, 512))
    assert seen.largest >= 64 * 512 * 4  # control: the plain path materialises all bands


# --- the kernel in eval ------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """An embedding in eval mode, and the list of its kernel computations."""
    builds = []
    original = WaveletPatchEmbedding.folded_kernels
    monkeypatch.setattr(WaveletPatchEmbedding, "folded_kernels", lambda self, n: builds.append(n) or original(self, n))
    return WaveletPatchEmbedding(8, band_weights="free", learnable="lattice", pad="coefficient").eval(), builds


@torch.no_grad()
def test_the_kernel_is_computed_once_in_eval(counted):
    embed, builds = counted
    for _ in range(3):
        embed(torch.randn(2, 3, 96))
    assert len(builds) == 1
    with torch.inference_mode():
        embed(torch.randn(2, 3, 96))
    assert len(builds) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.load_state_dict({k: v + 0.1 for k, v in e.state_dict().items()}),
        lambda e: e.projection.weight.add_(0.1),
        lambda e: e.band_weight.mul_(2),
        lambda e: e.bank.angles.add_(0.3),
        lambda e: setattr(e.projection, "weight", torch.nn.Parameter(e.projection.weight + 1)),
        lambda e: setattr(e.projection.weight, "data", e.projection.weight + 1),
        lambda e: (e.projection.weight.data.add_(1), e.train(), e.eval()),
        lambda e: (e.projection.weight.data.add_(1), e.float()),
    ],
)
@torch.no_grad()
def test_the_kernel_is_recomputed_when_a_weight_changes(counted, change):
    embed, _ = counted
    x = torch.randn(2, 3, 96)
    before = embed(x)
    change(embed)
    after = embed(x)
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, embed.plain(x.reshape(6, 96)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_last_patch_depends_on_the_length(counted):
    embed, _ = counted
    for length in (96, 91, 96):
        x = torch.randn(2, 3, length)
        torch.testing.assert_close(embed(x), embed.plain(x.reshape(6, length)), rtol=1e-4, atol=1e-4)


def test_gradients_pass_in_eval():
    """A cached kernel would silently stop them."""
    embed = WaveletPatchEmbedding(8).eval()
    with torch.no_grad():
        embed(torch.randn(2, 3, 96))
    x = torch.randn(2, 3, 96, requires_grad=True)
    embed(x).square().sum().backward()
    assert embed.projection.weight.grad.abs().max() > 0
    assert x.grad.abs().max() > 0
    embed.requires_grad_(False)
    x.grad = None
    with torch.inference_mode():
        embed(x)
    embed(x).square().sum().backward()
    assert x.grad.abs().max() > 0


def test_constants_are_not_saved_and_eval_adds_no_buffer():
    embed = WaveletPatchEmbedding(8, pad="coefficient").eval()
    before = [name for name, _ in embed.named_buffers()]
    with torch.no_grad():
        embed(torch.randn(2, 3, 96))
    assert [name for name, _ in embed.named_buffers()] == before == ["filters"]
    assert list(embed.state_dict()) == ["projection.weight"]
    clone = copy.deepcopy(embed)
    with torch.no_grad():
        clone.projection.weight.zero_()
        assert clone(torch.randn(2, 3, 96)).abs().max() == 0


# --- compilation -------------------------------------------------------------------------------------------

COMPILED = [
    {},
    {"pad": "coefficient", "boundary": "reflect", "bands": "approx"},
    {"shrink": "soft", "boundary": "causal"},
    {"learnable": "lattice", "boundary": "zero", "band_weights": "softmax"},
    {"learnable": "free", "projection": "per_band", "positions": "band", "semantic": True, "context": 61},
]


def assert_compiled_equals_eager(embed: WaveletPatchEmbedding, backend: str) -> None:
    torch.compiler.reset()
    x = torch.randn(2, 3, 61)
    compiled = torch.compile(embed, fullgraph=True, backend=backend)
    embed.train()
    tokens = compiled(x)
    torch.testing.assert_close(tokens, embed(x), rtol=1e-4, atol=1e-5)
    tokens.square().sum().backward()
    got = {name: p.grad.clone() for name, p in embed.named_parameters()}
    embed.zero_grad()
    embed(x).square().sum().backward()
    for name, p in embed.named_parameters():
        torch.testing.assert_close(got[name], p.grad, rtol=1e-3, atol=1e-3)
    embed.eval()
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(compiled(x), embed(x), rtol=1e-4, atol=1e-5)
            embed.projection.weight.mul_(2)  # a compiled graph must not keep the old kernel


@pytest.mark.parametrize("options", COMPILED)
def test_compiles_into_one_graph(options):
    assert_compiled_equals_eager(WaveletPatchEmbedding(8, **options), "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("options", COMPILED)
def test_compiles_with_inductor(options):
    assert_compiled_equals_eager(WaveletPatchEmbedding(8, **options), "inductor")


# --- error messages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: WaveletPatchEmbedding(8, wavelet="db99"), ["'db99'", "did you mean"]),
        (lambda: WaveletPatchEmbedding(8, level=0), ["at least 1", "got 0"]),
        (lambda: WaveletPatchEmbedding(8, level=7, context=96), ["T = 96", "largest level that fits is 6"]),
        (lambda: WaveletPatchEmbedding(8, level=7)(torch.randn(1, 1, 96)), ["T = 96", "largest level that fits is 6"]),
        (lambda: WaveletPatchEmbedding(8, boundary="wrap"), ["'wrap'", *BOUNDARIES]),
        (lambda: WaveletPatchEmbedding(8, bands="detail"), ["unknown bands", "all, approx", "'detail'"]),
        (lambda: WaveletPatchEmbedding(8, shrink="hard"), ["unknown shrink", "none, soft", "'hard'"]),
        (lambda: WaveletPatchEmbedding(8, pad="zero"), ["unknown pad", "signal, coefficient", "'zero'"]),
        (lambda: WaveletPatchEmbedding(8, bands="approx", band_weights="softmax"), ["cannot be combined", "always 1"]),
        (lambda: WaveletPatchEmbedding(8, bands="approx", projection="per_band"), ["cannot be combined", "'joint'"]),
        (lambda: WaveletPatchEmbedding(8, bands="approx", positions="band"), ["cannot be combined", "'patch'"]),
        (lambda: WaveletPatchEmbedding(8, positions="band"), ["context=T", "None"]),
        (lambda: WaveletPatchEmbedding(8, learnable="lattice", wavelet="bior2.2"), ["orthogonal", "'free'"]),
        (lambda: WaveletPatchEmbedding(8, learnable="lattice", wavelet="db16"), ["30 taps", "got db16 with 32"]),
        (lambda: WaveletPatchEmbedding(8, 0), ["patch_len of at least 1"]),
        (lambda: WaveletPatchEmbedding(8)(torch.randn(3, 64)), ["(B, N, T)", "(3, 64)"]),
        (lambda: WaveletPatchEmbedding(8)(torch.randn(1, 1, 9)), ["patch_len = 16", "got 9"]),
    ],
)
def test_error_messages(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    assert not [part for part in parts if part not in str(error.value)], str(error.value)
