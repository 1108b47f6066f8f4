"""The frozen language model that reads prompts and patches; the only package that imports transformers.

- ``prompt_text``, ``prompter``, ``prompt``, ``tokenizer``: from window statistics to text to token ids;
- ``finding``, ``formats``, ``loading``, ``families``: the files of a backbone, formats that are not read, its weights,
  and what differs between families;
- ``backbone``, ``tuning``: the frozen model, and what of it is trained;
- ``prompt_reader``, ``attention``, ``shared_attention``, ``frozen``: reading a prompt once, and fast CPU kernels.
"""

from swt_time.language.backbone import BackboneIdentity, LanguageModel
from swt_time.language.finding import find_backbone
from swt_time.language.loading import load_language_model
from swt_time.language.prompt_reader import Prompt, ReadPrompt
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
