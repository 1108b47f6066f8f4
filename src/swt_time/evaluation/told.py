"""A table with notes: the texts are read by a language model, or taken from the checkpoint that has read them."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.config import STAND_INS, Config
from swt_time.data.notes import read_notes
from swt_time.data.series import SeriesTable
from swt_time.data.told import Notes, Told
from swt_time.effects import Effects
from swt_time.effects.notes import NotesGroup
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language.finding import MINILM
from swt_time.language.text_key import text_key

if TYPE_CHECKING:
    from swt_time.language.sentences import SentenceReader


def tell(series: SeriesTable, notes: Any, config: Config) -> SeriesTable:
    """A table with notes, to learn their effects; the backbone of the configuration, or MiniLM, reads them."""
    if notes is None:
        return series
    found = _read(notes, series)
    name = MINILM if config.backbone.name in STAND_INS else config.backbone.name
    reader = _reader(name)
    vectors, identity = _unit(reader(found.texts)), reader.model.identity
    return _with(series, Told(found, vectors, identity.name, identity.sha256))


def tell_again(series: SeriesTable, notes: Any, effects: Effects | None) -> SeriesTable:
    """A table with notes, to forecast it; a language model is loaded only for texts that the training did not have.

    Raises
    ------
    BackboneError
        It is not the language model of the training.
    """
    if notes is None:
        return series
    found = _read(notes, series)
    group = next((one for one in (effects.groups if effects else ()) if isinstance(one, NotesGroup)), None)
    if group is None:
        warnings.warn(
            "the notes are not used: the model was fitted without notes, or they did not lower the error on held-out "
            "folds; fit it with notes=... to learn their effects",
            SWTTimeWarning,
            stacklevel=3,
        )
        return series
    return _with(series, Told(found, _vectors(found.texts, group), group.backbone, group.sha256))


def from_ends(series: SeriesTable) -> SeriesTable:
    """A table that is forecast from the ends of its series only: every note counts that is known there."""
    told = series.covariates.told
    return series if told is None else _with(series, replace(told, at_end=True))


def _read(notes: Any, series: SeriesTable) -> Notes:
    found = read_notes(notes, series)
    for remark in found.remarks:
        warnings.warn(remark, SWTTimeWarning, stacklevel=4)
    return found


def _vectors(texts: Sequence[str], group: NotesGroup) -> np.ndarray:
    """Vectors of texts; of those that the training had, only what lies in the directions of the group."""
    places = {key: i for i, key in enumerate(group.keys)}
    vectors = np.zeros((len(texts), len(group.directions)))
    known = np.array([text_key(text) in places for text in texts], dtype=bool)
    if known.any():
        rows = [places[text_key(text)] for text, one in zip(texts, known, strict=True) if one]
        vectors[known] = group.vectors[rows] @ group.directions.T
    new = [text for text, one in zip(texts, known, strict=True) if not one]
    if any(text.strip() for text in new):
        reader = _reader(group.backbone)
        if reader.model.identity.sha256 != group.sha256:
            raise BackboneError(
                f"backbone {group.backbone!r} is not the language model that read the notes in training (its weights "
                "differ); restore that one, or fit the model again"
            )
        vectors[~known] = _unit(reader(new))
    return vectors


def _reader(backbone: str) -> "SentenceReader":
    """PyTorch is imported here, since texts that the training had need none."""
    from swt_time.language import load_language_model
    from swt_time.language.sentences import SentenceReader

    return SentenceReader(load_language_model(backbone, precision="float32"))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def _with(series: SeriesTable, told: Told) -> SeriesTable:
    return replace(series, covariates=replace(series.covariates, told=told))
