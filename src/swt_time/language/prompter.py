"""The prompt of each window: statistics, text, token ids; written once and remembered."""

import hashlib
import itertools
from array import array

import torch
from torch import Tensor

from swt_time.config import Template
from swt_time.language import prompt_text
from swt_time.language.prompt import Prompt, pad_prompts
from swt_time.language.tokenizer import Tokenizer

KNOWN_PROMPT_BYTES = 2**28
"""Most memory for the prompts of windows seen; when it is full, those known stay and others are written anew, since
an epoch in random order would push each one out before it is needed again."""

KNOWN_PROMPT_OVERHEAD = 250
"""Bytes that a known prompt takes beside its token ids."""


class Prompter:
    """Writes the prompt of each window: statistics, text, token ids.

    Parameters
    ----------
    template, description
        As in the configuration.
    context, horizon : int
        ``T`` and ``H``, named in the task.
    tokenizer : Tokenizer

    Attributes
    ----------
    shared : tuple of int
        Token ids that the prompts have in common: found by comparing two prompts, since the last token of the shared
        text may merge with what follows it.
    """

    def __init__(
        self,
        template: Template,
        description: str,
        context: int,
        horizon: int,
        tokenizer: Tokenizer,
    ):
        self.template = template
        self._text = prompt_text.shared_text(template, description, context, horizon)
        self._description = prompt_text.description_span(template, description)
        self._longest = prompt_text.longest_text(template, context)
        self._tokenizer = tokenizer
        self._known: dict[bytes, array[int]] = {}
        self._known_bytes = 0
        pairs = zip(*self._tokenise(prompt_text.opposite_texts(template)), strict=False)
        self.shared = tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    def __call__(self, z: Tensor) -> list[list[int]]:
        """Token ids for normalised windows ``(M, T)``; each depends on its own window only.

        A window that was seen before is not tokenised again. It is known by a hash of its values: whatever else its
        prompt depends on is fixed in this object.
        """
        rows = z.detach().to("cpu", torch.float32).contiguous()
        keys = [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows.numpy()]
        fresh = {key: i for i, key in enumerate(keys) if key not in self._known}
        found = self._write(rows[list(fresh.values())]) if fresh else []
        ids = dict(zip(fresh, found, strict=True))
        for key, row in ids.items():
            if self._known_bytes < KNOWN_PROMPT_BYTES:
                self._known[key] = array("i", row)
                self._known_bytes += 4 * len(row) + KNOWN_PROMPT_OVERHEAD
        return [ids[key] if key in ids else self._known[key].tolist() for key in keys]

    def _write(self, z: Tensor) -> list[list[int]]:
        return self._tokenise(prompt_text.own_texts(self.template, prompt_text.window_statistics(z, self.template)))

    def _tokenise(self, own: list[str]) -> list[list[int]]:
        return self._tokenizer(self._text, own, self._description, self._longest)

    def write(self, z: Tensor) -> Prompt:
        """The prompts of normalised windows ``(M, T)``, padded to one length, on the windows' device."""
        return pad_prompts(self(z), self.shared).to(z.device)
