"""Names of repositories on the hub, and how they are told from folders."""

import os
import re
from dataclasses import dataclass
from typing import Self

from swt_time.errors import ConfigError
from swt_time.language.finding import is_path

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """A repository of the hub.

    Attributes
    ----------
    repository : str
        ``owner/name``.
    revision : str or None
        A branch, a tag or a commit; None for the newest commit of the branch ``main``.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"

    @property
    def pinned(self) -> bool:
        """Whether the revision is a whole commit, which always means the same files."""
        return self.revision is not None and COMMIT.fullmatch(self.revision) is not None

    @classmethod
    def parse(cls, text: str, revision: str | None = None) -> Self:
        """Parse ``owner/name`` or ``owner/name@revision``.

        Raises
        ------
        ConfigError
            The text is neither, or a revision is given twice or is not the name of one.
        """
        repository, at, own = text.partition("@")
        if at and revision is not None:
            raise ConfigError(f"the revision is given twice, in {text!r} and as {revision!r}; leave one out")
        found = own if at else revision
        if REPOSITORY.fullmatch(repository) is None:
            raise ConfigError(f"{text!r} is not a repository of the hub: expected owner/name or owner/name@revision")
        if found is not None and (REVISION.fullmatch(found) is None or ".." in found):
            raise ConfigError(f"{found!r} is not a revision: expected a branch, a tag or a commit of 40 digits")
        return cls(repository, found)


def hub_name(source: str) -> HubName | None:
    """Return the repository that a name means where a checkpoint is expected; None if it means a folder.

    A folder that exists is one. ``owner/name@revision`` is a repository. ``owner/name`` is one unless there is a folder
    ``owner`` here, in which ``name`` is then missing: a mistyped path is not asked for on the hub, where anybody may
    have given a repository that name. All other names are folders.
    """
    if is_path(source) or os.path.isdir(source):
        return None
    try:
        name = HubName.parse(source)
    except ConfigError:
        return None
    return None if name.revision is None and os.path.isdir(source.partition("/")[0]) else name
