"""Options that name tables beside the one that is forecast."""

from typing import Annotated

from swt_time.cli.options import option

StaticOption = Annotated[
    str | None,
    option(
        "--static",
        help="Table with a row for each series: its id, and columns such as its kind or region. They are used if that "
        "lowers the error on held-out folds.",
    ),
]

NotesOption = Annotated[
    str | None,
    option(
        "--notes",
        help="Table of what is known in words: columns ds and text, and if needed unique_id, end and known_from. A "
        "language model reads the texts; they are used if that lowers the error on held-out folds.",
    ),
]

FutureOption = Annotated[
    str | None,
    option(
        "--future",
        help="Table of the rows after --data with the columns of --known, read like it; such rows may also end "
        "--data, without a value.",
    ),
]

StrictOption = Annotated[
    bool, option("--strict", help="Refuse a table with a series that is too short, instead of leaving it out.")
]
