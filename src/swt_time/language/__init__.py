"""The frozen language model that reads prompts and patches; the only package that imports transformers.

- ``prompt_text``, ``prompter``, ``prompt``, ``tokenizer``: from window statistics to text to token ids;
- ``finding``, ``formats``, ``conversion``: the files of a backbone, formats that are not read, and pickled weights
  converted;
- ``loading``, ``weight_files``, ``quantised``, ``families``: the architecture, the weights of its first layers, those
  in 8 and 4 bits decoded, and what differs between families;
- ``backbone``, ``tuning``, ``identity``: the frozen model, what of it is trained, and how a checkpoint names it;
- ``prompt_reader``, ``attention``, ``shared_attention``, ``frozen``: reading a prompt once, and fast CPU kernels.
"""

from typing import TYPE_CHECKING

from swt_time.language.finding import find_backbone
from swt_time.language.identity import BackboneIdentity
from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.language.backbone import LanguageModel
    from swt_time.language.loading import load_language_model
    from swt_time.language.prompt import Prompt
    from swt_time.language.prompt_reader import ReadPrompt
    from swt_time.language.prompter import Prompter

__all__ = [
    "BackboneIdentity",
    "LanguageModel",
    "Prompt",
    "Prompter",
    "ReadPrompt",
    "find_backbone",
    "load_language_model",
]

# A checkpoint names its backbone, also where PyTorch is not needed.
__getattr__ = exports(
    __name__,
    {
        "LanguageModel": "backbone",
        "load_language_model": "loading",
        "Prompt": "prompt",
        "ReadPrompt": "prompt_reader",
        "Prompter": "prompter",
    },
)
