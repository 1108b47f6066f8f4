"""The library's messages as the command line says them: flags for keys, and one line each."""

import re

from swt_time.cli.options import FLAGS

ARGUMENTS = {
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "allow_backbone_change=True": "--allow-backbone-change",
    "folder=...": "--folder",
    "to=...": "--to",
}
"""Arguments of Python functions that the library's messages name, and their flags."""

KEY = re.compile(r"(?<![\w.'])[a-z]+\.[a-z_]+(?![\w.'])")


def to_flags(message: str, known: set[str]) -> str:
    """A message of the library with flags in place of keys and arguments, where the command has them.

    Parameters
    ----------
    message : str
    known : set of str
        The flags that the command has.

    Notes
    -----
    A message about an unknown key speaks of a configuration file or of ``--set``, so its keys stay, and so does what
    is quoted.
    """
    if message.startswith("unknown configuration key"):
        return message
    for argument, flag in ARGUMENTS.items():
        if flag in known:
            message = message.replace(argument, flag)
    return KEY.sub(lambda match: flag if (flag := FLAGS.get(match[0], "")) in known else match[0], message)


def one_line(message: str) -> str:
    """One line of at most 1,000 characters, none of which moves a terminal's cursor, whatever it quotes."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(message.split()))
    return line if len(line) <= 1000 else f"{line[:700]} ... {line[-295:]}"
