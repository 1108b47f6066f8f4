"""Texts as vectors: what a frozen language model makes of a sentence."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from swt_time.errors import SWTTimeWarning
from swt_time.language.backbone import LanguageModel
from swt_time.language.text_key import text_key

LONGEST = 512
"""Maximum number of tokens of a text; the rest is not read."""


class SentenceReader:
    """Reads texts with a frozen language model.

    An encoder gives the mean of the last hidden states of all tokens, as MiniLM was trained; a causal model gives that
    of the last token, the only one that has seen the whole text. Texts are read together with others of the same number
    of tokens, without padding, so a vector does not depend on the other texts.

    Parameters
    ----------
    model : LanguageModel
        In float32: rounded states of short texts would differ by more than the texts that are read with them.
    """

    def __init__(self, model: LanguageModel):
        self.model = model
        self._read: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Compute one vector for each text.

        A text that was read before is not read again. A text of more than `LONGEST` tokens is read up to there, with a
        warning.

        Parameters
        ----------
        texts : sequence of n str
            A blank text gives zeros.

        Returns
        -------
        (n, L) float32 array

        Raises
        ------
        BackboneError
            If the tokenizer gives a text a token that the model has no embedding for.
        """
        keys = [text_key(text) for text in texts]
        new = {key: text.strip() for key, text in zip(keys, texts, strict=True) if key not in self._read}
        self._read |= dict(zip(new, self._vectors(list(new.values())), strict=True))
        return (
            np.stack([self._read[key] for key in keys]) if keys else np.empty((0, self.model.hidden_size), np.float32)
        )

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.model.hidden_size), dtype=np.float32)
        rows, cut = self.model.tokenizer(0).sentences(texts, min(LONGEST, self.model.max_positions))
        if cut:
            warnings.warn(
                f"{cut} of {len(texts)} texts have more tokens than the language model reads; only their start is used",
                SWTTimeWarning,
                stacklevel=2,
            )
        lengths = np.array([len(row) if text else 0 for row, text in zip(rows, texts, strict=True)])
        words = self.model.model.get_input_embeddings()
        for length in np.unique(lengths[lengths > 0]):
            places = np.flatnonzero(lengths == length)
            ids = torch.tensor([rows[i] for i in places], device=words.weight.device)
            with torch.inference_mode(False), torch.no_grad():
                states = self.model(None, words(ids).float())
            vectors[places] = (states[:, -1] if self.model.causal else states.mean(dim=1)).cpu().numpy()
        return vectors
