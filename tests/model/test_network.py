"""The composed model: equal to the reference implementation, independent of batch neighbours, equivariant."""

import pytest
import torch

from support import reference_model
from support.models import PAPER, make_model, windows
from swt_time.model.normalize import normalize


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("wavelet", {"embedding.kind": "wavelet"}),
        ("wavelet", {"embedding.kind": "wavelet", "embedding.pad": "signal"}),
        ("patch", {"embedding.kind": "patch", "embedding.kernel_size": 3}),
        ("patch", {"embedding.kind": "patch", "embedding.kernel_size": 1}),
    ],
    ids=["wavelet, last coefficient", "wavelet, signal", "patch, width 3", "patch, width 1"],
)
def test_paper_configuration_equals_the_reference_implementation(tiny_backbones, family, kind, changes):
    model = make_model(tiny_backbones[family], **changes)
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters() if p.requires_grad}
    context = windows(1, channels=2) / 10
    ours = model(context)[0]
    language_model = model.language_model
    options = {
        **{k: PAPER["embedding"].get(k) for k in ("level", "wavelet")},
        "pad": changes.get("embedding.pad", "coefficient"),
        "patch_len": 16,
        "stride": 8,
        "n_heads": 4,
        "d_ff": 16,
        "horizon": 24,
        "description": PAPER["data"]["description"],
    }
    theirs = reference_model.forecast(
        weights,
        context[0],
        transformer=language_model.model,
        tokenizer=language_model._tokenizer,
        embedding=kind,
        options=options,
    )
    assert (ours - theirs).abs().max() < 1e-5 * max(1, context.std().item())

    probe = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    (ours * probe).sum().backward()
    (theirs * probe).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            expected = weights[name].grad
            assert expected.abs().max() > 0, name
            difference = (parameter.grad - expected).abs().max()
            assert difference < 1e-5 * max(1, expected.abs().max().item()), name


@pytest.mark.parametrize("template", ["paper", "compact", "none"])
@pytest.mark.parametrize("skip", ["none", "linear"])
def test_a_forecast_does_not_depend_on_its_batch(tiny_backbones, family, template, skip):
    model = make_model(tiny_backbones[family], **{"prompt.template": template, "model.skip": skip})
    batch = windows(65)
    with torch.no_grad():
        together = model(batch)
        for i in (0, 17, 64):
            alone = model(batch[i : i + 1])
            assert (together[i] - alone[0]).abs().max() < 1e-5 * batch[i].std()


def test_the_prompts_of_a_batch_differ_in_length(tiny_backbones):
    """Control of the test above: its prompts need padding."""
    model = make_model(tiny_backbones["gpt2"])
    prompt = model.branch.write_prompt((windows(65).transpose(1, 2) - 3) / 7)
    assert prompt.lengths.unique().numel() > 3


def test_channels_are_independent_series(tiny_backbones, family):
    model = make_model(tiny_backbones[family])
    batch = windows(2, channels=5)
    with torch.no_grad():
        together = model(batch)
        for n in range(5):
            alone = model(batch[..., n : n + 1])
            assert (together[..., n : n + 1] - alone).abs().max() < 1e-5 * batch[..., n].std()


@pytest.mark.parametrize(("scale", "shift"), [(3.0, 0.0), (0.25, -40.0), (17.0, 1000.0)])
@pytest.mark.parametrize("template", ["none", "compact"])
def test_shift_and_scale_equivariance(tiny_backbones, family, template, scale, shift):
    model = make_model(tiny_backbones[family], **{"prompt.template": template})
    x = 10 * windows(4) + 50  # variances much larger than the epsilon of RevIN
    with torch.no_grad():
        expected = model(x) * scale + shift
        moved = model(x * scale + shift)
    if template == "compact":
        prompts = [model.branch.prompter(normalize(v)[0][:, 0]) for v in (x, x * scale + shift)]
        same = [a == b for a, b in zip(*prompts, strict=True)]
        assert any(same)
        expected, moved = expected[torch.tensor(same)], moved[torch.tensor(same)]
    assert ((moved - expected).abs() / expected.abs().amax(dim=1, keepdim=True)).max() < 1e-4
    assert expected.std(dim=1).min() > 0


def test_prompt_changes_the_forecast(tiny_backbones, family):
    """Control of the tests above: a model that ignores its prompt would pass them."""
    batch = windows(3)
    with torch.no_grad():
        base = make_model(tiny_backbones[family])(batch)
        other = make_model(tiny_backbones[family], **{"data.description": "Rain."})(batch)
        without = make_model(tiny_backbones[family], **{"prompt.template": "none"})(batch)
    scale = batch.std(dim=1, keepdim=True)
    assert ((base - other).abs() / scale).max() > 1e-3
    assert ((base - without).abs() / scale).max() > 1e-3


EMBEDDINGS = [
    {"embedding.kind": "patch", "embedding.receptive_field": "wavelet"},
    {"embedding.kind": "patch", "embedding.receptive_field": "wavelet", "embedding.boundary": "causal"},
    {"embedding.boundary": "causal", "embedding.wavelet": "haar", "embedding.pad": "signal"},
    {"embedding.bands": "approx", "embedding.norm": True},
    {"embedding.band_weights": "softmax", "embedding.projection": "per_band"},
    {"embedding.shrink": "soft", "embedding.semantic": True},
    {"embedding.positions": "band", "embedding.learnable": "lattice"},
    {"embedding.learnable": "free", "embedding.positions": "patch"},
]


@pytest.mark.parametrize("changes", EMBEDDINGS, ids=lambda c: ", ".join(str(v) for v in c.values()))
def test_every_embedding_option_can_be_trained_in_the_model(changes):
    model = make_model("none", **changes).train()
    forecast = model(windows(3))
    assert forecast.shape == (3, 24, 1)
    penalty = model.penalty()
    (forecast.square().mean() + (0 if penalty is None else penalty)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert (penalty is not None) == (changes.get("embedding.learnable") == "free")


def test_wide_plain_patches_have_the_receptive_field_of_the_wavelet():
    """A token of the plain counterpart depends on the same first and last sample as that of the wavelet embedding."""
    for boundary in ("reflect", "causal"):
        seen = []
        for kind in ("wavelet", "patch"):
            changes = {"embedding.kind": kind, "embedding.receptive_field": "wavelet", "embedding.boundary": boundary}
            embed = make_model("none", **changes, **{"embedding.pad": "signal"}).embed
            x = torch.zeros(1, 1, 96, requires_grad=True)
            embed(x)[0, 5].sum().backward()
            seen.append(x.grad[0, 0] != 0)
        first, last = (where.nonzero().flatten()[[0, -1]].tolist() for where in seen)
        assert first == last
