"""The forecasting model: its layers, their composition, and building it from a configuration.

- ``normalize``, ``patching``, ``embedding``: from a window to patch tokens;
- ``reprogramming``, ``branch``, ``stand_ins``: patch tokens through the language model or a stand-in;
- ``heads``, ``closed_form``: from features, or from the window itself, to the horizon;
- ``network``, ``building``: the composed model, and building it from a configuration;
- ``weights``, ``inference``: listing and loading trained weights, and forecasting many windows.
"""

from typing import TYPE_CHECKING

from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.model.building import build_embedding, build_model
    from swt_time.model.network import SWTTime

__all__ = ["SWTTime", "build_embedding", "build_model"]

# Layers need PyTorch, the closed form does not.
__getattr__ = exports(__name__, {"build_embedding": "building", "build_model": "building", "SWTTime": "network"})
