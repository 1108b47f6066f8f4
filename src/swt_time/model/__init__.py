"""The forecasting model: layers, their composition, and how a configuration becomes one.

- ``normalize``, ``patching``, ``embedding``: a window to patch tokens;
- ``reprogramming``, ``branch``, ``stand_ins``: tokens through the language model, or what stands in for it;
- ``heads``, ``closed_form``: features, or the window itself, to the horizon;
- ``network``, ``building``: the composition, made from a configuration;
- ``weights``, ``inference``: trained weights in and out; forecasts of many windows.
"""

from swt_time.model.building import build_embedding, build_model
from swt_time.model.network import SWTTime

__all__ = ["SWTTime", "build_embedding", "build_model"]
