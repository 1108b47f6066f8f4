"""A table with notes and titles: a language model reads the texts, or the checkpoint has what it made of them."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.config import STAND_INS, Config
from swt_time.data.columns import listed
from swt_time.data.notes import read_notes
from swt_time.data.series import SeriesTable
from swt_time.data.titles import Titles
from swt_time.data.told import Notes, Told
from swt_time.effects import Effects
from swt_time.effects.notes import NotesGroup
from swt_time.effects.titles import TitleGroup
from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.language.finding import MINILM
from swt_time.language.text_key import text_key

if TYPE_CHECKING:
    from swt_time.language.sentences import SentenceReader


def tell(series: SeriesTable, notes: Any, config: Config) -> SeriesTable:
    """Return a table with notes and titles, to learn their effects.

    They are read by the backbone asked for, or MiniLM.
    """
    titles = series.covariates.titles
    titled = titles is not None and any(titles.texts)
    if notes is None and not titled:
        return series
    found = None if notes is None else _read(notes, series)
    reader = _reader(MINILM if config.backbone.name in STAND_INS else config.backbone.name)
    if found is not None:
        vectors, identity = _unit(reader(found.texts)), reader.model.identity
        series = _with(series, Told(found, vectors, identity.name, identity.sha256))
    if titles is not None and titled:
        vectors, identity = _unit(reader(titles.texts)), reader.model.identity
        series = _titled(series, replace(titles, vectors=vectors, backbone=identity.name, sha256=identity.sha256))
        blank = [name for name, text in zip(series.ids, titles.texts, strict=True) if not text]
        if blank:
            warnings.warn(f"no title is known for {listed(blank)}", SWTTimeWarning, stacklevel=3)
    return series


def tell_again(series: SeriesTable, notes: Any, effects: Effects | None) -> SeriesTable:
    """Return a table with notes and titles, to forecast it.

    A language model is loaded only for texts that the training did not have.

    Raises
    ------
    BackboneError
        It is not the language model of the training.
    """
    groups, titles = effects.groups if effects else (), series.covariates.titles
    for one in groups:
        if isinstance(one, TitleGroup) and titles is not None:
            vectors = _vectors(titles.texts, one)
            series = _titled(series, replace(titles, vectors=vectors, backbone=one.backbone, sha256=one.sha256))
    if notes is None:
        return series
    found = _read(notes, series)
    group = next((one for one in groups if isinstance(one, NotesGroup)), None)
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
    """Return a table that is forecast from the ends of its series only: every note counts that is known there."""
    told = series.covariates.told
    return series if told is None else _with(series, replace(told, at_end=True))


def _read(notes: Any, series: SeriesTable) -> Notes:
    found = read_notes(notes, series)
    for remark in found.remarks:
        warnings.warn(remark, SWTTimeWarning, stacklevel=4)
    return found


def _vectors(texts: Sequence[str], group: NotesGroup | TitleGroup) -> np.ndarray:
    """Vectors of texts; of those that the training had, only what lies in the directions of the group."""
    places = {key: i for i, key in enumerate(group.keys)}
    vectors = np.zeros((len(texts), len(group.directions)))
    known = np.array([text_key(text) in places for text in texts], dtype=bool)
    if known.any():
        rows = [places[text_key(text)] for text, one in zip(texts, known, strict=True) if one]
        vectors[known] = group.vectors[rows] @ group.directions.T + group.mean
    new = [text for text, one in zip(texts, known, strict=True) if not one]
    if any(text.strip() for text in new):
        reader = _reader(group.backbone)
        if reader.model.identity.sha256 != group.sha256:
            raise BackboneError(
                f"backbone {group.backbone!r} is not the language model that read the {group.name} in training (its "
                "weights differ); restore that one, or fit the model again"
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


def _titled(series: SeriesTable, titles: Titles) -> SeriesTable:
    return replace(series, covariates=replace(series.covariates, titles=titles))


def _with(series: SeriesTable, told: Told) -> SeriesTable:
    return replace(series, covariates=replace(series.covariates, told=told))
