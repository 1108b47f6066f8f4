"""Weights of the originals: verified against a reference implementation, refused by name if they do not fit."""

import gc
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from support import reference_model
from swt_time.checkpoints.originals import load_time_llm
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning
from swt_time.language.loading import load_language_model
from swt_time.state_dicts import read_state_dict

SIZES = {
    "context": 96,
    "horizon": 12,
    "patch_len": 16,
    "stride": 8,
    "d_model": 8,
    "d_ff": 8,
    "n_heads": 2,
    "wavelet": "db4",
    "level": 3,
    "description": "Oil temperature, hourly.\nTwo lines.",
}
PATCHES = 12
PLAIN, WAVELET = "patch_embedding.value_embedding.tokenConv.weight", "patch_embedding.value_embedding.weight"
LINEAR = {
    "mapping_layer": "branch.prototypes.mapping",
    "reprogramming_layer.query_projection": "branch.reprogram.query_projection",
    "reprogramming_layer.key_projection": "branch.reprogram.key_projection",
    "reprogramming_layer.value_projection": "branch.reprogram.value_projection",
    "reprogramming_layer.out_projection": "branch.reprogram.out_projection",
    "output_projection.linear": "head.linear",
}


@pytest.fixture(scope="module")
def language_models(tiny_backbones):
    """Frozen models by family; their weights are part of the originals' state dicts."""
    return {name: load_language_model(str(folder), precision="float32") for name, folder in tiny_backbones.items()}


def original_state(language_model, embedding, seed=0):
    """Random weights with the names and layouts of the originals, frozen entries included."""
    draw = torch.Generator().manual_seed(seed)
    frozen = language_model.model
    words, width = frozen.get_input_embeddings().weight.shape
    attention = SIZES["n_heads"] * SIZES["d_ff"]
    shapes = {
        "mapping_layer": (20, words),
        "reprogramming_layer.query_projection": (attention, SIZES["d_model"]),
        "reprogramming_layer.key_projection": (attention, width),
        "reprogramming_layer.value_projection": (attention, width),
        "reprogramming_layer.out_projection": (width, attention),
        "output_projection.linear": (SIZES["horizon"], SIZES["d_ff"] * PATCHES),
    }
    state = {f"llm_model.{name}": tensor.clone() for name, tensor in frozen.state_dict().items()}
    state["word_embeddings"] = frozen.get_input_embeddings().weight.detach().clone()
    for name, shape in shapes.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=draw) / shape[1] ** 0.5
        state[f"{name}.bias"] = torch.randn(shape[0], generator=draw) / 10
    bands = SIZES["level"] + 1
    shape = (SIZES["d_model"], SIZES["patch_len"], 3) if embedding == "patch" else (SIZES["d_model"], 16 * bands, 1)
    state[PLAIN if embedding == "patch" else WAVELET] = torch.randn(shape, generator=draw) / shape[1] ** 0.5
    return state


def reference_forecast(state, context, language_model, embedding):
    """Forecast of one window (T, N), channel by channel, by the reference implementation."""
    weights = {f"{ours}.{p}": state[f"{theirs}.{p}"] for theirs, ours in LINEAR.items() for p in ("weight", "bias")}
    weights["embed.projection.weight"] = state[PLAIN] if embedding == "patch" else state[WAVELET][:, :, 0]
    with torch.no_grad():
        return reference_model.forecast(
            weights,
            context,
            transformer=language_model.model,
            tokenizer=language_model._tokenizer,
            embedding=embedding,
            options={**SIZES, "pad": "coefficient"},
        )


def random_walks(count, channels, seed=3):
    steps = torch.randn(count, SIZES["context"], channels, generator=torch.Generator().manual_seed(seed))
    size = torch.logspace(-1, 1, count).reshape(-1, 1, 1)
    return steps.cumsum(dim=1) * size + 10 * size


def load(state, folder, embedding, **changes):
    return load_time_llm(state, backbone=str(folder), embedding=embedding, **{**SIZES, **changes})


def distance(ours, theirs):
    """Largest difference between forecasts (..., H, N), in standard deviations of each series."""
    return ((ours - theirs).abs().amax(dim=-2) / theirs.std(dim=-2)).max().item()


@pytest.mark.parametrize("embedding", ["patch", "wavelet"])
def test_forecasts_equal_those_of_the_originals(language_models, tiny_backbones, family, embedding):
    state = original_state(language_models[family], embedding)
    model = load(state, tiny_backbones[family], embedding)
    windows = random_walks(3, 4)
    expected = torch.stack([reference_forecast(state, w, language_models[family], embedding) for w in windows])
    with torch.no_grad():
        together = model(windows)
        single = torch.stack([torch.cat([model(w[None, :, n : n + 1])[0] for n in range(4)], 1) for w in windows])
    assert together.shape == (3, 12, 4)
    assert distance(single, expected) < 2e-5
    # The originals' own joint forecast of several series is no reference: they do not mask padded prompts.
    assert distance(together, expected) < 2e-5


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Oil temperature, hourly."},
        {"wavelet": "sym4"},
        {"prompt": "none"},
        {"layers": 1},
        {"features": "band-major"},
        {"features": "bands reversed"},
    ],
    ids=str,
)
def test_forecast_depends_on_every_option(language_models, tiny_backbones, change):
    """Control of the test above: options that the shapes do not determine still change the forecast."""
    change = dict(change)
    state = {k: v for k, v in original_state(language_models["gpt2"], "wavelet").items() if "llm_model" not in k}
    windows = random_walks(2, 1)
    with torch.no_grad():
        expected = load(state, tiny_backbones["gpt2"], "wavelet")(windows)
        features = change.pop("features", None)
        if features is not None:
            weight = state[WAVELET].unflatten(1, (SIZES["patch_len"], -1))
            weight = weight.transpose(1, 2) if features == "band-major" else weight.flip(2)
            state[WAVELET] = weight.flatten(1, 2)
        assert distance(load(state, tiny_backbones["gpt2"], "wavelet", **change)(windows), expected) > 1e-3


def test_free_prototypes_equal_those_of_the_mapping(language_models, tiny_backbones, family):
    state = original_state(language_models[family], "wavelet")
    model = load(state, tiny_backbones[family], "wavelet")
    free = load(state, tiny_backbones[family], "wavelet", prototypes="free")
    windows = random_walks(2, 2)
    with torch.no_grad():
        assert distance(free(windows), model(windows)) < 2e-5
    assert "branch.prototypes.prototypes" in free.trained_state()


def test_encoder_reads_prompt_and_patches_together_by_default(language_models, tiny_backbones):
    state = original_state(language_models["bert"], "patch")
    windows = random_walks(2, 2)
    with torch.no_grad():
        full = load(state, tiny_backbones["bert"], "patch", prompt_attention="full")(windows)
        assert distance(load(state, tiny_backbones["bert"], "patch", prompt_attention="prefix")(windows), full) > 1e-3
        assert torch.equal(load(state, tiny_backbones["bert"], "patch")(windows), full)


def test_wrapped_and_half_precision_state_dicts(language_models, tiny_backbones):
    state = original_state(language_models["bert"], "wavelet")
    rounded = {name: t.bfloat16() if t.is_floating_point() else t for name, t in state.items()}
    wrapped = {f"module.{name}": torch.nn.Parameter(t, False) for name, t in rounded.items()}
    windows = random_walks(2, 2)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error", SWTTimeWarning)  # rounded frozen weights are not another language model
        model = load(wrapped, tiny_backbones["bert"], "wavelet")
        trained = {k: v.float() for k, v in rounded.items() if not k.startswith("llm_model")}
        expected = torch.stack([reference_forecast(trained, w, language_models["bert"], "wavelet") for w in windows])
        assert distance(model(windows), expected) < 2e-5
    assert {p.dtype for p in model.trained_state().values()} == {torch.float32}


def test_state_dict_without_frozen_entries(language_models, tiny_backbones):
    state = original_state(language_models["llama"], "patch")
    lean = {k: v for k, v in state.items() if not k.startswith(("llm_model.", "word_embeddings"))}
    assert len(lean) < len(state)
    windows = random_walks(1, 1)
    with torch.no_grad():
        models = [load(s, tiny_backbones["llama"], "patch") for s in (state, lean)]
        assert torch.equal(models[0](windows), models[1](windows))


def test_language_model_is_frozen_and_the_rest_can_be_trained(language_models, tiny_backbones):
    model = load(original_state(language_models["gpt2"], "wavelet"), tiny_backbones["gpt2"], "wavelet")
    assert not model.training
    assert {p.requires_grad for p in model.language_model.parameters()} == {False}
    model(random_walks(1, 1)).sum().backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 13  # the embedding; weight and bias of six linear layers
    assert all(p.grad is not None for p in trained)


@pytest.mark.parametrize("entry", ["word_embeddings", "llm_model.wte.weight", "llm_model.h.1.mlp.c_fc.bias"])
def test_other_frozen_weights_give_a_warning(language_models, tiny_backbones, entry):
    state = original_state(language_models["gpt2"], "patch")
    state[entry] = state[entry] + 0.01
    with pytest.warns(SWTTimeWarning, match=f"not those of the backbone.*1 differ, first {entry}"):
        load(state, tiny_backbones["gpt2"], "patch")


QUERY, HEAD = "reprogramming_layer.query_projection.weight", "output_projection.linear.weight"


@pytest.mark.parametrize(
    ("embedding", "entries", "changes", "texts"),
    [
        ("patch", {"mapping_layer.bias": None}, {}, ["missing: mapping_layer.bias"]),
        ("patch", {QUERY: None, HEAD: None}, {}, ["missing", QUERY, HEAD]),
        ("patch", {"normalize_layers.affine_weight": torch.ones(7)}, {}, ["unknown: normalize_layers.affine_weight"]),
        ("patch", {"patch_embedding.value_embedding.tokenConv.bias": torch.ones(8)}, {}, ["unknown", "tokenConv.bias"]),
        ("wavelet", {WAVELET: None}, {}, ["missing", WAVELET]),
        ("wavelet", {"band_weights": torch.ones(4)}, {}, ["unknown: band_weights"]),
        ("wavelet", {PLAIN: torch.ones(8, 16, 3)}, {}, [f"unknown: {PLAIN}"]),
        ("wavelet", {}, {"embedding": "patch"}, [WAVELET, "set the embedding to 'wavelet'"]),
        ("patch", {}, {"embedding": "wavelet"}, [PLAIN, "set the embedding to 'patch'"]),
        ("patch", {}, {"d_model": 16}, [PLAIN, "(8, 16, 3)", "(16, 16, 3)", "d_model = 16"]),
        ("patch", {}, {"patch_len": 8}, [PLAIN, "(8, 8, 3)", "patch_len = 8"]),
        ("wavelet", {}, {"level": 2}, [WAVELET, "(8, 64, 1)", "(8, 48, 1)", "patch_len * (level + 1) = 16 * 3"]),
        ("wavelet", {WAVELET: torch.ones(8, 64, 3)}, {}, [WAVELET, "(8, 64, 3)", "kernel 1"]),
        ("wavelet", {}, {"horizon": 24}, [HEAD, "(12, 96)", "(24, 96)", "horizon = 24"]),
        ("wavelet", {}, {"context": 192}, [HEAD, "(12, 192)", "d_ff * patches = 8 * 24"]),
        ("wavelet", {}, {"stride": 4}, [HEAD, "d_ff * patches = 8 * 22"]),
        ("patch", {}, {"n_heads": 4}, ["query_projection", "(16, 8)", "(32, 8)", "n_heads * d_ff = 4 * 8"]),
        ("patch", {}, {"d_ff": 4}, ["n_heads * d_ff = 2 * 4", "; and "]),
        ("patch", {"mapping_layer.weight": torch.ones(20)}, {}, ["mapping_layer.weight", "(20,)", "two dimensions"]),
        ("patch", {HEAD: torch.full((12, 96), torch.nan)}, {}, [HEAD, "not finite"]),
        ("patch", {HEAD: torch.ones(12, 96, dtype=torch.int64)}, {}, [HEAD, "int64"]),
        ("patch", {"mapping_layer.weight": torch.ones(20, 99)}, {}, ["language model of 99 words", "backbone", "has"]),
        ("patch", {}, {"layers": 1}, ["trained with 2 layers", "set layers to 2"]),
    ],
    ids=lambda value: "" if isinstance(value, dict | list) else str(value),
)
def test_entries_and_sizes_that_do_not_fit_are_named(
    language_models, tiny_backbones, embedding, entries, changes, texts
):
    changes = dict(changes)
    state = original_state(language_models["gpt2"], embedding)
    for name, tensor in entries.items():
        if tensor is None:
            del state[name]
        else:
            state[name] = tensor
    with pytest.raises(CheckpointError) as refused:
        load(state, tiny_backbones["gpt2"], changes.pop("embedding", embedding), **changes)
    for text in texts:
        assert text in str(refused.value)


def test_another_width_is_refused(language_models, tiny_backbones):
    state = original_state(language_models["gpt2"], "patch")
    for part in ("key", "value"):
        state[f"reprogramming_layer.{part}_projection.weight"] = torch.ones(16, 48)
    state["reprogramming_layer.out_projection.weight"] = torch.ones(48, 16)
    state["reprogramming_layer.out_projection.bias"] = torch.ones(48)
    with pytest.raises(CheckpointError, match=r"48 hidden dimensions, the backbone .* has 32"):
        load(state, tiny_backbones["gpt2"], "patch")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt_attention": "causal"}, r"backbone\.prompt_attention"),
        ({"prompt": "long"}, "prompt.template"),
        ({"prototypes": "many"}, "model.prototypes"),
        ({"precision": "int8"}, "backbone.precision"),
        ({"wavelet": "db99"}, "db99"),
        ({"patch_len": 200}, "longer than data.context"),
        ({"horizon": 0}, "data.horizon"),
    ],
)
def test_options_out_of_range_are_refused(language_models, tiny_backbones, changes, text):
    with pytest.raises(ConfigError, match=text):
        load(original_state(language_models["gpt2"], "wavelet"), tiny_backbones["gpt2"], "wavelet", **changes)


def test_stand_ins_and_other_embeddings_are_refused(language_models, tiny_backbones):
    state = original_state(language_models["gpt2"], "patch")
    with pytest.raises(ConfigError, match="the originals have no 'none'"):
        load(state, "none", "patch")
    with pytest.raises(ConfigError, match=r"embedding\.kind"):
        load(state, tiny_backbones["gpt2"], "conv")


class Payload:
    """An object that creates a folder when it is unpickled, which shows that code was run."""

    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self):
        return os.mkdir, (str(self.sign),)


def write_bad_file(kind: str, file: Path) -> Path:
    """Write a file that is not a state dict; if code in it is run, ``file.parent / "ran"`` exists."""
    if kind == "pickle with code":
        file.write_bytes(pickle.dumps(Payload(file.parent / "ran"), protocol=2))
    elif kind == "archive with code":
        torch.save({"mapping_layer.weight": Payload(file.parent / "ran")}, file)
    elif kind == "whole model":
        torch.save(torch.nn.Linear(2, 2), file)
    elif kind == "truncated":
        torch.save({"a": torch.randn(5000)}, file)
        file.write_bytes(file.read_bytes()[:9000])
    elif kind == "text":
        file.write_text("date,load\n2024-01-01,3\n")
    elif kind == "random":
        file.write_bytes(np.random.default_rng(0).bytes(3000))
    elif kind == "folder":
        file.mkdir()
    elif kind != "missing":
        values = {
            "empty": b"",
            "list": [torch.ones(2)],
            "nested twice": {"state_dict": {"state_dict": {"a": torch.ones(2)}}},
            "nested and empty": {"state_dict": {}},
            "no entries": {},
        }[kind]
        if kind == "empty":
            file.write_bytes(values)
        else:
            torch.save(values, file)
    return file


BAD_FILES = {
    "missing": "no such file",
    "folder": "a folder",
    "empty": "not a state dict",
    "text": "not a state dict",
    "random": "not a state dict",
    "truncated": "not a state dict",
    "pickle with code": "could run code",
    "archive with code": "could run code",
    "whole model": "could run code",
    "list": "holds a list",
    "nested twice": "its entry 'state_dict' is a dict",
    "nested and empty": "it is empty",
    "no entries": "it is empty",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_files_that_are_not_state_dicts_are_refused(tmp_path, kind):
    with pytest.raises(CheckpointError) as refused:
        read_state_dict(write_bad_file(kind, tmp_path / "weights.pth"))
    assert BAD_FILES[kind] in str(refused.value)
    assert "weights_only" not in str(refused.value)  # torch advises to disable the protection
    assert not (tmp_path / "ran").exists()


def test_code_runs_without_the_protection(tmp_path):
    """Control of the test above."""
    file = write_bad_file("archive with code", tmp_path / "weights.pth")
    torch.load(file, weights_only=False)
    assert (tmp_path / "ran").is_dir()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_random_bytes_are_refused_and_legacy_files_read(tmp_path):
    file = tmp_path / "weights.pth"
    for seed in range(100):
        noise = np.random.default_rng(seed)
        file.write_bytes(b"\x80\x02" * (seed % 2) + noise.bytes(int(noise.integers(1, 200))))
        with pytest.raises(CheckpointError):
            read_state_dict(file)
    torch.save({"a": torch.arange(3.0)}, file, _use_new_zipfile_serialization=False)
    assert read_state_dict(file)["a"].tolist() == [0, 1, 2]


def test_the_archive_is_closed_before_it_is_collected(tmp_path, monkeypatch):
    """An error of the disk while an archive is collected cannot be typed: Python prints it."""
    file = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(3.0)}, file)
    opened = []
    monkeypatch.setattr(zipfile.ZipFile, "__del__", lambda self: opened.append(self.fp is not None))
    read_state_dict(file)
    gc.collect()
    assert opened
    assert not any(opened)


# --- the command ---------------------------------------------------------------------------------------------

WORDS = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items()]


@pytest.fixture(scope="module")
def imported(swt_time, tmp_path_factory, language_models, tiny_backbones):
    """A folder with a state dict and its checkpoint, the command that made it, and the model for comparison."""
    root = tmp_path_factory.mktemp("import")
    state = original_state(language_models["bert"], "wavelet")
    torch.save(state, root / "weights.pth")
    words = ["import", root / "weights.pth", "--backbone", tiny_backbones["bert"], "--embedding", "wavelet", *WORDS]
    run = swt_time(*words, "--out", root / "model")
    weights = sum(t.numel() for name, t in state.items() if not name.startswith(("llm_model.", "word_embeddings")))
    assert f"imported {weights:,} trained weights" in run.stdout
    assert run.stderr == ""
    return root, words, load(state, tiny_backbones["bert"], "wavelet")


def tables():
    """The same values as a wide and as a long table; the originals know neither the columns nor the frequency."""
    walk = np.random.default_rng(1).standard_normal((160, 2)).cumsum(axis=0)
    values = (walk + np.array([40, -3])).round(6)
    wide = pd.DataFrame(values, columns=["north, roof", "süd"])
    wide.insert(0, "when", pd.date_range("2024-03-01", periods=160, freq="7min"))
    long = wide.melt("when", var_name="unique_id", value_name="y").rename(columns={"when": "ds"})
    return values, {"wide": wide, "long": long}


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_import_then_forecast(swt_time, imported, layout):
    root, _, model = imported
    values, frames = tables()
    frames[layout].to_csv(root / f"{layout}.csv", index=False)
    run = swt_time("forecast", "--model", root / "model", "--data", root / f"{layout}.csv", "--out", root / "out.csv")
    assert run.stderr == ""  # no warning: any columns and any frequency fit
    found = pd.read_csv(root / "out.csv").pivot(
        index={"wide": "when", "long": "ds"}[layout], columns="unique_id", values="yhat"
    )
    # A state dict holds no scaler, so each series is scaled by its own rows.
    mean, std = values.mean(axis=0), values.std(axis=0)
    context = torch.tensor((values[-96:] - mean) / std, dtype=torch.float32)
    with torch.no_grad():
        expected = model(context[None])[0].double().numpy() * std + mean
    difference = np.abs(found[["north, roof", "süd"]].to_numpy() - expected) / expected.std(axis=0)
    assert difference.max() < 1e-4
    assert found.index[0] == "2024-03-01 18:40:00"


def test_checkpoint_records_the_file_it_came_from(swt_time, imported):
    root, words, _ = imported
    provenance = json.loads((root / "model" / "provenance.json").read_text())
    assert provenance["imported_from"]["file"] == "weights.pth"
    assert len(provenance["imported_from"]["sha256"]) == 64
    assert str(root / "weights.pth") not in (root / "model" / "provenance.json").read_text()
    assert "an unknown table (imported weights)" in swt_time("info", "--model", root / "model").stdout
    again = swt_time(*words, "--out", root / "model", check=False)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    before = (root / "model" / "model.safetensors").read_bytes()
    swt_time(*words, "--out", root / "model", "--overwrite")
    assert (root / "model" / "model.safetensors").read_bytes() == before


def test_imported_model_can_be_evaluated(swt_time, imported):
    root, _, _ = imported
    tables()[1]["wide"].to_csv(root / "wide.csv", index=False)
    words = ["evaluate", "--model", root / "model", "--data", root / "wide.csv", "--split", "0.7/0.1/0.2", "--json"]
    scores = json.loads(swt_time(*words).stdout)
    assert scores["windows"] == 21
    assert set(scores["per_series"]) == {"north, roof", "süd"}


WRAPPED = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"epoch": torch.tensor(3), "model": state},
    "module": lambda state: {"module": state, "mp_world_size": 1},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "compiled parallel": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "parallel compiled": lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
    "three prefixes in an entry": lambda state: {
        "state_dict": {f"module.module._orig_mod.{name}": tensor for name, tensor in state.items()}
    },
    "compiled language model": lambda state: {
        name.replace("llm_model.", "llm_model._orig_mod."): tensor for name, tensor in state.items()
    },
    "compiled linear layers": lambda state: {
        name.replace(".weight", "._orig_mod.weight").replace(".bias", "._orig_mod.bias"): tensor
        for name, tensor in state.items()
    },
    "some parts parallel": lambda state: {
        f"module.{name}" if name.startswith("output") else name: tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrapped_state_dicts_are_imported(swt_time, imported, tmp_path, kind):
    root, words, _ = imported
    torch.save(WRAPPED[kind](torch.load(root / "weights.pth", weights_only=True)), tmp_path / "weights.pth")
    run = swt_time("import", tmp_path / "weights.pth", *words[2:], "--out", tmp_path / "model")
    assert run.stderr == ""
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (root / "model" / name).read_bytes()


def test_load_time_llm_takes_wrapped_state_dicts(language_models, tiny_backbones):
    state = original_state(language_models["gpt2"], "patch")
    windows = random_walks(1, 1)
    with torch.no_grad():
        expected = load(state, tiny_backbones["gpt2"], "patch")(windows)
        for kind in ("state_dict", "parallel compiled"):
            assert torch.equal(load(WRAPPED[kind](state), tiny_backbones["gpt2"], "patch")(windows), expected)


def test_names_that_become_equal_are_refused(language_models, tiny_backbones):
    state = original_state(language_models["gpt2"], "patch")
    state["module.mapping_layer.bias"] = torch.zeros(20)
    with pytest.raises(CheckpointError, match=r"holds mapping_layer\.bias twice, once as module\.mapping_layer\.bias"):
        load(state, tiny_backbones["gpt2"], "patch")


def assert_refused(run, out, *texts):
    """Assert exit code 2, one line of error, and no output folder."""
    assert run.returncode == 2, run.stderr
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("error: ")
    for text in texts:
        assert text in lines[0]
    assert not out.exists()


@pytest.mark.parametrize("kind", BAD_FILES)
def test_command_refuses_files_that_are_not_state_dicts(swt_time, tmp_path, tiny_backbones, kind):
    file, out = write_bad_file(kind, tmp_path / "weights.pth"), tmp_path / "model"
    run = swt_time("import", file, "--out", out, "--backbone", tiny_backbones["bert"], check=False)
    assert_refused(run, out, "weights.pth")
    assert not (tmp_path / "ran").exists()
    assert {p.name for p in tmp_path.iterdir()} <= {"weights.pth"}


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--embedding", "patch"], ["set the embedding to 'wavelet'"]),
        (["--d-model", 16], ["d_model = 16"]),
        (["--level", 2], ["level"]),
        (["--level", "deep"], ["--level"]),
        (["--wavelet", "db99"], ["db99"]),
        (["--horizon", 24], ["horizon = 24"]),
        (["--context", 8], ["--context 8"]),
        (["--layers", 3], ["at most 2"]),
        (["--layers", 1], ["set layers to 2"]),
        (["--backbone", "none"], ["the originals have no 'none'"]),
        (["--backbone", "./nowhere"], ["./nowhere"]),
        (["--prototypes", "many"], ["model.prototypes"]),
        (["--depth", 3], ["--depth"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_command_refuses_options_that_do_not_fit(swt_time, imported, words, texts):
    root, base, _ = imported
    assert_refused(swt_time(*base, *words, "--out", root / "bad", check=False), root / "bad", *texts)


def test_backbone_is_required(swt_time, imported):
    root, _, _ = imported
    run = swt_time("import", root / "weights.pth", "--out", root / "bad", check=False)
    assert_refused(run, root / "bad", "--backbone")
