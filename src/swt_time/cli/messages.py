"""Messages of the library in the terms of the command line: flags instead of keys, one line each."""

import re

from swt_time.cli.options import FLAGS

ARGUMENTS = {
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "start=folder": "--from",
    "allow_backbone_change=True": "--allow-backbone-change",
    "backbone=PATH": "--backbone PATH",
    "folder=...": "--folder",
    "future=...": "--future",
    "static=...": "--static FILE",
    "to=...": "--to",
    "levels=None": "--levels none",
    "notes=...": "--notes",
    "tokens=...": "--token-file FILE",
    "space=...": "--search",
    "folds=...": "--folds",
}
"""Arguments of Python functions that the library's messages name, and their flags."""

ELSEWHERE = {
    "overwrite=True": "--overwrite of train",
    "resume=True": "--resume of train",
    "start=folder": "--from of train",
    "future=...": "--future of forecast",
    "static=...": "--static of train",
    "notes=...": "--notes of train",
    "tokens=...": "--token-file of serve",
    "space=...": "--search of tune",
    "folds=...": "--folds of tune",
}
"""Arguments whose flags another command has, for commands that lack them."""

KEY = re.compile(r"(?<![\w.'])[a-z]+\.[a-z_]+(?![\w.'])")


def to_flags(message: str, known: set[str]) -> str:
    """Replace keys and Python arguments in a message by the flags of the command, where it has them.

    Parameters
    ----------
    message : str
    known : set of str
        The flags that the command has.

    Notes
    -----
    Messages about an unknown key, and about the configuration of a model, refer to a file or to ``--set``, so they are
    returned unchanged. Quoted text stays unchanged too.
    """
    if message.startswith("unknown configuration key") or "config.json: " in message:
        return message
    for argument, flag in ARGUMENTS.items():
        message = message.replace(argument, flag if flag.split()[0] in known else ELSEWHERE.get(argument, argument))
    return KEY.sub(lambda match: flag if (flag := FLAGS.get(match[0], "")) in known else match[0], message)
