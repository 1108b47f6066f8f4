"""The models of a service: found by name, loaded when first asked for, and loaded again when they were replaced."""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swt_time.checkpoints import holds_checkpoint, moved_backbone
from swt_time.checkpoints.checkpoint import read_identified
from swt_time.checkpoints.storage import Location, last_write
from swt_time.errors import CheckpointError, ConfigError, SWTTimeError
from swt_time.folders import Folder
from swt_time.serve.batching import BatchedModel
from swt_time.serve.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of models; none of them is a path."""

UNNAMED = "model"
"""Name of a single model whose folder has another kind of name."""

log = logging.getLogger("swt_time.serve")


class UnknownModelError(ConfigError):
    """There is no model of that name, or no name although there are several models."""


class UnavailableModelError(SWTTimeError):
    """A model exists and cannot be loaded; the reason, with its paths, stands in the log alone."""


@dataclass(frozen=True)
class Served:
    """A model in memory.

    Attributes
    ----------
    name : str
    sha256 : str
        Hash of the files of its checkpoint, as in the manifest.
    trained : BatchedModel
    """

    name: str
    sha256: str
    trained: BatchedModel


class _Place:
    """A checkpoint folder and what was loaded of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.lock = threading.Lock()
        self.served: Served | None = None
        self.written: tuple[int, int] | None = None


class Models:
    """The models that a service may use.

    A model is loaded by the first request for it. Before each further request one look at its manifest says whether the
    checkpoint was replaced, and if so it is loaded again, so that a request that begins after a model was replaced is
    answered by the new one. A request keeps the model it has begun with. If the new checkpoint cannot be loaded, the
    former model keeps answering, and the log says why.

    Parameters
    ----------
    settings : Settings
    report : callable, optional
        Called with the number of requests and of windows of each batch.

    Raises
    ------
    CheckpointError
        There is no such folder, or ``settings.model`` holds no checkpoint.
    """

    def __init__(self, settings: Settings, report: Callable[[int, int], None] = lambda callers, windows: None) -> None:
        self._settings, self._report = settings, report
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._guard = threading.Lock()
        self._only: tuple[str, Path] | None = None
        if settings.model is not None:
            folder = settings.model.resolve()
            if not holds_checkpoint(folder):
                raise CheckpointError(
                    f"no checkpoint folder at {settings.model}; train a model and save it there first"
                )
            self._only = folder.name if NAME.fullmatch(folder.name) else UNNAMED, folder
        elif settings.models is not None and not settings.models.is_dir():
            raise CheckpointError(f"there is no folder {settings.models}; expected one that holds checkpoint folders")

    def names(self) -> list[str]:
        """Names of all models, sorted; those of checkpoint folders that can be asked for."""
        if self._only is not None:
            return [self._only[0]]
        if self._settings.models is None:
            return []
        with Folder(self._settings.models, CheckpointError) as folder:
            found = folder.names()
        return sorted(name for name in found if self._folder(name) is not None)

    def get(self, name: str | None) -> Served:
        """Return the current model of a name; without a name the only one.

        Raises
        ------
        UnknownModelError
        UnavailableModelError
        """
        place = self._place(name)
        with place.lock:
            written = self._written(place)
            if written is not None and (place.served is None or place.written != written):
                self._load(place, written)
            if written is None or place.served is None:
                self._forget(place)
                raise UnknownModelError(f"model: there is no model {place.name!r}; GET /models lists them")
            return place.served

    def loaded(self) -> dict[str, Served]:
        """Return the models in memory, by name."""
        with self._guard:
            return {name: place.served for name, place in self._places.items() if place.served is not None}

    def _place(self, name: str | None) -> _Place:
        if name is None:
            names = self.names()
            if len(names) != 1:
                have = "the server has several models" if names else "the server has no model"
                raise UnknownModelError(f"model: {have}; name one of those that GET /models lists")
            name = names[0]
        folder = self._folder(name)
        if folder is None:
            with self._guard:
                self._places.pop(name, None)
            raise UnknownModelError("model: there is no model of that name; GET /models lists them")
        with self._guard:
            place = self._places.pop(name, None) or _Place(name, folder)
            self._places[name] = place
            while len(self._places) > self._settings.limits.models:
                self._places.popitem(last=False)
        return place

    def _folder(self, name: str) -> Path | None:
        """Return the checkpoint folder of a name; None if there is none. Nothing is found through a link."""
        if self._only is not None:
            return self._only[1] if name == self._only[0] else None
        models = self._settings.models
        if models is None or NAME.fullmatch(name) is None:
            return None
        try:
            with Folder(models, CheckpointError) as folder:
                return models / name if folder.has(name, "folder") and holds_checkpoint(models / name) else None
        except (OSError, CheckpointError):
            return None

    @staticmethod
    def _written(place: _Place) -> tuple[int, int] | None:
        try:
            return last_write(Location(place.folder))
        except CheckpointError:
            return None

    def _load(self, place: _Place, written: tuple[int, int]) -> None:
        """Load a checkpoint; one that cannot be loaded leaves the former model, if there is one."""
        place.written = written
        try:
            checkpoint, sha256 = read_identified(place.folder)
            if place.served is not None and place.served.sha256 == sha256:
                return
            moved = moved_backbone(checkpoint, self._settings.backbone)
            trained = BatchedModel.build(moved, self._settings.device)
        except SWTTimeError as error:
            log.error("a model cannot be loaded", extra={"model": place.name, "reason": str(error)})
            if place.served is None:
                place.written = None
                raise UnavailableModelError(
                    f"the model {place.name!r} cannot be loaded; the log of the server says why"
                ) from error
            return
        assert isinstance(trained, BatchedModel)
        trained.batcher.report = self._report
        place.served = Served(place.name, sha256, trained)
        log.info("a model was loaded", extra={"model": place.name, "sha256": sha256})

    def _forget(self, place: _Place) -> None:
        with self._guard:
            if self._places.get(place.name) is place:
                del self._places[place.name]
