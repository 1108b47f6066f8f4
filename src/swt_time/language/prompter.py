"""Prompts of windows: statistics, text and token ids, cached by window."""

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
"""Maximum memory of cached prompts in bytes. A full cache keeps its entries and computes other prompts each time:
with windows in random order, most entries would be replaced before their next use."""

KNOWN_PROMPT_OVERHEAD = 250
"""Bytes that a cached prompt takes in addition to its token ids."""


class Prompter:
    """Computes the token ids of each window's prompt.

    Parameters
    ----------
    template : {"compact", "paper"}
    description : str
        Description of the data, printed at the start of each prompt.
    context, horizon : int
        ``T`` and ``H``, printed in the task.
    tokenizer : Tokenizer

    Attributes
    ----------
    shared : tuple of int
        Token ids that all prompts start with. They are found by comparing two prompts, because the last token of the
        shared text may merge with the text after it.

    Raises
    ------
    BackboneError
        If the longest prompt does not fit into the backbone's positions even without the description, or prompts
        contain a token that the backbone has no embedding for.
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
        tokenizer.check(self._text, prompt_text.long_texts(template, context), self._description)
        self._check_tokens()
        self._known: dict[bytes, array[int]] = {}
        self._known_bytes = 0
        pairs = zip(*self._tokenise(prompt_text.opposite_texts(template)), strict=False)
        self.shared = tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _check_tokens(self) -> None:
        """Raise if an own text can contain an added token that the backbone has no embedding for."""
        patterns = prompt_text.own_patterns(self.template)
        for token in self._tokenizer.unknown:
            for form in {token, token.lower()}:  # some tokenizers look for an added token in lower case
                before = self._text[-len(form) :]  # it may begin in the shared text
                if any(prompt_text.may_contain([*before, *pattern], form) for pattern in patterns):
                    self._tokenizer.refuse(token)

    def __call__(self, z: Tensor, observed: Tensor | None = None) -> list[list[int]]:
        """Return the token ids of the prompts of normalised windows ``(M, T)``.

        Each depends on its own window only, and only on its values that are ``observed`` (M, T); by default all are.

        Prompts are cached by a hash of the window's values, since everything else that they depend on is fixed.
        """
        rows = list(z.detach().to("cpu", torch.float32).contiguous())
        if observed is not None:
            rows = [row[known] for row, known in zip(rows, observed.cpu(), strict=True)]
        keys = [hashlib.blake2b(row.numpy().data, digest_size=16).digest() for row in rows]
        fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        ids: dict[bytes, list[int]] = {}
        for length in sorted({len(row) for row in fresh.values()}):
            same = {key: row for key, row in fresh.items() if len(row) == length}
            ids |= zip(same, self._write(torch.stack(list(same.values()))), strict=True)
        for key, row in ids.items():
            if self._known_bytes < KNOWN_PROMPT_BYTES:
                self._known[key] = array("i", row)
                self._known_bytes += 4 * len(row) + KNOWN_PROMPT_OVERHEAD
        return [ids[key] if key in ids else self._known[key].tolist() for key in keys]

    def _write(self, z: Tensor) -> list[list[int]]:
        return self._tokenise(prompt_text.own_texts(self.template, prompt_text.window_statistics(z, self.template)))

    def _tokenise(self, own: list[str]) -> list[list[int]]:
        return self._tokenizer(self._text, own, self._description, self._longest)

    def write(self, z: Tensor, observed: Tensor | None = None) -> Prompt:
        """Return the padded prompts of normalised windows, see `__call__`, on the windows' device."""
        return pad_prompts(self(z, observed), self.shared).to(z.device)
