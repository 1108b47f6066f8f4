"""Fixtures that many tests share: tiny random backbones saved as folders, and small tables."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

import offline.sitecustomize  # noqa: F401  from here on there is no network
import trust

settings.register_profile("ci", max_examples=200, deadline=None)
settings.register_profile("nightly", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

os.environ["HF_HUB_OFFLINE"] = "1"
# Python's children find the same hook in this folder.
paths = [str(Path(__file__).parent / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(paths)
torch.set_num_threads(1)  # tiny models lose by threads

OUTCOME = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Remember how each test ended, for `claims_on_record`."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        item.stash[OUTCOME] = report.outcome
    return report


@pytest.fixture(scope="module")
def claims_on_record(request: pytest.FixtureRequest):
    """Record how a module's tests ended: its ``CLAIMS`` give item and claim for the name of a test function."""
    yield
    path = request.path.relative_to(request.config.rootpath)
    for test, (item, claim) in request.module.CLAIMS.items():
        items = [one for one in request.session.items if one.path == request.path and one.originalname == test]
        seen = [one.stash.get(OUTCOME, "failed") for one in items]
        ran = [outcome for outcome in seen if outcome != "skipped"]
        if ran:
            command = f'python -m pytest -m "slow or not slow" {path} -k {test}'
            trust.record("trust_tables.csv", item, claim, len(ran), ran.count("passed"), command)


FAMILIES = ("bert", "gpt2", "llama")
WORDS = "dataset description task forecast the next steps given previous information input statistics min max value"


def save_tiny_backbone(folder: Path, family: str, *, layers: int = 2, hidden: int = 32, positions: int = 1024) -> Path:
    """Save a random model of a family with a tokenizer of its kind; the files a hub snapshot would hold."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    characters = [chr(c) for c in range(33, 127)]
    if family == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        entries = special + WORDS.split() + characters + [f"##{c}" for c in characters]
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(entries))}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            pad_token="[PAD]",
        )
        config = transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=2 * hidden,
            max_position_embeddings=positions,
        )
        model_class = transformers.BertModel
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [
            ("t", "h"),
            ("i", "n"),
            ("s", "t"),
            ("e", "p"),
            ("a", "l"),
            ("u", "e"),
            ("th", "e"),
            ("0", "0"),
        ]
        bos = ["<s>", "</s>"] if family == "llama" else ["<|endoftext|>"]
        entries = bos + alphabet + ["".join(pair) for pair in merges]
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(entries))}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        if family == "llama":
            tokenizer.post_processor = processors.TemplateProcessing(
                single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
            )
        fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos[0], eos_token=bos[-1])
        if family == "gpt2":
            config = transformers.GPT2Config(
                vocab_size=len(vocabulary), n_embd=hidden, n_layer=layers, n_head=4, n_positions=positions
            )
            model_class = transformers.GPT2Model
        else:
            config = transformers.LlamaConfig(
                vocab_size=len(vocabulary),
                hidden_size=hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=2 * hidden,
                max_position_embeddings=positions,
            )
            model_class = transformers.LlamaModel
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = model_class(config)
        # Weights of the usual 0.02 would leave the prompt hardly any say; a test must feel it.
        for parameter in model.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random BERT, GPT-2 and LLaMA models by family."""
    root = tmp_path_factory.mktemp("backbones")
    return {family: save_tiny_backbone(root / family, family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each backbone family in turn."""
    return request.param


@pytest.fixture(scope="session")
def hourly_wide() -> pd.DataFrame:
    """Two noisy daily cycles, hourly, 600 rows: a wide table."""
    noise = np.random.default_rng(0)
    hours = np.arange(600)
    cycle = np.sin(2 * np.pi * hours / 24)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=600, freq="h"),
            "load": 10 + 3 * cycle + 0.2 * noise.standard_normal(600),
            "heat": -5 + 2 * np.roll(cycle, 6) + 0.2 * noise.standard_normal(600),
        }
    )
