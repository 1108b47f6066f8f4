"""Windows of whole series, whose targets can be changed without their contexts."""

import numpy as np


class SeriesWindows:
    """All windows whose targets lie in rows ``first`` to ``stop`` of each series.

    ``change`` maps targets (M, H), their series (M, 1) and their rows (M, H) to other targets.
    """

    def __init__(self, series, context, horizon, *, season=1, first=0, stop=None, change=None):
        self.series = [np.asarray(one, np.float64) for one in series]
        self.context, self.horizon, self.season, self.change = context, horizon, season, change
        starts = [
            range(max(first - context, 0), min(stop or len(values), len(values)) - context - horizon + 1)
            for values in self.series
        ]
        self._places = np.array([(i, start) for i, own in enumerate(starts) for start in own]).reshape(-1, 2)

    def __len__(self):
        return len(self._places)

    def places(self, indices):
        return self._places[indices]

    def gather(self, indices):
        rows = [self.series[i][start : start + self.context + self.horizon] for i, start in self._places[indices]]
        rows = np.stack(rows).astype(np.float32)
        context, target = rows[:, : self.context], rows[:, self.context :]
        if self.change is not None:
            target_rows = self._places[indices, 1:] + self.context + np.arange(self.horizon)
            target = self.change(target, self._places[indices, :1], target_rows).astype(np.float32)
        return context, target


def split_windows(series, context, horizon, *, train, season=1, change=None):
    """Training windows with targets before row ``train``, and validation windows with targets from it on."""
    options = {"season": season, "change": change}
    return (
        SeriesWindows(series, context, horizon, stop=train, **options),
        SeriesWindows(series, context, horizon, first=train, **options),
    )
