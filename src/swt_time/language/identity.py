"""Identity of a backbone, in a checkpoint."""

from dataclasses import dataclass

from pydantic import ConfigDict


@dataclass(frozen=True)
class BackboneIdentity:
    """Identity of a frozen backbone, as a checkpoint records it in order to find and verify the backbone later.

    Attributes
    ----------
    name : str
        ``minilm``, a folder or a hub id, as given by the user.
    family : str
        ``model_type`` of the backbone.
    layers : int
        Number of layers in use.
    sha256 : str
        Hash of the weights; see `weights_sha256`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    family: str
    layers: int
    sha256: str
