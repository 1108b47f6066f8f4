"""Contracts of every supported family, verified against the eager models of transformers."""

import json
import os
import shutil
import signal
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_model
from typer.testing import CliRunner

from support.backbones import load_backbone
from support.families import MEMBERS, WORDS, Reference, save_member
from support.models import make_model, windows
from swt_time import Forecaster
from swt_time.cli import app
from swt_time.errors import BackboneError
from swt_time.language.families import FAMILIES, architecture_keys, count_layers, describe_reading
from swt_time.language.prompt import Prompt, pad_prompts
from swt_time.training import Step

SHARED = (5, 6, 7, 8, 9, 10, 11)
OWN = [[12, 13, 14], [15], [], [16, 17, 18, 19, 20, 21], [5, 6]]
ROWS = [[*SHARED, *own] for own in OWN[:4]] + [OWN[4]]  # the last one does not start with the shared part
PATCHES = 6


@pytest.fixture(scope="session")
def member_folders(tmp_path_factory):
    """Return the folder of a member, saved once."""
    root = tmp_path_factory.mktemp("families")
    return cache(lambda name: save_member(root / name, MEMBERS[name]))


@pytest.fixture(scope="session")
def loaded(member_folders):
    """Return a member as a `LanguageModel`, loaded once for each value of ``prompt_attention``."""
    return cache(lambda name, attention="full": load_backbone(member_folders(name), prompt_attention=attention))


@pytest.fixture(scope="session")
def reference(member_folders):
    return cache(lambda name: Reference(member_folders(name), MEMBERS[name]))


@pytest.fixture(params=MEMBERS)
def name(request):
    """Name of a member; the test runs once for each."""
    return request.param


def patches(name, rows=len(ROWS), seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(rows, PATCHES, MEMBERS[name].width_in, generator=draw)


def parts_of(row, attention):
    """Lengths of the parts of a sequence that an encoder reads with ``prefix``."""
    if attention == "full":
        return ()
    shared = len(SHARED) if tuple(row[: len(SHARED)]) == SHARED else 0
    return (shared, len(row) - shared, PATCHES)


def attentions(name):
    """Values of ``prompt_attention`` that differ for a member."""
    return (
        ("full",) if MEMBERS[name].causal or FAMILIES[MEMBERS[name].family].reading == "whole" else ("full", "prefix")
    )


def test_members_cover_all_families():
    assert {member.family for member in MEMBERS.values()} == FAMILIES.keys()


def test_configuration_is_that_of_transformers(name, loaded, member_folders):
    from transformers import AutoConfig

    expected, found = AutoConfig.from_pretrained(member_folders(name)), loaded(name).model.config
    # The same function in another kernel, and a default that Falcon's layers fill in.
    changed = {"activation_function", "num_ln_in_parallel_attn"}
    for key in architecture_keys(MEMBERS[name].family) - changed:
        assert getattr(found, key, None) == getattr(expected, key, None), key


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("saved", ["save_pretrained", "save_model"])
def test_weights_beside_those_of_a_language_modelling_head_are_found(name, saved, loaded, member_folders, tmp_path):
    """Models on the hub have a head, and a prefix in the names of their weights.

    ``save_model`` of safetensors keeps one name of tied weights.
    """
    import transformers

    kind = "AutoModelForCausalLM" if FAMILIES[MEMBERS[name].family].causal else "AutoModelForMaskedLM"
    folder = shutil.copytree(member_folders(name), tmp_path / "model")
    model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32)
    if saved == "save_pretrained":
        model.save_pretrained(folder)
    else:
        save_model(model, str(folder / "model.safetensors"))
    assert any(key.startswith(f"{model.base_model_prefix}.") for key in load_file(folder / "model.safetensors"))
    assert load_backbone(folder).identity.sha256 == loaded(name).identity.sha256


@pytest.mark.parametrize("name", ["bert", "gemma3_text", "falcon, alibi"])
def test_a_configuration_selects_no_code_and_no_other_use(name, member_folders, loaded, tmp_path):
    folder = shutil.copytree(member_folders(name), tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    evil = dict.fromkeys(("_attn_implementation", "attn_implementation", "experts_implementation"), "evil/kernel")
    evil |= {
        "name_or_path": "evil/model",
        "is_decoder": True,
        "add_cross_attention": True,
        "chunk_size_feed_forward": 2,
    }
    evil |= {
        "torchscript": True,
        "use_kernels": True,
        "hidden_dropout": 0.9,
        "architectures": ["Evil"],
        "use_cache": True,
    }
    (folder / "config.json").write_text(json.dumps({**values, **evil}))
    model = load_backbone(folder)
    assert model.identity.sha256 == loaded(name).identity.sha256
    expected = loaded(name).model.config
    assert {key: getattr(model.model.config, key, None) for key in evil} == {
        key: getattr(expected, key, None) for key in evil
    }
    prompt, tokens = pad_prompts(ROWS, SHARED), patches(name)
    assert torch.equal(model(prompt, tokens), loaded(name)(prompt, tokens))


def test_positions_after_a_padding_token_need_one(member_folders, tmp_path):
    folder = shutil.copytree(member_folders("roberta"), tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "pad_token_id": None}))
    with pytest.raises(BackboneError, match=r"a roberta model counts positions .* set pad_token_id to"):
        load_backbone(folder)


def test_constants_stay_in_float32_beside_weights_in_bfloat16(member_folders):
    """In bfloat16 a rotary frequency has an error of up to 0.4 %, a whole turn after a few hundred positions."""
    for name in ("llama", "gemma3_text", "modernbert", "gpt_neox", "falcon"):
        half = load_backbone(member_folders(name), precision="bfloat16").model
        assert half.dtype == torch.bfloat16
        full = dict(load_backbone(member_folders(name)).model.named_buffers())
        frequencies = {key: value for key, value in half.named_buffers() if "inv_freq" in key}
        assert frequencies
        assert all(torch.equal(value, full[key]) for key, value in frequencies.items())


@pytest.mark.parametrize(
    ("name", "attention", "how"),
    [
        ("gpt2", "full", "once, before the patches"),
        ("bert", "prefix", "once, before the patches"),
        ("bert", "full", "with the patches of each window, which they attend to (backbone.prompt_attention full)"),
        ("gemma3_text", "full", "with the patches of each window unless the model is causal, which they attend to"),
        ("mpnet", "prefix", "with the patches of each window: this family reads whole sequences only"),
    ],
)
def test_how_prompts_are_read_is_said(name, attention, how):
    assert describe_reading(name, attention).startswith(f"prompts ({name}): read {how}")


def test_states_and_gradients_of_a_padded_batch_equal_those_of_transformers_alone(name, loaded, reference):
    for attention in attentions(name):
        model, hugging_face = loaded(name, attention), reference(name)
        ours, theirs = (patches(name).requires_grad_() for _ in range(2))
        found = model(pad_prompts(ROWS, SHARED), ours)
        expected = torch.stack(
            [
                hugging_face(torch.tensor(row), patch, parts=parts_of(row, attention))
                for row, patch in zip(ROWS, theirs, strict=True)
            ]
        )
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        probe = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
        (found * probe).sum().backward()
        (expected * probe).sum().backward()
        assert theirs.grad.abs().max() > 1e-2
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_the_longest_sequence_equals_that_of_transformers(name, loaded, reference):
    """The last position is that of the model's table, or the last with frequencies that do not depend on the length."""
    model, tokens = loaded(name), patches(name, 1)
    row = [*SHARED, *range(20, 20 + model.max_positions - PATCHES - len(SHARED))]
    row = [word % WORDS for word in row]
    assert model.max_positions == {"roberta": 510, "xlm-roberta": 510, "mpnet": 510, "phi3, long": 400}.get(name, 512)
    found = model(pad_prompts([row], SHARED), tokens)
    torch.testing.assert_close(found[0], reference(name)(torch.tensor(row), tokens[0]), atol=1e-5, rtol=1e-5)


def test_patches_without_a_prompt_equal_those_of_transformers(name, loaded, reference):
    tokens = patches(name, 2)
    expected = torch.stack([reference(name)(torch.tensor([], dtype=torch.long), one) for one in tokens])
    torch.testing.assert_close(loaded(name)(None, tokens), expected, atol=1e-5, rtol=1e-5)


def test_hidden_patches_are_masked_as_by_transformers(name, loaded, reference):
    visible = torch.ones(len(ROWS), PATCHES, dtype=torch.bool)
    visible[1, :2] = visible[3, :4] = False
    tokens = patches(name)
    found = loaded(name)(pad_prompts(ROWS, SHARED), tokens, visible)
    for i, row in enumerate(ROWS):
        expected = reference(name)(torch.tensor(row), tokens[i], visible[i])
        torch.testing.assert_close(found[i][visible[i]], expected[visible[i]], atol=1e-5, rtol=1e-5)


def test_a_window_alone_is_the_window_in_company(name, loaded):
    for attention in attentions(name):
        model, tokens = loaded(name, attention), patches(name)
        together = model(pad_prompts(ROWS, SHARED), tokens)
        backwards = model(pad_prompts(ROWS[::-1], SHARED), tokens.flip(0)).flip(0)
        torch.testing.assert_close(backwards, together, atol=1e-5, rtol=1e-5)
        for i, row in enumerate(ROWS):
            alone = model(pad_prompts([row], SHARED), tokens[i : i + 1])
            torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-5)
    padded = pad_prompts(ROWS, SHARED)
    other = padded.ids.masked_fill(torch.arange(padded.ids.shape[1]) >= padded.lengths[:, None], 50)
    assert torch.equal(model(Prompt(other, padded.lengths, SHARED), tokens), together)


def test_a_patch_changes_only_what_may_see_it(name, loaded):
    model, tokens, prompt = loaded(name), patches(name, 1), pad_prompts(ROWS[:1], SHARED)
    changed = tokens.clone()
    changed[:, 3] += patches(name, 1, seed=1)[:, 3]
    before, after = (model(prompt, one)[0] for one in (tokens, changed))
    moved = (after - before).abs().amax(dim=1) > 1e-5
    assert moved[3:].all()
    assert moved[:3].any() != MEMBERS[name].causal


def test_first_layers_equal_those_of_transformers(name, member_folders):
    model = load_backbone(member_folders(name), layers=1)
    hugging_face = Reference(member_folders(name), MEMBERS[name], layers=1)
    assert count_layers(model.model.state_dict()) == model.identity.layers == 1
    tokens = patches(name, 1)
    found = model(pad_prompts(ROWS[:1], SHARED), tokens)
    torch.testing.assert_close(found[0], hugging_face(torch.tensor(ROWS[0]), tokens[0]), atol=1e-5, rtol=1e-5)


def test_word_embeddings_are_those_that_the_model_reads(name, loaded, reference):
    model, ids = loaded(name), torch.tensor([[5, 40, 41]])
    assert model.word_embeddings.shape == (WORDS, MEMBERS[name].width_in)
    assert (model.embedding_size, model.hidden_size) == (MEMBERS[name].width_in, MEMBERS[name].width_out)
    expected = reference(name).model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(model(None, model.word_embeddings[ids]), expected, atol=1e-5, rtol=1e-5)


def test_prompts_are_read_once_where_they_can_be(name, loaded):
    family = FAMILIES[MEMBERS[name].family]
    model = loaded(name, "prefix")
    assert model.reads_prompts_first == (family.reading != "whole")
    seen = []
    handle = model.model.get_input_embeddings().register_forward_hook(
        lambda _, inputs, out: seen.append(inputs[0].shape)
    )
    for seed in range(2):
        model(pad_prompts(ROWS[:2], SHARED), patches(name, 2, seed))
    handle.remove()
    own = torch.Size([2, 3])
    assert seen[-2:] == ([own, own] if model.reads_prompts_first else [torch.Size([2, 10])] * 2)


READINGS = ("gemma3_text", "falcon, alibi", "mpnet")
"""A member for each way of reading; that of the others depends on no more of a checkpoint."""


@pytest.mark.parametrize(
    "name", [name if name in READINGS else pytest.param(name, marks=pytest.mark.slow) for name in MEMBERS]
)
def test_a_resumed_run_and_a_saved_model_are_the_same(name, member_folders, hourly_wide, tmp_path):
    def make():
        options = {"template": "compact", "d_ff": 8, "d_model": 8, "n_prototypes": 8, "level": 1, "n_heads": 2}
        return Forecaster(
            12, 24, str(member_folders(name)), 2, **options, batch_size=4, validation_windows=4, keep_branch=True
        )

    def stop(event):
        if isinstance(event, Step):
            os.kill(os.getpid(), signal.SIGTERM)

    table = hourly_wide[["date", "load"]].tail(160)
    whole = make().fit(table, out=tmp_path / "whole")
    with pytest.raises(SystemExit):
        make().fit(table, out=tmp_path / "stopped", report=stop)
    make().fit(table, out=tmp_path / "stopped", resume=True)
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "stopped")]
    assert weights[0] == weights[1]
    again = Forecaster.load(tmp_path / "whole").predict(table)
    assert again.equals(whole.predict(table))
    assert np.isfinite(again["yhat"]).all()
    shown = CliRunner().invoke(app, ["info", "--model", str(tmp_path / "whole")]).output
    assert describe_reading(MEMBERS[name].family, "prefix") in shown.splitlines()


def test_a_model_built_again_gives_the_same_forecast(name, member_folders):
    """A checkpoint holds the trained weights; the backbone is read again and must be the same."""
    context = windows(3, context=48)
    models = [
        make_model(member_folders(name), **{"data.context": 48, "model.d_ff": 8, "prompt.template": "compact"})
        for _ in range(2)
    ]
    trained = {key: value for key, value in models[0].named_parameters() if value.requires_grad}
    models[0](context).square().mean().backward()
    assert all(value.grad.abs().max() > 0 for key, value in trained.items() if "bias" not in key), trained.keys()
    with torch.no_grad():
        for value in trained.values():
            value -= 0.1 * value.grad
        models[1].load_state_dict(trained, strict=False)
        assert torch.equal(models[0](context), models[1](context))
    assert models[0].language_model.identity == models[1].language_model.identity
