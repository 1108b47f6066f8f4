"""Text to token ids, with a description that is shortened where positions are few."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swt_time.errors import BackboneError, SWTTimeWarning, first_line
from swt_time.files import MEBIBYTE, read_bytes, read_json

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")

FILE_LIMIT = 64 * MEBIBYTE
"""Most bytes of a tokenizer file; the vocabulary of a LLaMA takes 9 MiB."""


class Tokenizer:
    """Text to token ids, with a description that gives way when positions are short.

    Parameters
    ----------
    tokenizer
        A fast Hugging Face tokenizer; its own special tokens are added (``[CLS]``, ``[SEP]``, ``<s>``).
    room : int
        Most tokens that a prompt may have.
    """

    def __init__(self, tokenizer: Any, room: int):
        self._tokenizer = tokenizer
        self.room = room
        self._warned = False

    def __call__(
        self, shared: str, own: Sequence[str], description: tuple[int, int], longest: str = ""
    ) -> list[list[int]]:
        """Tokenise ``shared + own[i]`` for each i.

        ``description`` is the span of characters of the shared text whose end is left out where a prompt would
        not fit; everything behind it (task, statistics) is always kept. It is left out from all prompts alike as far
        as ``longest``, an own text of uncommon length, asks for, so that prompts keep beginning with the same tokens.

        Raises
        ------
        BackboneError
            Task and statistics alone do not fit.
        """
        encoded = self._tokenizer([shared + text for text in [longest, *own]])["input_ids"]
        if max(map(len, encoded)) <= self.room:
            return encoded[1:]
        common = len(encoded[0]) - self.room
        return [self._cut(shared + text, ids, description, common) for text, ids in zip(own, encoded[1:], strict=True)]

    def _cut(self, text: str, ids: list[int], description: tuple[int, int], common: int) -> list[int]:
        offsets = self._tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start, end = description
        inside = [i for i, (a, b) in enumerate(offsets) if a < b and a >= start and b <= end]
        surplus = max(len(ids) - self.room, min(common, len(inside)))
        if surplus <= 0:
            return ids
        if len(inside) < surplus:
            raise BackboneError(
                f"task and statistics take {len(ids) - len(inside)} tokens, but the backbone has room for {self.room} "
                "beside the patches; use the prompt template 'compact', a shorter context or a larger stride"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the description is longer than the backbone has room for beside the patches ({self.room} prompt "
                f"tokens): its last {surplus} tokens or so are left out of the prompt",
                SWTTimeWarning,
                stacklevel=2,
            )
        return ids[: inside[-surplus]] + ids[inside[-1] + 1 :]


def load_tokenizer(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    # Without any of these files transformers would make up an empty tokenizer.
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise BackboneError(
            f"backbone {name!r} has no tokenizer in {folder}; expected one of {', '.join(TOKENIZER_FILES)}"
        )
    for file in (path for kind in ("*.json", "*.txt", "*.model", "*.jinja") for path in folder.glob(kind)):
        read_bytes(file, FILE_LIMIT, BackboneError)
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and "auto_map" in read_json(settings, FILE_LIMIT, BackboneError):
        raise BackboneError(
            f"backbone {name!r} asks to run a tokenizer of its own (auto_map in {settings}); never done"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a wrong file leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot load a tokenizer from {folder}: {first_line(error)}") from None
    if not tokenizer.is_fast:
        raise BackboneError(f"backbone {name!r} has no fast tokenizer (tokenizer.json) in {folder}")
    # Prompts are fitted to the positions here; the tokenizer's own limit would cut the statistics.
    tokenizer.model_max_length = int(1e30)
    return tokenizer
