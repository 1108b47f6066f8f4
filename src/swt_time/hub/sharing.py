"""The methods of a forecaster that share it on the hub and get it from there."""

import warnings
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from swt_time.checkpoints.checkpoint import Checkpoint, content_of
from swt_time.checkpoints.storage import with_manifest
from swt_time.errors import SWTTimeWarning
from swt_time.evaluation.trained import Trained
from swt_time.hub.card import local_backbone, model_card
from swt_time.hub.downloading import download
from swt_time.hub.failures import explained_by_hub
from swt_time.hub.names import HubName


class HasTrained(Protocol):
    """What can be pushed."""

    @property
    def trained(self) -> Trained:
        """The trained network."""
        ...


class Loadable(Protocol):
    """What can be loaded."""

    @classmethod
    def load(cls, folder: str | Path, **loading: Any) -> Self:
        """Load a checkpoint folder."""
        ...


Loaded = TypeVar("Loaded", bound=Loadable)


class OnHub:
    """Methods of a forecaster that is shared on the hub."""

    @classmethod
    def from_pretrained(
        cls: type[Loaded],
        repository: str,
        *,
        revision: str | None = None,
        token: str | None = None,
        **loading: Any,
    ) -> Loaded:
        """Load a forecaster from a repository of the Hugging Face hub.

        Only the files of a checkpoint are downloaded; their sizes are checked before, their hashes after it, and they
        are read as a checkpoint folder of a stranger is.

        Parameters
        ----------
        repository : str
            ``owner/name``, or ``owner/name@revision``; never a folder.
        revision : str, optional
            A branch, a tag, or a commit of 40 digits, which alone always means the same files. By default the newest
            commit of ``main``; a warning says which one it was.
        token : str, optional
            An access token; by default that of this machine (``hf auth login`` or ``HF_TOKEN``).
        **loading
            As in `Forecaster.load`.

        Raises
        ------
        CheckpointError
            The repository holds no checkpoint, or one that is damaged or too large.
        HubError
            The hub cannot be reached, has no such repository or revision, or refuses the token.
        """
        return cls.load(download(HubName.parse(repository, revision), token), **loading)

    def push_to_hub(
        self: HasTrained,
        repository: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        license: str | None = None,
        token: str | None = None,
        message: str = "Upload a forecaster of swt-time",
    ) -> str:
        """Write the trained model and its model card to a repository of the Hugging Face hub, in one commit.

        Parameters
        ----------
        repository : str
            ``owner/name``; it is created if it does not exist.
        revision : str, optional
            Branch to write to, created if it does not exist; by default ``main``.
        private : bool, optional
            Whether a repository that is created is private; by default what the owner has set on the hub.
        license : str, optional
            Identifier of a license for the card, such as ``mit``; without one the card names none.
        token : str, optional
            An access token that may write; by default that of this machine.
        message : str
            Message of the commit.

        Returns
        -------
        str
            The commit, of 40 digits: the ``revision`` of `from_pretrained`.

        Raises
        ------
        HubError
            The hub cannot be reached, or refuses the token, the repository or the license.
        """
        return push(
            self.trained.checkpoint,
            HubName.parse(repository, revision),
            private=private,
            license=license,
            token=token,
            message=message,
        )


def push(
    checkpoint: Checkpoint, name: HubName, *, private: bool | None, license: str | None, token: str | None, message: str
) -> str:
    """Write a checkpoint and its card to the hub; see `OnHub.push_to_hub`."""
    content = {**with_manifest(content_of(checkpoint)), "README.md": model_card(checkpoint, name, license).encode()}
    folder = local_backbone(checkpoint)
    if folder is not None:
        warnings.warn(
            f"the files that are pushed show where the language model is on this machine, {folder}; if the model needs "
            "it, others load it with backbone=PATH",
            SWTTimeWarning,
            stacklevel=3,
        )
    with explained_by_hub(f"the model cannot be pushed to {name}", name.repository, may="write"):
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(token=token)
        api.create_repo(name.repository, private=private, exist_ok=True)
        if name.revision is not None:
            api.create_branch(name.repository, branch=name.revision, exist_ok=True)
        files = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=data) for file, data in content.items()]
        made = api.create_commit(name.repository, files, commit_message=message, revision=name.revision)
    return str(made.oid)
