"""Checkpoints on the Hugging Face hub: sharing them with a model card, and downloading them verified.

A repository of the hub holds the files of a checkpoint folder (`swt_time.checkpoints.checkpoint`) and a ``README.md``.
Only these files are downloaded, and they are read with all limits of a folder from a stranger.
"""

from swt_time.hub.downloading import download, find_checkpoint
from swt_time.hub.names import HubName
from swt_time.hub.sharing import OnHub

__all__ = ["HubName", "OnHub", "download", "find_checkpoint"]
