"""The model card of a checkpoint: the ``README.md`` of its repository on the hub.

Everything that can come from a table, a configuration or a stranger's checkpoint stands in a code span or in a fenced
block, whose fence is longer than any in the text: Markdown has neither markup nor links there.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from swt_time.checkpoints.branch_record import RECORD, describe_branch
from swt_time.checkpoints.checkpoint import Checkpoint, result_of
from swt_time.checkpoints.tuned import describe_tuning
from swt_time.config import Config, dotted_keys
from swt_time.errors import ConfigError, one_line
from swt_time.evaluation.trained import describe_intervals
from swt_time.hub.names import HubName
from swt_time.language.finding import is_path
from swt_time.selection import Choice

MOST_NAMES = 20
"""Most series that a card names."""

FOLDER = "(a folder of its author's machine)"
"""In place of the path of a language model."""

MOST_CHARACTERS = 2000
"""Characters of a line that a card shows."""

BLANKS = re.compile("( {2,})")
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")

PAGE = """\
---
library_name: swt-time
pipeline_tag: time-series-forecasting
tags:
- time-series
- forecasting
- swt-time
{license}---

# {title}

A forecaster of [swt-time](https://github.com/swt-time/swt-time): it forecasts {horizon} steps from the last {context}.
{language}

## Use

```python
import pandas as pd
from swt_time import Forecaster

forecaster = Forecaster.from_pretrained("{repository}")
forecast = forecaster.predict(pd.read_csv("table.csv"))
```

```console
$ swt-time forecast --model {repository} --data table.csv --out forecast.csv
```

## Training table

{table}

## Scores and intervals

Measured on rows of the training table. `swt-time evaluate` scores the model on another table.

{scores}

## Configuration

Values that differ from the defaults; `config.json` holds all.

{configuration}

## Provenance

{provenance}
"""


def model_card(checkpoint: Checkpoint, name: HubName, license: str | None = None) -> str:
    """Write the model card of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    name : HubName
        Repository of the card.
    license : str, optional
        Identifier of a license as the hub has it, such as ``mit``; without one the card names none.

    Raises
    ------
    ConfigError
        The license is not an identifier.
    """
    if license is not None and LICENSE.fullmatch(license) is None:
        raise ConfigError(
            f"license {license!r}: expected an identifier of the hub, such as mit, apache-2.0 or cc-by-4.0"
        )
    checkpoint = _without_folder(checkpoint)
    data = checkpoint.config.data
    return PAGE.format(
        license="" if license is None else f"license: {json.dumps(license)}\n",
        title=code(name.repository.partition("/")[2]),
        repository=name.repository,
        horizon=data.horizon,
        context=data.steps,
        language=_language(checkpoint),
        table=_table(checkpoint),
        scores=fenced(_scores(checkpoint)),
        configuration=fenced(_configuration(checkpoint.config)),
        provenance=fenced(_provenance(checkpoint.provenance)),
    )


def local_backbone(checkpoint: Checkpoint) -> str | None:
    """Return the folder by which a checkpoint names its language model, or one left out; None if it names none."""
    record = checkpoint.provenance.get(RECORD)
    left_out = record.get("backbone") if isinstance(record, Mapping) else None
    own = None if checkpoint.backbone is None else checkpoint.backbone.name
    name = left_out.get("name") if own is None and isinstance(left_out, Mapping) else own
    return name if isinstance(name, str) and is_path(name) else None


def _without_folder(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose language model is not named by a folder of this machine."""
    folder, record = local_backbone(checkpoint), checkpoint.provenance.get(RECORD)
    if folder is None:
        return checkpoint
    if isinstance(record, Mapping):
        told = {**record, "name": str(record.get("name")).replace(folder, FOLDER)}
        checkpoint = replace(checkpoint, provenance={**checkpoint.provenance, RECORD: told})
    if checkpoint.backbone is None:
        return checkpoint
    config = checkpoint.config.replace({"backbone.name": FOLDER})
    return replace(checkpoint, config=config, backbone=replace(checkpoint.backbone, name=FOLDER))


def code(text: object) -> str:
    """Return a text as a code span of Markdown, in one line of printable characters."""
    line = one_line(str(text)) or " "
    marks = "`" * (_longest_run(line) + 1)
    space = " " if "`" in (line[0], line[-1]) else ""
    return f"{marks}{space}{line}{space}{marks}"


def fenced(lines: Iterable[str]) -> str:
    """Return lines as a block of Markdown without markup, each of printable characters."""
    text = "\n".join("".join(map(_aligned, BLANKS.split(line[:MOST_CHARACTERS]))) for line in lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _aligned(part: str) -> str:
    """Return a part of a line in printable characters; blanks that align columns stay."""
    return part if BLANKS.fullmatch(part) else one_line(part)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _language(checkpoint: Checkpoint) -> str:
    backbone = checkpoint.backbone
    if backbone is None:
        return "It needs no language model."
    return (
        f"It needs a language model that is not in this repository: {code(backbone.name)}, whose weights have the "
        f"SHA-256 {code(backbone.sha256)}. Where it is elsewhere, pass `backbone=`."
    )


def _table(checkpoint: Checkpoint) -> str:
    on, data, provenance = checkpoint.trained_on, checkpoint.config.data, checkpoint.provenance
    names = [code(name) for name in on.ids[:MOST_NAMES]]
    more = [f"{len(on.ids) - MOST_NAMES:,} more"] if len(on.ids) > MOST_NAMES else []
    facts = {
        "Layout": code(on.layout),
        "Frequency": code(on.frequency),
        "Series": f"{len(on.ids):,}: {', '.join([*names, *more])}" if names else "unknown",
        "Rows": code(provenance["rows"]) if "rows" in provenance else None,
        "SHA-256 of the values": code(provenance["data_sha256"]) if "data_sha256" in provenance else None,
        "Description": code(data.description) if data.description else None,
    }
    return "\n".join(f"- {what}: {fact}" for what, fact in facts.items() if fact is not None)


def _scores(checkpoint: Checkpoint) -> list[str]:
    """Return the lines of ``forecast`` and ``info``: errors on held-out rows, the test of the branch, intervals."""
    lines, result = [], result_of(checkpoint)
    if result is not None and result.best_loss is not None:
        lines.append(f"validation: mean squared error {_number(result.best_loss)} on scaled values")
    form = None if result is None else result.closed_form
    if isinstance(form, Mapping) and "held_out_mse" in form:
        lines.append(
            f"closed form: mean squared error {_number(form['held_out_mse'])} on {form.get('folds')} held-out blocks, "
            f"{_number(form.get('train_mse'))} on the rows that it was fitted to (scaled values)"
        )
    # There may have been nothing to choose, and a stranger may have written anything.
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError):
        lines += Choice(**checkpoint.provenance["choice"]).lines()
    told = (describe_branch(checkpoint.provenance), describe_tuning(checkpoint))
    return [*lines, *(line for line in told if line is not None), describe_intervals(checkpoint.provenance)]


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _configuration(config: Config) -> list[str]:
    lines = []
    ours, defaults = config.model_dump(mode="json"), Config().model_dump(mode="json")
    for section, _, name in (key.partition(".") for key in dotted_keys(Config)):
        value = ours[section][name]
        if value != defaults[section][name]:
            lines.append(f"{section}.{name} = {json.dumps(value, ensure_ascii=False)}")
    return lines


def _provenance(provenance: Mapping[str, Any]) -> list[str]:
    versions = provenance.get("versions")
    facts = dict(versions) if isinstance(versions, Mapping) else {}
    facts |= {key: provenance[key] for key in ("commit", "seed", "created") if provenance.get(key) is not None}
    return [f"{name}: {value}" for name, value in facts.items()]
