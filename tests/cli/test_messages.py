"""Messages of the library as the command line says them."""

import pytest

from swt_time.cli.messages import ARGUMENTS, to_flags
from swt_time.cli.options import FLAGS
from swt_time.errors import one_line

ALL = {*FLAGS.values(), "--overwrite", "--resume", "--allow-backbone-change"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("set data.fill to linear", "set --fill to linear"),
        ("data.columns: the table has no column 'x'", "--columns: the table has no column 'x'"),
        ("repair it (data.fill).", "repair it (--fill)."),
        ("pass overwrite=True", "pass --overwrite"),
        ("set training.micro_batch to 4", "set training.micro_batch to 4"),
        ("unknown configuration key 'data.fil'; did you mean data.fill?", None),
        ("the file data.csv, written by data.py", None),
        ("series 'data.fill' is empty", None),
        ("my.data.fill", None),
        ("data.fill_value", None),
    ],
)
def test_keys_become_flags(message, expected):
    assert to_flags(message, ALL) == (message if expected is None else expected)


def test_a_command_without_the_flag_says_the_key():
    assert to_flags("data.horizon 5", {"--fill"}) == "data.horizon 5"


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_command_without_the_flag_says_whose_it_is(argument):
    """An argument whose flags are of all commands in which it can be said needs no other."""
    found = to_flags(f"pass {argument}", {"--fill"})
    everywhere = {"allow_backbone_change=True", "backbone=PATH", "folder=...", "to=...", "levels=None"}
    assert ("=" in found) == (argument in everywhere)
    assert to_flags("run again with resume=True", {"--save"}) == "run again with --resume of train"


def test_a_line_has_no_control_characters_and_an_end():
    assert one_line("a\n b\x1b[2J\tc") == "a b\\x1b[2J c"
    assert len(one_line("x" * 5000)) < 1010
