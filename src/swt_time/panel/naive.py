"""Last value and seasonal naive."""

import numpy as np


def repeat_season(contexts: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Seasonal naive: repeat the last season; a season of 1 repeats the last value.

    Parameters
    ----------
    contexts : ndarray (M, T)
        The values before the forecast; NaN where a series has none. The last value of each row is known.
    season : int
        A season longer than the contexts is shortened to them.
    horizon : int

    Returns
    -------
    ndarray (M, H)
        Where the value of a season ago is missing, the last value.

    Examples
    --------
    >>> import numpy as np
    >>> repeat_season(np.array([[1.0, 2.0, 3.0, 4.0]]), season=2, horizon=3)
    array([[3., 4., 3.]])
    """
    season = min(season, contexts.shape[1])
    last = contexts[:, contexts.shape[1] - season :]
    last = np.where(np.isnan(last), contexts[:, -1:], last)
    return np.tile(last, (1, -(-horizon // season)))[:, :horizon]
