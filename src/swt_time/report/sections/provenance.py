"""Where the model and the report come from: versions, commit, hashes of the data, and the configuration."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from swt_time.data.series import series_sha256
from swt_time.provenance import package_versions, source_commit
from swt_time.report.blocks import facts, folded, paragraph, table
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, joined, shown
from swt_time.report.sections.choice import mapping

MOST_ROWS = 60


def provenance(found: Facts) -> Markup:
    """Return the section."""
    checkpoint = found.trained.checkpoint
    record, training = checkpoint.provenance, mapping(checkpoint.provenance.get("training"))
    (here, commit), there = loaded(), mapping(record.get("versions"))
    data, trained_on = series_sha256(found.series), record.get("data_sha256")
    names = list(dict.fromkeys([*here, *list(there)[:MOST_ROWS]]))
    versions = [[shown(name, 40), _text(there.get(name)), here.get(name, "–")] for name in names]
    config = [
        [f"{part}.{key}", shown(value, 120)]
        for part, section in checkpoint.config.model_dump().items()
        for key, value in section.items()
    ]
    same = data == trained_on
    if not same and found.series.covariates.columns:  # of which a training table holds no rows after its end
        known = found.series.covariates.cut(found.series.lengths.tolist())
        same = series_sha256(replace(found.series, covariates=known)) == trained_on
    return joined(
        facts(
            {
                "Report made": time.strftime("%Y-%m-%d", time.gmtime()),
                "Commit of the report": shown(commit or "installed package", 40),
                "Model made": _text(record.get("created")),
                "Commit of the model": _text(record.get("commit")),
                "Machine of the training": _text(record.get("machine")),
                "Seed": _text(record.get("seed")),
                "Steps and end of training": f"{_text(training.get('steps'))}, {_text(training.get('ended'))}",
                "SHA-256 of this table": data,
                "SHA-256 of the training table": _text(trained_on),
                "Trained on": "this table" if same else "another table, or other rows of this one",
            }
        ),
        folded("Versions of packages", table("Versions of packages", ["Package", "Training", "Report"], versions)),
        folded("Configuration", table("Configuration of the model", ["Key", "Value"], config)),
        paragraph(
            "This file holds everything that it shows. It asks for nothing from the network and runs no script of "
            "others."
        ),
    )


@cache
def loaded() -> tuple[dict[str, str], str | None]:
    """Versions and commit of what this process has loaded, as they were at its first report."""
    return package_versions(), source_commit()


def _text(value: Any) -> str:
    return "not recorded" if value is None or isinstance(value, Mapping | list) else shown(value, 100)
