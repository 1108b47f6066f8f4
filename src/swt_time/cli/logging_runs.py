"""``--log-to``: records of a training run beside its checkpoint, for TensorBoard and MLflow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from swt_time.cli.options import OUTPUT, option
from swt_time.errors import ConfigError
from swt_time.processes import writes

if TYPE_CHECKING:
    from swt_time.callbacks import Callback

DATABASE = "sqlite:///"
"""How the address of a database in a file begins."""

LogToOption = Annotated[
    list[str] | None,
    option(
        "--log-to",
        help="Record the run: tensorboard=FOLDER, or mlflow=ADDRESS such as http://host:5000 or sqlite:///mlflow.db; "
        "repeatable.",
        panel=OUTPUT,
    ),
]


def make_callbacks(asked: Sequence[str], out: Path) -> list["Callback"]:
    """Return the callbacks of ``--log-to``; in a training over several processes only the first one has any.

    Raises
    ------
    ConfigError
        A value is malformed, or its place cannot be written or lies in the folder ``--out``, whose files are replaced.
    MissingDependencyError
        A package is not installed; the message names the command that installs it.
    """
    pairs = [_parse(one, out) for one in asked]
    if not pairs or not writes():
        return []
    from swt_time.callbacks import MLflowCallback, TensorBoardCallback

    kinds = {"tensorboard": TensorBoardCallback, "mlflow": MLflowCallback}
    return [kinds[kind](place) for kind, place in pairs]


def _parse(asked: str, out: Path) -> tuple[str, str]:
    kind, _, place = asked.partition("=")
    if kind not in ("tensorboard", "mlflow") or not place:
        raise ConfigError(f"--log-to: expected tensorboard=FOLDER or mlflow=ADDRESS, got {asked!r}")
    file = place if kind == "tensorboard" else place.removeprefix(DATABASE) if place.startswith(DATABASE) else None
    if file is not None:
        whole = Path(file).expanduser().resolve()
        if out.resolve() in (whole, *whole.parents):
            raise ConfigError(f"--log-to {file} lies in the folder --out {out}; choose another place")
    return kind, place
