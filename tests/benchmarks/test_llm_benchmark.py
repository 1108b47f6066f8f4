"""The benchmark of the language-model path: operation counts, shares, and the cost of a shared description."""

import sys
from dataclasses import replace

import pytest
import torch

from speed import contenders
from speed.cases import Case, backbone_folder, words
from speed.contenders import PEER, REFERENCE, build
from speed.llm import matrix_share
from speed.measuring import operations, peak_resident_bytes
from support.memory import touched_array
from swt_time.language.loading import load_language_model

SMALL = Case(windows=1, channels=2, context=64, layers=1)
NEARLY_FREE = 1.3
"""Largest ratio of the operations with 512 and with 64 tokens of description."""


def test_operations_of_known_products():
    left, right = torch.randn(5, 7, requires_grad=True), torch.randn(7, 3)
    assert operations(lambda: left @ right) == 2 * 5 * 7 * 3
    assert operations(lambda: (left @ right).sum().backward()) == 2 * 2 * 5 * 7 * 3  # the right factor has no gradient


def test_operations_of_attention():
    query, key = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 11, 8)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert operations(lambda: attend(query, key, key)) == 2 * (2 * 3 * 5 * 11 * 8) * 2
    query.requires_grad_()
    forward_and_backward = operations(lambda: attend(query, key, key).sum().backward())
    assert forward_and_backward > 2.9 * 2 * (2 * 3 * 5 * 11 * 8) * 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_resident_memory_includes_freed_memory():
    assert peak_resident_bytes(lambda: touched_array(2**28).sum()) == pytest.approx(2**28, rel=0.1)


@pytest.mark.parametrize("kind", ["step", "inference"])
def test_matrix_share_is_consistent(kind):
    """Times have no bounds here: on a busy machine a single product may take twice its usual time."""
    found = matrix_share(SMALL, "compact, free", kind, repeats=1)
    assert min(found.values()) > 0
    assert found["share"] == pytest.approx(found["operations"] / found["seconds"] / found["rate"])
    patches = SMALL.series * SMALL.n_patches * 2 * 12 * 384**2  # lower bound: the products of one layer, forward
    assert patches < found["operations"] < 6 * patches


def test_words_gives_the_number_of_tokens():
    with backbone_folder(SMALL) as folder:
        tokenizer = load_language_model(folder)._tokenizer
    assert len(tokenizer(words(200), add_special_tokens=False)["input_ids"]) == 200


def description_ratio(case, name):
    """Operations of a step with 512 tokens of description divided by those with 64; the second step of each."""
    counts = []
    for tokens in (64, 512):
        point = replace(case, description=words(tokens))
        assert tokens <= point.room
        with backbone_folder(point) as folder:
            contender = build(name, point, folder)
        contender.work(point, "step")()
        counts.append(operations(contender.work(point, "step")))
    return counts[1] / counts[0]


@pytest.mark.parametrize("backbone", ["gpt2", "bert-1024"])
def test_shared_description_is_nearly_free(backbone):
    """Operations are counted, independently of the load of the machine; the growth curves measure seconds."""
    case = Case(backbone, windows=1, channels=7, layers=2, precision="float32")
    assert 1 < description_ratio(case, "compact, free") < NEARLY_FREE


@pytest.mark.slow
def test_description_is_not_nearly_free_for_the_reference():
    case = Case("bert-1024", windows=1, channels=7, layers=2, precision="float32")
    assert description_ratio(case, REFERENCE) > NEARLY_FREE


def test_missing_neuralforecast_is_detected(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuralforecast", None)
    assert not contenders.peer_is_installed()


def test_neuralforecast_reads_the_same_prompts_and_windows():
    pytest.importorskip("neuralforecast")
    seen = []
    with backbone_folder(SMALL, weights=True) as folder:
        peer = build(PEER, SMALL, folder)
        ours = build("paper, mapping", SMALL, folder)
    peer.model.llm.get_input_embeddings().register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    context = SMALL.draw()
    with torch.no_grad():
        assert peer.forecast(context).shape == (1, 96, 2)
    shared = ours.model.branch.prompter.shared
    assert seen[0].shape[0] == 2
    assert len(shared) > 0
    assert all(tuple(row[: len(shared)].tolist()) == shared for row in seen[0])
    before = [p.detach().clone() for p in peer.model.parameters() if p.requires_grad]
    peer.work(SMALL, "step")()
    after = [p for p in peer.model.parameters() if p.requires_grad]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
