"""``swt-time import`` and ``info``: checkpoints of other systems, and the facts of a checkpoint or this machine."""

from pathlib import Path
from typing import Annotated

import typer

from swt_time.cli.options import OUTPUT, option
from swt_time.cli.outputs import backbone_folder, check_outputs, write_json
from swt_time.errors import BackboneError

SIZES = "Sizes it was trained with"
"""A panel of the help."""


def import_(
    state_dict: Annotated[
        Path, typer.Argument(metavar="STATE_DICT", help="What torch.save(model.state_dict()) wrote.")
    ],
    out: Annotated[Path, option("--out", help="Checkpoint folder to write.")],
    backbone: Annotated[
        str, option("--backbone", help="Language model it was trained with: minilm, a folder, or a hub id.")
    ],
    embedding: Annotated[
        str, option("--embedding", help="patch (Time-LLM) or wavelet (SWT-Time).", panel=SIZES)
    ] = "patch",
    wavelet: Annotated[str, option("--wavelet", help="Of the wavelet embedding.", panel=SIZES)] = "db4",
    level: Annotated[int, option("--level", help="Of the wavelet embedding.", panel=SIZES)] = 3,
    context: Annotated[int, option("--context", help="Steps the model sees (seq_len).", panel=SIZES)] = 512,
    horizon: Annotated[int, option("--horizon", help="Steps to forecast (pred_len).", panel=SIZES)] = 96,
    patch_len: Annotated[int, option("--patch-len", help="Steps in a patch.", panel=SIZES)] = 16,
    stride: Annotated[int, option("--stride", help="Steps between patches.", panel=SIZES)] = 8,
    d_model: Annotated[int, option("--d-model", help="Width of a patch token.", panel=SIZES)] = 32,
    d_ff: Annotated[int, option("--d-ff", help="Width of each reprogramming head.", panel=SIZES)] = 128,
    n_heads: Annotated[int, option("--n-heads", help="Reprogramming heads.", panel=SIZES)] = 8,
    layers: Annotated[
        int | None,
        option("--layers", help="Layers of the backbone that were kept (llm_layers); all by default.", panel=SIZES),
    ] = None,
    description: Annotated[
        str | None,
        option("--description", help="What its prompts say of the data.  [default: the originals' ETT sentence]"),
    ] = None,
    prototypes: Annotated[
        str, option("--prototypes", help="mapping, or free: equal forecasts, many fewer weights.")
    ] = "mapping",
    precision: Annotated[
        str, option("--precision", help="Of the frozen model: auto, float32 or bfloat16.")
    ] = "float32",
    overwrite: Annotated[bool, option("--overwrite", help="Replace the checkpoint in --out.", panel=OUTPUT)] = False,
) -> None:
    """Convert a Time-LLM or SWT-Time state dict to a checkpoint; give the sizes it was trained with."""
    from swt_time.checkpoints import check_output_folder, locked, write_checkpoint
    from swt_time.checkpoints.originals import ETT_DESCRIPTION, import_checkpoint, time_llm_config
    from swt_time.provenance import package_versions, source_commit

    config = time_llm_config(
        {
            "backbone.name": backbone,
            "backbone.layers": layers,
            "backbone.precision": precision,
            "data.context": context,
            "data.horizon": horizon,
            "data.description": ETT_DESCRIPTION if description is None else description,
            "embedding.kind": embedding,
            "embedding.wavelet": wavelet,
            "embedding.level": level,
            "embedding.patch_len": patch_len,
            "embedding.stride": stride,
            "embedding.d_model": d_model,
            "model.d_ff": d_ff,
            "model.n_heads": n_heads,
            "model.prototypes": prototypes,
        }
    )
    check_outputs({"--out": out}, {"STATE_DICT": state_dict, "--backbone": backbone_folder(config)})
    check_output_folder(out, overwrite)
    checkpoint = import_checkpoint(state_dict, config, {"versions": package_versions(), "commit": source_commit()})
    with locked(out):
        write_checkpoint(out, checkpoint)
    weights = sum(weight.size for weight in checkpoint.weights.values())
    typer.echo(f"imported {weights:,} trained weights of {state_dict}")
    typer.echo(f"model: {out}")


def info(
    model: Annotated[
        Path | None, option("--model", help="Checkpoint folder to describe, or owner/name of the hub.")
    ] = None,
) -> None:
    """Show versions, device, backbone and presets, or the contents of a checkpoint."""
    from swt_time.config import preset_names
    from swt_time.provenance import package_versions, source_commit

    if model is not None:
        from swt_time.checkpoints import effects_of, read_checkpoint
        from swt_time.checkpoints.branch_record import describe_branch
        from swt_time.checkpoints.tuned import describe_tuning
        from swt_time.evaluation.trained import describe_intervals
        from swt_time.hub import find_checkpoint
        from swt_time.language.families import FAMILIES, describe_reading

        checkpoint = read_checkpoint(find_checkpoint(model.as_posix()))
        weights = sum(weight.size for weight in checkpoint.trained_weights.values())
        typer.echo(f"trained weights: {weights:,}")
        on = checkpoint.trained_on
        table = f"{len(on.ids)} series ({on.layout} table), frequency {on.frequency}"
        typer.echo(f"trained on: {'an unknown table (imported weights)' if on.layout == 'unknown' else table}")
        for line in (describe_tuning(checkpoint), describe_branch(checkpoint.provenance)):
            if line is not None:
                typer.echo(line)
        family = checkpoint.backbone.family if checkpoint.backbone is not None else None
        if family in FAMILIES and checkpoint.config.prompt.template != "none":
            typer.echo(describe_reading(family, checkpoint.config.backbone.prompt_attention))
        typer.echo(describe_intervals(checkpoint.provenance))
        effects = effects_of(checkpoint)
        for line in effects.lines() if effects is not None else []:
            typer.echo(line)
        typer.echo(write_json({"config": checkpoint.config.model_dump(), **checkpoint.provenance}, indent=2))
        return
    for name, number in package_versions().items():
        typer.echo(f"{name:14} {number}")
    typer.echo(f"{'source commit':14} {source_commit() or 'installed package'}")
    for name, value in machine_facts().items():
        typer.echo(f"{name:14} {value}")
    for name, purpose in preset_names().items():
        typer.echo(f"{'preset ' + name:14} {purpose}")


def machine_facts() -> dict[str, str]:
    """Device, precision of the frozen model, number of threads, location of MiniLM, and families of backbones."""
    import torch

    from swt_time.language import find_backbone
    from swt_time.language.families import FAMILIES
    from swt_time.language.loading import resolve_precision
    from swt_time.machine import resolve_device

    try:
        minilm = str(find_backbone("minilm"))
    except BackboneError as error:
        minilm = f"not available: {error}"
    return {
        "device": str(resolve_device("auto")),
        "precision": str(resolve_precision("auto")).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
        "minilm": minilm,
        "families": ", ".join(FAMILIES),
    }
