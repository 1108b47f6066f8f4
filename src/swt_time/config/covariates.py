"""Options of the section ``data`` that name covariates."""

from swt_time.config.section import Section


class CovariateOptions(Section):
    """What is known of the series beside their values."""

    known: tuple[str, ...] | None = None
    """Columns that are known in advance, such as a weather forecast or a promotion: numbers, booleans or categories. A
    forecast needs their rows after the end of the table. Each is kept only if it lowers the error on held-out folds."""
    past: tuple[str, ...] | None = None
    """Columns that are known as far as the series and not in advance, such as a measured temperature. Their values
    before a forecast may change each of its steps. Each is kept only if it lowers the error on held-out folds."""
    static: tuple[str, ...] | None = None
    """Columns with one value for each series, such as its kind or region, of the table or of one with a row for each
    series. Series with the same value share an effect. Each is kept only if it lowers the error on held-out folds."""
    titles: str | None = None
    """Column of the table, or of the one with a row for each series, with a text about each series, such as the name of
    a product. A language model reads it, and series with similar texts share their course over the season. Kept only if
    it lowers the error of series whose texts were held out."""
    calendar: bool = False
    """Use weekday, month and time of the year as columns that are known in advance, as the frequency allows."""
    holidays: str | None = None
    """Country whose public holidays are known in advance, such as ``DE``, or with a subdivision ``DE-BY``; needs the
    package ``holidays``."""

    @property
    def has_covariates(self) -> bool:
        """Whether anything is known beside the values."""
        return bool(self.known or self.past or self.static or self.titles or self.calendar or self.holidays)
