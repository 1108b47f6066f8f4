"""Download public benchmark datasets, verified against known SHA-256 hashes. Standard library only."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swt_time import __version__
from swt_time.errors import ConfigError, DownloadError
from swt_time.files import MEBIBYTE, file_sha256, read_bytes, user_cache
from swt_time.folders import Folder, replace_file

CHUNK = 2**16

FILE_LIMIT = 256 * MEBIBYTE
"""Maximum size of a dataset in bytes; the largest one has 10 MiB."""

ATTEMPTS = 3
"""Maximum number of connections; each resumes where the previous one was interrupted."""

ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/"
BUNDLE = "https://huggingface.co/datasets/thuml/Time-Series-Library/resolve/2b66e59ee19dac8f6f19fb5d4997f289fdfea357/"
"""Bundle of datasets; three of them are not published elsewhere in the form that the literature uses."""

ETT_LICENCE = "CC BY-ND 4.0, Zhou et al., https://github.com/zhouhaoyi/ETDataset"
BUNDLE_LICENCE = "CC BY 4.0 as bundled, https://huggingface.co/datasets/thuml/Time-Series-Library"

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from.

    Attributes
    ----------
    file, url : str
        File name on disk, and URL at a fixed revision.
    what, licence : str
        Description and licence.
    split : str
        The split that the literature uses, a value of ``data.split``.
    sha256 : tuple of str
        Hash of the file at ``url``, and of copies with other line endings where such copies are common.
    note : str
        Defects of the table that must be fixed before training, if any.
    """

    file: str
    url: str
    what: str
    licence: str
    split: str
    sha256: tuple[str, ...]
    note: str = ""


SOURCES = {
    "etth1": Source(
        "ETTh1.csv",
        ETT + "ETTh1.csv",
        "load and oil temperature of an electricity transformer, hourly, 7 series",
        ETT_LICENCE,
        "etth",
        ("f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",),
    ),
    "etth2": Source(
        "ETTh2.csv",
        ETT + "ETTh2.csv",
        "load and oil temperature of a second electricity transformer, hourly, 7 series",
        ETT_LICENCE,
        "etth",
        ("a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",),
    ),
    "ettm1": Source(
        "ETTm1.csv",
        ETT + "ETTm1.csv",
        "load and oil temperature of an electricity transformer, every 15 minutes, 7 series",
        ETT_LICENCE,
        "ettm",
        ("6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",),
    ),
    "ettm2": Source(
        "ETTm2.csv",
        ETT + "ETTm2.csv",
        "load and oil temperature of a second electricity transformer, every 15 minutes, 7 series",
        ETT_LICENCE,
        "ettm",
        ("db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd",),
    ),
    "exchange": Source(
        "exchange_rate.csv",
        BUNDLE + "exchange_rate/exchange_rate.csv",
        "exchange rates of eight currencies, daily, 8 series",
        BUNDLE_LICENCE,
        "0.7/0.1/0.2",
        (
            "48b4d9d3d508f5104162e85b9a6042e3557fde11aa9f2944eba8c0d0efc89842",
            "d55e7aa2641009814a18ba3279431b13f6d413b0eab195b9ff21988d8cf94e97",
        ),
    ),
    "ili": Source(
        "national_illness.csv",
        BUNDLE + "illness/national_illness.csv",
        "influenza-like illness in the United States (CDC ILINet), weekly, 7 series",
        "public domain (CDC)",
        "0.7/0.1/0.2",
        (
            "93601f64d2566dc796ca4305adad8b8560c2db1a1ff04543c3bd813a7263570a",
            "8594cecb98c6f2f9dc014eca11c4d5d1e38ad5ce6ed0592d4abe65b146fce395",
        ),
    ),
    "weather": Source(
        "weather.csv",
        BUNDLE + "weather/weather.csv",
        "weather station of the Max Planck Institute for Biogeochemistry, Jena, every 10 minutes, 21 series",
        BUNDLE_LICENCE,
        "0.7/0.1/0.2",
        (
            "34ee981d07313e51da2a50bb600072c8ae4a69cb4b0651f4cb93a069d7a2ba63",
            "9b2b19b13e342d9c9b9c51620d42b4be232df7fba30e7f5c4968b7c79ab138ad",
        ),
        "2020-05-12 06:00:00 occurs twice and some times are missing: delete one of the two rows and fill the gaps",
    ),
}
"""Sources of the datasets, by name."""


def find_source(name: str) -> Source:
    """Return the source of a dataset; names are case-insensitive.

    Raises
    ------
    ConfigError
        If there is no dataset with that name.
    """
    try:
        return SOURCES[name.lower()]
    except KeyError:
        raise ConfigError(f"unknown dataset {name!r}; expected one of {', '.join(SOURCES)}") from None


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/swt-time/data``; ``XDG_CACHE_HOME`` is ``~/.cache`` by default."""
    return user_cache(ConfigError) / "data"


def get_dataset(
    name: str,
    *,
    folder: Path | None = None,
    to: Path | None = None,
    timeout: float = 30.0,
    report: Report = lambda done, total: None,
) -> Path:
    """Return a verified local copy of a dataset, downloading it if needed.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    folder : path, optional
        Copy the file from this folder instead of downloading it.
    to : path, optional
        Folder of the local copy, by default `cache_folder`. An existing copy with the right hash is reused; another
        file of its name is not replaced.
    timeout : float
        Seconds without data after which a connection counts as interrupted.
    report : callable
        Called with the number of bytes received and the total.

    Returns
    -------
    path
        The file ``to / SOURCES[name].file``.

    Raises
    ------
    ConfigError
        If the name is unknown, ``folder`` does not contain the file, or ``to`` cannot be written.
    DownloadError
        If the download fails (the bytes received are kept, and the next call resumes), or the hash differs.
    """
    source = find_source(name)
    target = (cache_folder() if to is None else to) / source.file
    try:
        if target.exists():
            _check(file_sha256(target, ConfigError), target, source, "delete it to get it again")
        elif folder is not None:
            _copy(source, folder, target)
        else:
            _download(source, target, timeout, report)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"cannot write {target}: {reason}; choose another folder with to=...") from None
    return target


def _check(found: str, path: Path, source: Source, remedy: str) -> None:
    if found not in source.sha256:
        raise DownloadError(f"{path} has the wrong SHA-256: expected {source.sha256[0]}, got {found}; {remedy}")


def _copy(source: Source, folder: Path, target: Path) -> None:
    local = folder / source.file
    if not local.is_file():
        raise ConfigError(f"the folder {folder} has no file {source.file}; download it from {source.url}")
    content = read_bytes(local, FILE_LIMIT, ConfigError)
    _check(hashlib.sha256(content).hexdigest(), local, source, f"download it from {source.url}")
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, content, ConfigError)


def _download(source: Source, target: Path, timeout: float, report: Report) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    by_hand = f"without network access, save the file as {target} or pass the folder that contains it with folder=..."
    part = target.name + ".part"
    with Folder(target.parent, ConfigError) as folder:
        with os.fdopen(folder.open_file(part, os.O_RDWR | os.O_CREAT), "r+b") as file:
            for attempt in range(1, ATTEMPTS + 1):
                before = file.seek(0, os.SEEK_END)
                try:
                    _transfer(source.url, file, timeout, report)
                    break
                except (OSError, http.client.HTTPException) as error:
                    size = file.seek(0, os.SEEK_END)
                    if (
                        isinstance(error, urllib.error.HTTPError)
                        and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
                    ):
                        file.truncate(0)  # at least as long as the whole file, so it is not a part of it
                    elif attempt == ATTEMPTS or size <= before:
                        kept = f"; the {size} bytes received are kept: try again to resume" if size else ""
                        if not size:
                            folder.remove(part)
                        raise DownloadError(
                            f"cannot download {source.url} ({_reason(error)}){kept}; {by_hand}"
                        ) from None
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            remedy = f"the file at {source.url} or its transfer is faulty: try again, or {by_hand}"
            _check(found, target.parent / part, source, remedy)
        except DownloadError:
            folder.remove(part)
            raise
        folder.rename(part, target.name)


def _transfer(url: str, file: BinaryIO, timeout: float, report: Report) -> None:
    """Download into a file, resuming after the bytes already in it if the server supports ranges."""
    start = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"User-Agent": f"swt-time/{__version__}"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        done = start if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        file.seek(done)
        file.truncate()
        while chunk := answer.read1(CHUNK):
            file.write(chunk)
            done += len(chunk)
            report(done, total or done)
        file.flush()
    if total is not None and done < total:
        raise ConnectionError(f"the connection was interrupted after {done} of {total} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
