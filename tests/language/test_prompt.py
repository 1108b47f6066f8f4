"""Batches of prompts: padding and splitting."""

import torch

from swt_time.language.prompt import pad_prompts

ROWS = [[5, 6, 7], [8], [], [9, 10]]


def test_rows_are_padded_on_the_right():
    prompt = pad_prompts(ROWS, [5, 6])
    assert prompt.ids.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0], [9, 10, 0]]
    assert prompt.lengths.tolist() == [3, 1, 0, 2]
    assert prompt.shared == (5, 6)
    assert prompt.ids.dtype == prompt.lengths.dtype == torch.int64


def test_an_empty_batch_has_no_rows():
    prompt = pad_prompts([])
    assert prompt.ids.shape == (0, 0)
    assert prompt.lengths.shape == (0,)


def test_parts_of_a_batch_are_padded_to_their_own_length():
    first, second = pad_prompts(ROWS, [5]).split(2)
    assert first.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert second.ids.tolist() == [[0, 0], [9, 10]]
    assert second.lengths.tolist() == [0, 2]
    assert first.shared == second.shared == (5,)
