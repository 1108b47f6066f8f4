"""From text to token ids, with the description shortened if a prompt exceeds the backbone's positions."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swt_time.errors import BackboneError, SWTTimeWarning, first_line
from swt_time.files import MEBIBYTE, read_bytes, read_json

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")

FILE_LIMIT = 64 * MEBIBYTE
"""Maximum size of a tokenizer file in bytes; the vocabulary of a LLaMA model takes 9 MiB."""


class Tokenizer:
    """Converts prompts to token ids and shortens their description if they are too long.

    Parameters
    ----------
    tokenizer
        A fast Hugging Face tokenizer. Its special tokens (``[CLS]``, ``[SEP]``, ``<s>``) are added to each prompt.
    max_tokens : int
        Maximum number of tokens in a prompt.
    """

    def __init__(self, tokenizer: Any, max_tokens: int):
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._warned = False

    def __call__(
        self, shared: str, own: Sequence[str], description: tuple[int, int], longest: str = ""
    ) -> list[list[int]]:
        """Tokenise ``shared + own[i]`` for each i.

        Parameters
        ----------
        shared : str
        own : sequence of str
        description : (int, int)
            Start and end of the description in ``shared``, in characters. Its last tokens are dropped where a prompt
            is too long; the text after it (task, statistics) is always kept.
        longest : str
            An own text of maximum length. All prompts drop at least the tokens that the prompt with this text would
            drop, so that they still start with the same tokens.

        Returns
        -------
        list of list of int

        Raises
        ------
        BackboneError
            If a prompt is too long even without the description.
        """
        encoded = self._tokenizer([shared + text for text in [longest, *own]])["input_ids"]
        if max(map(len, encoded)) <= self.max_tokens:
            return encoded[1:]
        common = len(encoded[0]) - self.max_tokens
        return [self._cut(shared + text, ids, description, common) for text, ids in zip(own, encoded[1:], strict=True)]

    def _cut(self, text: str, ids: list[int], description: tuple[int, int], common: int) -> list[int]:
        offsets = self._tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start, end = description
        inside = [i for i, (a, b) in enumerate(offsets) if a < b and a >= start and b <= end]
        surplus = max(len(ids) - self.max_tokens, min(common, len(inside)))
        if surplus <= 0:
            return ids
        if len(inside) < surplus:
            raise BackboneError(
                f"task and statistics take {len(ids) - len(inside)} tokens, but the backbone has room for "
                f"{self.max_tokens} prompt tokens besides the patches; set prompt.template to compact, lower "
                "data.context or raise embedding.stride"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"data.description is too long: the backbone has room for {self.max_tokens} prompt tokens besides the "
                f"patches, so about the last {surplus} tokens of the description are left out of the prompt",
                SWTTimeWarning,
                stacklevel=2,
            )
        return ids[: inside[-surplus]] + ids[inside[-1] + 1 :]


def load_tokenizer(folder: Path, name: str) -> Any:
    """Load the fast tokenizer in a backbone's folder.

    Parameters
    ----------
    folder : Path
    name : str
        Name of the backbone for error messages.

    Raises
    ------
    BackboneError
        If it is missing, damaged, too large, not a fast tokenizer, or needs custom code.
    """
    from transformers import AutoTokenizer

    # Without any of these files transformers would create an empty tokenizer.
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise BackboneError(
            f"backbone {name!r} has no tokenizer in {folder}; expected one of {', '.join(TOKENIZER_FILES)}"
        )
    for file in (path for kind in ("*.json", "*.txt", "*.model", "*.jinja") for path in folder.glob(kind)):
        read_bytes(file, FILE_LIMIT, BackboneError)
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and "auto_map" in read_json(settings, FILE_LIMIT, BackboneError):
        raise BackboneError(
            f"backbone {name!r} needs custom tokenizer code (auto_map in {settings}), which swt-time never runs"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the type of the error depends on the file and the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot load a tokenizer from {folder}: {first_line(error)}") from None
    if not tokenizer.is_fast:
        raise BackboneError(f"backbone {name!r} has no fast tokenizer (tokenizer.json) in {folder}")
    # `Tokenizer` shortens prompts itself; the tokenizer's own limit would cut off the statistics.
    tokenizer.model_max_length = int(1e30)
    return tokenizer
