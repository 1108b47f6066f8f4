"""Windows that are padded before the start of their series: what stands in the padding changes nothing."""

import numpy as np
import pytest
import torch

from support.backbones import load_backbone
from support.models import make_model, windows
from swt_time.config.choices import STAND_INS
from swt_time.language import Prompter
from swt_time.model.closed_form.moments import moments
from swt_time.model.inference import forecast_windows
from swt_time.model.normalize import denormalize, normalize
from swt_time.model.patching import visible_patches
from swt_time.model.stand_ins import AttentionStandIn, TransformerStandIn

CONTEXT = 96
KNOWN = [96, 60, 17, 2, 1]
"""Observed samples of each window; patches have 16 samples and begin every 8."""

STAND_IN_OPTIONS = {"model.n_heads": 4, "embedding.d_model": 16}


def padded(fill: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows (B, T, 1) with `KNOWN` observed samples at their ends, and the mask of these."""
    context = windows(len(KNOWN))
    observed = torch.arange(CONTEXT)[None, :, None] >= CONTEXT - torch.tensor(KNOWN)[:, None, None]
    return torch.where(observed, context, torch.tensor(fill)), observed


def assert_padding_changes_nothing(model: torch.nn.Module) -> None:
    context, observed = padded()
    forecast = model(context, observed=observed)
    assert forecast.isfinite().all()
    for fill in (1.0, -1e30, float("nan"), float("inf")):
        assert torch.equal(model(padded(fill)[0], observed=observed), forecast)
    other = torch.where(observed, context + torch.arange(CONTEXT)[None, :, None] % 3, context)
    assert not torch.equal(model(other, observed=observed)[:-1], forecast[:-1]), "a control: observed values matter"


@pytest.mark.parametrize("attention", ["full", "prefix"])
@pytest.mark.parametrize("template", ["paper", "compact", "none"])
def test_padding_changes_nothing(tiny_backbones, family, template, attention):
    options = {"prompt.template": template, "backbone.prompt_attention": attention}
    with torch.no_grad():
        assert_padding_changes_nothing(make_model(tiny_backbones[family], **options))


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize("skip", ["ridge", "linear", "none"])
def test_padding_changes_nothing_without_a_language_model(name, skip):
    model = make_model(name, **{"model.skip": skip, **STAND_IN_OPTIONS})
    if skip == "ridge":
        torch.nn.init.normal_(model.skip.weight)
    with torch.no_grad():
        assert_padding_changes_nothing(model)


@pytest.mark.parametrize(
    "change",
    [
        {"embedding.kind": "patch"},
        {"embedding.kind": "patch", "embedding.kernel_size": 3},
        {"embedding.kind": "patch", "embedding.receptive_field": "wavelet"},
        {"embedding.positions": "band", "embedding.semantic": True},
        {"embedding.shrink": "soft", "embedding.pad": "signal", "embedding.boundary": "causal"},
        {"embedding.learnable": "free", "embedding.projection": "per_band"},
    ],
    ids=str,
)
def test_padding_changes_nothing_in_any_embedding(change):
    with torch.no_grad():
        assert_padding_changes_nothing(make_model("transformer", **STAND_IN_OPTIONS, **change))


@pytest.mark.parametrize("attention", ["full", "prefix"])
@pytest.mark.parametrize("with_prompt", [False, True])
def test_no_patch_attends_to_one_that_is_not_visible(tiny_backbones, family, attention, with_prompt):
    language_model = load_backbone(tiny_backbones[family], prompt_attention=attention)
    tokens = torch.randn(3, 9, language_model.hidden_size)
    visible = torch.arange(9) >= torch.tensor([0, 4, 8])[:, None]
    prompt = None
    if with_prompt:
        prompt = Prompter("compact", "Load.", CONTEXT, 24, language_model.tokenizer(9)).write(torch.randn(3, CONTEXT))
    read = language_model(prompt, tokens, visible)
    other = language_model(prompt, torch.where(visible[..., None], tokens, 100.0), visible)
    assert read.isfinite().all()
    assert torch.equal(read[visible], other[visible])
    unmasked = language_model(prompt, torch.where(visible[..., None], tokens, 100.0))
    assert not torch.allclose(unmasked[visible], read[visible]), "a control: without the mask they attend to it"


@pytest.mark.parametrize(
    "branch",
    [AttentionStandIn(16, 4, 0.0), TransformerStandIn(16, 9, n_heads=4, d_ff=32, layers=2, dropout=0.0)],
    ids=["attention", "transformer"],
)
def test_no_patch_of_a_stand_in_attends_to_one_that_is_not_visible(branch):
    branch.eval()
    tokens, visible = torch.randn(3, 9, 16), torch.arange(9) >= torch.tensor([0, 4, 8])[:, None]
    garbage = torch.where(visible[..., None], tokens, 100.0)
    with torch.no_grad():
        assert torch.equal(branch(tokens, None, visible)[visible], branch(garbage, None, visible)[visible])
        assert not torch.equal(branch(tokens)[visible], branch(garbage)[visible])


@pytest.mark.parametrize(("layer", "skip"), [("head", "none"), ("skip", "linear")])
def test_patches_of_padding_have_no_part_in_the_forecast(tiny_backbones, layer, skip):
    """The weights of their features change nothing; nor do their learned positions."""
    model = make_model(tiny_backbones["gpt2"], **{"model.skip": skip, "embedding.positions": "patch"})
    context, observed = padded()
    hidden = int((~visible_patches(observed.transpose(1, 2), 16, 8)[2]).sum())  # of the window with 17 samples
    with torch.no_grad():
        before = model(context, observed=observed)
        weight = getattr(model, layer).linear.weight
        weight.unflatten(1, (-1, model.embed.position.shape[0]))[..., :hidden] += 1.0
        model.embed.position[:hidden] += 1.0
        after = model(context, observed=observed)
    assert torch.equal(after[2:], before[2:])
    assert not torch.equal(after[0], before[0])


def test_a_mask_without_padding_changes_no_forecast(tiny_backbones, family):
    """Up to rounding: the mean of observed values is summed in another order, which may turn a digit of a prompt."""
    model, context = make_model(tiny_backbones[family]), windows(4)
    prompt, observed = model.write_prompt(context), torch.ones_like(context, dtype=torch.bool)
    with torch.no_grad():
        whole, masked = model(context, prompt), model(context, prompt, observed=observed)
    assert torch.allclose(masked, whole, rtol=1e-4, atol=1e-4 * float(context.abs().max()))


def test_whole_windows_are_forecast_bit_for_bit_as_without_padded_ones(tiny_backbones, family):
    model = make_model(tiny_backbones[family])
    whole = windows(5).squeeze(-1).double().numpy()
    mixed = np.concatenate([whole[:2], padded(float("nan"))[0].squeeze(-1).double().numpy()[1:], whole[2:]])
    found = forecast_windows(model, mixed)
    assert np.array_equal(np.concatenate([found[:2], found[-3:]]), forecast_windows(model, whole))
    assert np.isfinite(found).all()


def test_a_padded_window_is_normalised_by_its_observed_values():
    context, observed = padded(1e6)
    z, scale = normalize(context, observed)
    for i, known in enumerate(KNOWN):
        alone, own = normalize(context[i : i + 1, -known:])
        torch.testing.assert_close(z[i, :, -known:], alone[0])
        torch.testing.assert_close(scale.mean[i], own.mean[0])
        torch.testing.assert_close(scale.std[i], own.std[0])
        assert (z[i, :, :-known] == 0).all() or known == CONTEXT
    torch.testing.assert_close(denormalize(z, scale)[-1, -1], context[-1, -1])


def test_visible_patches_are_those_with_an_observed_sample():
    visible = visible_patches(padded()[1].transpose(1, 2), 16, 8)
    for row, known in zip(visible.tolist(), KNOWN, strict=True):
        starts = range(0, 8 * len(row), 8)
        assert row == [start + 16 > CONTEXT - known for start in starts]


@pytest.mark.parametrize("template", ["compact", "paper"])
def test_a_prompt_prints_statistics_of_observed_values(tiny_backbones, template):
    """The prompt of a padded window is that of its observed values; equal values with and without padding differ."""
    tokenizer = load_backbone(tiny_backbones["gpt2"]).tokenizer(12)
    context, observed = padded()
    z = normalize(context, observed)[0]
    prompter = Prompter(template, "Load.", CONTEXT, 24, tokenizer)
    prompts = prompter(z.flatten(0, 1), observed.squeeze(-1))
    for i, known in enumerate(KNOWN):
        assert prompts[i] == Prompter(template, "Load.", CONTEXT, 24, tokenizer)(z[i, :, -known:])[0]
    assert prompter(z.flatten(0, 1)[1:2])[0] != prompts[1], "zeros in a whole window are values"


@pytest.mark.parametrize("name", ["gpt2", "bert", "transformer"])
def test_gradients_of_padded_windows_are_finite(tiny_backbones, name):
    changes = STAND_IN_OPTIONS if name == "transformer" else {}
    model = make_model(tiny_backbones.get(name, name), **changes).train()
    context, observed = padded(float("nan"))
    model(context, observed=observed).square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(one.isfinite().all() for one in gradients)


class Few:
    """Windows (M, T) and targets (M, H)."""

    season = 1

    def __init__(self, contexts: np.ndarray, targets: np.ndarray):
        self.contexts, self.targets = contexts, targets

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.contexts[indices], self.targets[indices]


@pytest.mark.parametrize("exponent", [0, 2])
def test_moments_of_padded_windows(exponent):
    """Padding has no part in the mean and the deviation of a window, and is zero in the sums."""
    noise = np.random.default_rng(0)
    contexts, targets = noise.normal(5, 1, (3, 8)), noise.normal(5, 1, (3, 2))
    contexts[1, :5] = contexts[2, :7] = np.nan
    found = moments(Few(contexts, targets), np.arange(3), exponent)
    inputs, products = np.zeros((8, 8)), np.zeros((8, 2))
    for context, target in zip(contexts, targets, strict=True):
        known = context[~np.isnan(context)]
        x = np.concatenate([np.zeros(8 - len(known)), known - known.mean()])
        weight = (known.std() + 0.1) ** -exponent
        inputs += weight * np.outer(x, x)
        products += weight * np.outer(x, target - known.mean())
    np.testing.assert_allclose(found.inputs, inputs, atol=1e-12)
    np.testing.assert_allclose(found.products, products, atol=1e-12)
