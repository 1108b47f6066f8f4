"""Token ids of a batch of prompts, padded to one length."""

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
    shared : tuple of int
        Tokens that prompts of this kind begin with. It must not depend on the batch; a row that begins otherwise is
        read on its own from its first token.
    """

    ids: Tensor
    lengths: Tensor
    shared: tuple[int, ...] = ()

    def to(self, device: torch.device) -> "Prompt":
        """Move both tensors."""
        return Prompt(self.ids.to(device), self.lengths.to(device), self.shared)

    def split(self, count: int) -> "list[Prompt]":
        """The prompts in ``count`` parts of about equal size, each padded as far as it needs."""
        parts = zip(self.ids.tensor_split(count), self.lengths.tensor_split(count), strict=True)
        return [Prompt(ids[:, : int(lengths.max())], lengths, self.shared) for ids, lengths in parts]


def pad_prompts(rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> Prompt:
    """Stack token ids of unequal length; the padding is masked, so its value (0) never matters."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.zeros((len(rows), lengths.max(initial=0)), dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate([np.empty(0, np.int64), *rows])
    return Prompt(torch.from_numpy(ids), torch.from_numpy(lengths), tuple(shared))
