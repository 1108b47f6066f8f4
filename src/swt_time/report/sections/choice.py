"""What was chosen and why: candidates on held-out blocks, the branch and its paired test, effects of covariates.

All of it is read from the checkpoint, whose records may come from a stranger: what is not of the expected kind is left
out.
"""

from collections.abc import Mapping
from typing import Any

from swt_time.checkpoints.branch_record import RECORD
from swt_time.effects import Effects
from swt_time.report.blocks import bullets, facts, paragraph, table
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, joined, shown
from swt_time.report.words import PERCENT, number, percent
from swt_time.selection.choosing import MARGIN

MOST_ROWS = 30


def choice(found: Facts) -> Markup:
    """Return the section."""
    provenance = found.trained.checkpoint.provenance
    return joined(
        _model(found),
        _candidates(mapping(provenance.get("choice"))),
        _closed_form(mapping(found.trained.closed_form)),
        _branch(mapping(provenance.get(RECORD))),
        _effects(found.trained.effects),
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Return a record; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def numbers(value: object) -> dict[str, float]:
    """Return the entries of a record that are numbers."""
    return {
        str(k): float(v) for k, v in mapping(value).items() if isinstance(v, int | float) and not isinstance(v, bool)
    }


def _model(found: Facts) -> Markup:
    config = found.trained.checkpoint.config
    return facts(
        {
            "Horizon": f"{config.data.horizon:,} steps",
            "Context": f"{config.data.steps:,} rows before the forecast",
            "Wavelet": f"{shown(config.embedding.wavelet, 40)}, {config.embedding.levels} levels",
            "Language model": _language_model(found),
        }
    )


def _closed_form(form: Mapping[str, Any]) -> Markup | None:
    """Return the parts that the closed form tried, and what each gained on its folds."""
    gains = form.get("gains")
    rows = [
        [shown(one["part"], 40), f"{100 * float(one['gain']):+.2f}{PERCENT}", "yes" if one.get("taken") else "no"]
        for one in (gains if isinstance(gains, list) else [])[:MOST_ROWS]
        if isinstance(one, Mapping) and isinstance(one.get("part"), str) and isinstance(one.get("gain"), int | float)
    ]
    if not rows:
        return None
    prior = f"its prior is “{shown(form['prior'], 40)}”" if isinstance(form.get("prior"), str) else "it has no prior"
    folds = f"{form['folds']:,} folds" if isinstance(form.get("folds"), int) else "folds"
    return joined(
        paragraph(
            f"The closed form was solved on the training rows; {prior}. It tried more parts on {folds} of these rows, "
            "and took those that gained enough."
        ),
        table("Parts of the closed form, and what each gained of the error", ["Part", "Gain", "Taken"], rows),
    )


def _language_model(found: Facts) -> str:
    checkpoint = found.trained.checkpoint
    if checkpoint.backbone is None:
        return "none: the model forecasts without one"
    return f"{shown(checkpoint.backbone.name, 80)}, weights {shown(checkpoint.backbone.sha256, 12)}"


def _candidates(record: Mapping[str, Any]) -> Markup:
    weights, errors = numbers(record.get("weights")), numbers(record.get("errors"))
    used = {name: weight for name, weight in weights.items() if weight > 0}
    if not used:
        return paragraph("Nothing was left open in the configuration, so no candidates were compared.")
    mixture = " and ".join(f"{percent(weight, 0)} {shown(name, 40)}" for name, weight in used.items())
    said = [
        f"The forecast is the {shown(next(iter(used)), 40)} alone." if len(used) == 1 else f"The forecast is {mixture}."
    ]
    if used.get("panel") and isinstance(record.get("panel"), str) and record["panel"]:
        said.append(f"The panel is {shown(record['panel'])}.")
    if not errors:
        return paragraph(" ".join(said), " The series are too short to compare it with other candidates.")
    blocks = record.get("blocks")
    on = f"{blocks:,} held-out blocks" if isinstance(blocks, int) else "held-out blocks"
    said.append(
        f"On {on} of the table each candidate forecast the block after it was fitted on the rows before. A richer "
        f"candidate is preferred only if its error is at least {percent(MARGIN, 0)} lower, and the weights lean to the "
        "panel the less certain a gain is."
    )
    ranked = sorted(errors.items(), key=lambda one: one[1])[:MOST_ROWS]
    least = ranked[0][1]
    rows = [
        [shown(name, 80), error, f"{100 * (error / least - 1):+.1f}{PERCENT}" if least > 0 else "–"]
        for name, error in ranked
    ]
    return joined(
        paragraph(" ".join(said)),
        table(
            "Candidates: mean absolute error on held-out blocks, in units of the seasonal naive error",
            ["Candidate", "Error", "Above the lowest"],
            rows,
        ),
    )


def _branch(record: Mapping[str, Any]) -> Markup | None:
    if not record:
        return paragraph("No branch with a language model was asked for, or its test is not recorded.")
    test = mapping(record.get("test"))
    name = shown(record.get("name", "branch"), 60)
    verdict = "was kept" if record.get("kept") else "was left out"
    said = paragraph(
        f"The branch beside the linear forecast ({name}) {verdict}: "
        f"{shown(record.get('reason', 'no reason is recorded'))}."
    )
    if not test:
        return said
    found = numbers(test)
    return joined(
        said,
        facts(
            {
                "Error without the branch": number(found.get("without")),
                "Error with it": number(found.get("with_branch")),
                "Gain": f"{percent(found.get('gain'))} with a standard error of {percent(found.get('standard_error'))}",
                "Paired t-test": f"p = {number(found.get('p'))} on {number(found.get('blocks'))} blocks, for the best "
                f"of {number(found.get('validations'))} validations",
                "Kept from": f"a gain of {percent(found.get('margin'), 0)} with p up to {number(found.get('level'))}",
            }
        ),
    )


def _effects(effects: Effects | None) -> Markup:
    if effects is None:
        return paragraph("No covariates and no notes were used.")
    windows = effects.windows
    kept = [group.name for group in effects.groups]
    parts = [_shares(f"Effects of covariates ({effects.link})", kept, effects.gains, effects.error)]
    left_out = dict(effects.left_out)
    if windows is not None:
        names = [group.name for group in windows.groups]
        parts.append(_shares("Effects of past and static covariates", names, windows.gains, windows.error))
        left_out |= windows.left_out
    lines = [
        f"{shown(name, 80)} was left out: its gain on held-out folds ({100 * gain:+.2f}{PERCENT} of the squared error) "
        "did not earn it a place"
        for name, gain in left_out.items()
    ]
    if effects.own is not None:
        lines.append("each series has effects of its own around the common ones")
    return joined(parts, bullets(lines[:MOST_ROWS]))


def _shares(title: str, kept: list[str], gains: Mapping[str, float], error: float) -> Markup | None:
    if not kept:
        return paragraph(f"{title}: none lowers the error on held-out folds by enough, so none has an effect.")
    total = sum(max(gains.get(name, 0.0), 0.0) for name in kept) or 1.0
    rows = [
        [shown(name, 80), f"{100 * (1 / max(1 - gains.get(name, 0.0), 1e-9) - 1):+.1f}{PERCENT}",
         percent(max(gains.get(name, 0.0), 0.0) / total, 0)]
        for name in sorted(kept, key=lambda one: -gains.get(one, 0.0))[:MOST_ROWS]
    ]  # fmt: skip
    return joined(
        paragraph(f"Together they lower the squared error on held-out folds by {percent(1 - error)}."),
        table(title, ["Covariate", "Error without it", "Share of what they explain"], rows),
    )
