"""A frozen language model as a reader of text and patches; the only room that knows transformers.

- ``prompt_text``, ``prompter``, ``tokenizer``: window statistics to text, text to token ids;
- ``finding``, ``loading``, ``families``: a backbone's files, its weights, what is known of each family;
- ``backbone``: the frozen model itself;
- ``prompt_reader``, ``attention``, ``shared_attention``, ``frozen``: prompts read once, and the fast paths.
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
