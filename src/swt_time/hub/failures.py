"""What the hub and the network refuse, as one typed error with a remedy."""

import contextlib
from collections.abc import Iterator

from swt_time.errors import HubError, SWTTimeError, first_line, one_line
from swt_time.language.finding import hub_reason


@contextlib.contextmanager
def explained_by_hub(what: str, repository: str, may: str = "read") -> Iterator[None]:
    """Replace every error of the hub's client by ``what: reason and remedy``.

    Parameters
    ----------
    what : str
    repository : str
        ``owner/name``.
    may : str
        What the access token must allow.

    Raises
    ------
    HubError
    """
    try:
        yield
    except SWTTimeError:
        raise
    except Exception as error:  # the type of a transport error depends on the HTTP library of huggingface_hub
        raise HubError(f"{what}: {_reason(error, repository, may)}") from None


def _reason(error: Exception, repository: str, may: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled) and may == "write":
        return "the hub is turned off: unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
    if isinstance(error, (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled)):
        return hub_reason(error, repository, may)
    if isinstance(error, ConnectionError) or type(error).__module__.startswith("httpx"):
        return (
            f"the hub cannot be reached ({first_line(error)}): check the network and HF_ENDPOINT; with "
            "HF_HUB_OFFLINE=1 a copy in the cache is used"
        )
    if isinstance(error, OSError):  # a full disk, or fewer bytes than announced
        return f"{first_line(error)}; try again"
    return f"{one_line(str(error))[:300] or type(error).__name__}; check the name, and HF_ENDPOINT if it is set"
