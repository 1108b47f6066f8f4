"""From text to token ids, with the description shortened if a prompt exceeds the backbone's positions."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swt_time.errors import BackboneError, SWTTimeWarning, first_line
from swt_time.files import MEBIBYTE, read_bytes, read_json

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")

FILE_LIMIT = 64 * MEBIBYTE
"""Maximum size of a tokenizer file in bytes; the vocabulary of a LLaMA model takes 9 MiB."""

ADDED_LIMIT = 1000
"""Maximum number of added tokens that the model has no embedding for; a tokenizer with more is another model's."""

OWN_TOKENIZER = "replace the tokenizer by the model's own"


class Tokenizer:
    """Converts prompts to token ids and shortens their description if they are too long.

    Parameters
    ----------
    tokenizer
        A fast Hugging Face tokenizer. Its special tokens (``[CLS]``, ``[SEP]``, ``<s>``) are added to each prompt.
    max_tokens : int
        Maximum number of tokens in a prompt.
    words : int, optional
        Number of word embeddings of the model; ids from there on have none. By default not checked.

    Attributes
    ----------
    unknown : mapping of str to int
        Added tokens of the tokenizer that the model has no embedding for, with their ids.
    """

    def __init__(self, tokenizer: Any, max_tokens: int, words: int | None = None):
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.words = words
        self.unknown: Mapping[str, int] = {} if words is None else unknown_tokens(tokenizer, words)
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
            is too long; the text after it (task, statistics) is kept. `check` has tested that there is room for it;
            where the digits of a window take even more tokens, the last tokens of its statistics are dropped.
        longest : str
            An own text of maximum length. All prompts drop at least the tokens that the prompt with this text would
            drop, so that they still start with the same tokens.

        Returns
        -------
        list of list of int
        """
        encoded: list[list[int]] = self._tokenizer([shared + text for text in [longest, *own]])["input_ids"]
        if max(map(len, encoded)) <= self.max_tokens:
            return encoded[1:]
        common = len(encoded[0]) - self.max_tokens
        return [self._cut(shared + text, ids, description, common) for text, ids in zip(own, encoded[1:], strict=True)]

    def check(self, shared: str, own: Sequence[str], description: tuple[int, int]) -> None:
        """Raise if the model cannot read all prompts, before any window is read.

        Parameters
        ----------
        shared, own, description
            As in the call; ``own`` are texts of maximum length.

        Raises
        ------
        BackboneError
            If a prompt is too long even without the description, or contains a token that the model has no embedding
            for.
        """
        lengths = [len(ids) for ids in self._tokenizer(list(own))["input_ids"]]
        text = shared + own[lengths.index(max(lengths))]
        ids = self._tokenizer(text)["input_ids"]
        kept = len(ids)
        if kept > self.max_tokens:
            kept -= len(self._inside(text, description))
        if kept > self.max_tokens:
            raise BackboneError(
                f"task and statistics take {kept} tokens, but the backbone has room for {self.max_tokens} prompt "
                "tokens besides the patches; set prompt.template to compact, lower data.context or raise "
                "embedding.stride"
            )
        for token, number in self.unknown.items():
            if number in ids:
                self.refuse(token)

    def sentences(self, texts: Sequence[str], longest: int) -> tuple[list[list[int]], int]:
        """Tokenise texts that are no prompts, and cut them off after ``longest`` tokens; also return how many were cut.

        Raises
        ------
        BackboneError
            If a text contains a token that the model has no embedding for.
        """
        if not texts:
            return [], 0
        whole = [len(row) for row in self._tokenizer(list(texts))["input_ids"]]
        rows: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
        for token, number in self.unknown.items():
            found = next((text for text, row in zip(texts, rows, strict=True) if number in row), None)
            if found is not None:
                raise BackboneError(
                    f"the text {found[:60]!r} contains the token {token!r}, which the tokenizer of the backbone gives "
                    f"the id {number}, but the model has {self.words} word embeddings; take it out of the text, or "
                    f"{OWN_TOKENIZER}"
                )
        return rows, sum(length > longest for length in whole)

    def refuse(self, token: str) -> None:
        """Raise because prompts contain a token that the model has no embedding for.

        Raises
        ------
        BackboneError
        """
        raise BackboneError(
            f"prompts contain the token {token!r}, which the tokenizer of the backbone gives the id "
            f"{self.unknown[token]}, but the model has {self.words} word embeddings; take it out of data.description "
            f"if it is there, otherwise {OWN_TOKENIZER}"
        )

    def _inside(self, text: str, description: tuple[int, int]) -> list[int]:
        """Return the indices of the tokens of a prompt that belong to the description."""
        offsets = self._tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start, end = description
        return [i for i, (a, b) in enumerate(offsets) if a < b and a >= start and b <= end]

    def _cut(self, text: str, ids: list[int], description: tuple[int, int], common: int) -> list[int]:
        inside = self._inside(text, description)
        surplus = max(len(ids) - self.max_tokens, min(common, len(inside)))
        if surplus <= 0:
            return ids
        beyond, surplus = max(surplus - len(inside), 0), min(surplus, len(inside))
        if not self._warned:
            self._warned = True
            more = f" and the last {beyond} of the statistics" if beyond else ""
            warnings.warn(
                f"data.description is too long: the backbone has room for {self.max_tokens} prompt tokens besides the "
                f"patches, so about the last {surplus} tokens of the description{more} are left out of the prompt",
                SWTTimeWarning,
                stacklevel=2,
            )
        kept = ids[: inside[-surplus]] + ids[inside[-1] + 1 :] if surplus else ids
        return kept[: len(kept) - beyond]


def unknown_tokens(tokenizer: Any, words: int) -> dict[str, int]:
    """Return the added tokens of a tokenizer with ids beyond the model's word embeddings, with their ids."""
    return {token: number for token, number in tokenizer.get_added_vocab().items() if number >= words}


def check_vocabulary(tokenizer: Any, words: int, name: str, folder: Path) -> None:
    """Compare the vocabulary of a tokenizer with the number of the model's word embeddings.

    Raises
    ------
    BackboneError
        If the vocabulary itself is larger. Tokens that were added to it give a warning only; whether prompts use them
        is judged by `Tokenizer.check` and `Prompter`.
    """
    added = unknown_tokens(tokenizer, words)
    known = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    size = 1 + max((number for token, number in known.items() if token not in added), default=-1)
    if size > words or len(added) > ADDED_LIMIT:
        raise BackboneError(
            f"backbone {name!r}: the tokenizer in {folder} has {len(tokenizer)} tokens, but the model has {words}; "
            f"{OWN_TOKENIZER}"
        )
    if added:
        shown = ", ".join(map(repr, list(added)[:3])) + (" ..." if len(added) > 3 else "")
        warnings.warn(
            f"backbone {name!r}: the model has no embedding for added tokens of the tokenizer in {folder} ({shown}); a "
            "prompt with such a token is refused",
            SWTTimeWarning,
            stacklevel=2,
        )


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
        If it is missing, damaged, too large, not a fast tokenizer, or needs custom code; or if its only file is
        ``tokenizer.model``, and a package that converts it is not installed.
    """
    from transformers import AutoTokenizer

    found = [file for file in TOKENIZER_FILES if (folder / file).is_file()]
    # Without any of these files transformers would create an empty tokenizer.
    if not found:
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
    if found == ["tokenizer.model"]:
        _check_converters(folder / "tokenizer.model", name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the type of the error depends on the file and the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot load a tokenizer from {folder}: {first_line(error)}") from None
    if not tokenizer.is_fast:
        raise BackboneError(f"backbone {name!r} has no fast tokenizer (tokenizer.json) in {folder}")
    # `Tokenizer` shortens prompts itself; the tokenizer's own limit would cut off the statistics.
    tokenizer.model_max_length = int(1e30)
    return tokenizer


def _check_converters(file: Path, name: str) -> None:
    """Raise if a package is missing that transformers converts a ``tokenizer.model`` with; it names another one."""
    first = read_bytes(file, FILE_LIMIT, BackboneError).partition(b"\n")[0]
    if re.fullmatch(rb"[A-Za-z0-9+/=]+ \d+", first):
        kind, packages = "tiktoken", {"tiktoken": "tiktoken"}
    else:
        kind, packages = "SentencePiece", {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
    if not _installed(packages):
        raise BackboneError(
            f"backbone {name!r} has no tokenizer.json, and converting {file} ({kind}) needs "
            f"{' and '.join(packages.values())}; copy tokenizer.json into the folder, or pip install "
            f"{' '.join(packages.values())}"
        )


def _installed(modules: Iterable[str]) -> bool:
    """Return whether modules can be imported, without importing them."""
    for module in modules:
        try:
            if find_spec(module) is None:
                return False
        except ModuleNotFoundError:  # the package of the module is missing
            return False
    return True
