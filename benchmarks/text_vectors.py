"""Vectors of texts for the benchmarks of notes and titles, each a way to read them, and the file of their results."""

import csv
import datetime
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from swt_time.language import load_language_model
from swt_time.language.sentences import SentenceReader
from swt_time.provenance import package_versions, source_commit

VERSIONS = ("swt-time", "numpy", "torch", "transformers")


class TextVectors:
    """Vectors of texts, for each arm that both benchmarks have.

    Parameters
    ----------
    kinds : sequence of str
        The kinds that a text can be of.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = list(kinds)
        self.readers = {
            name: SentenceReader(load_language_model("minilm", precision="float32", random_init=name != "MiniLM"))
            for name in ("MiniLM", "random weights")
        }

    def __call__(self, arm: str, texts: Sequence[str], kinds: Sequence[str], known: int) -> np.ndarray:
        """(n, L) vectors of texts and their kinds; words are counted in the first ``known`` texts."""
        if arm == "kind":
            return np.eye(len(self.kinds))[[self.kinds.index(kind) for kind in kinds]]
        if arm in ("bag of words", "TF-IDF"):
            from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

            words = (CountVectorizer if arm == "bag of words" else TfidfVectorizer)().fit(texts[:known])
            return unit(words.transform(texts).toarray().astype(np.float64))
        reader = self.readers["random weights" if arm == "random weights" else "MiniLM"]
        return unit(reader(texts).astype(np.float64))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1, except for zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def write_stamped(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as they come, each with date, commit, machine and versions."""
    stamp = {
        "date": datetime.date.today().isoformat(),
        "commit": source_commit(),
        "machine": f"{platform.machine()}, one thread",
        "versions": "; ".join(f"{name} {package_versions()[name]}" for name in VERSIONS)
        + f"; scikit-learn {version('scikit-learn')}",
    }
    with path.open("w", newline="") as file:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, [*row, *stamp], lineterminator="\n")
                writer.writeheader()
            writer.writerow({**row, **stamp})
            file.flush()
