"""Token ids of a batch of prompts, padded to equal length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Prompt(NamedTuple):
    """Token ids of M prompts, padded on the right.

    Attributes
    ----------
    ids : Tensor, (M, Q)
    lengths : Tensor, (M,)
        Number of tokens in each prompt, without padding.
    shared : tuple of int
        Token ids that the prompts start with. They must not depend on the batch. A row that starts differently is
        still valid and is read without sharing.
    """

    ids: Tensor
    lengths: Tensor
    shared: tuple[int, ...] = ()

    def to(self, device: torch.device) -> "Prompt":
        """Return the prompts with both tensors on ``device``."""
        return Prompt(self.ids.to(device), self.lengths.to(device), self.shared)

    def split(self, count: int) -> "list[Prompt]":
        """Split the batch into ``count`` parts of about equal size, each padded to its own longest prompt."""
        parts = zip(self.ids.tensor_split(count), self.lengths.tensor_split(count), strict=True)
        return [Prompt(ids[:, : int(lengths.max())], lengths, self.shared) for ids, lengths in parts]


def pad_prompts(rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> Prompt:
    """Stack token ids of unequal length into a `Prompt`. Padding has id 0, which is masked when it is read."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.zeros((len(rows), lengths.max(initial=0)), dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate([np.empty(0, np.int64), *rows])
    return Prompt(torch.from_numpy(ids), torch.from_numpy(lengths), tuple(shared))
