"""``swt-time import`` and ``info``: checkpoints from elsewhere, and what a checkpoint or this machine holds."""

import json
from pathlib import Path
from typing import Annotated

import typer


def import_(
    state_dict: Annotated[
        Path, typer.Argument(metavar="STATE_DICT", help="What torch.save(model.state_dict()) wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    backbone: Annotated[str, typer.Option(help="Language model it was trained with: minilm, a folder, or a hub id.")],
    embedding: Annotated[str, typer.Option(help="patch (Time-LLM) or wavelet (SWT-Time).")] = "patch",
    wavelet: Annotated[str, typer.Option(help="Of the wavelet embedding.")] = "db4",
    level: Annotated[int, typer.Option(help="Of the wavelet embedding.")] = 3,
    context: Annotated[int, typer.Option(help="Steps the model sees (seq_len).")] = 512,
    horizon: Annotated[int, typer.Option(help="Steps to forecast (pred_len).")] = 96,
    patch_len: Annotated[int, typer.Option(help="Steps in a patch.")] = 16,
    stride: Annotated[int, typer.Option(help="Steps between patches.")] = 8,
    d_model: Annotated[int, typer.Option(help="Width of a patch token.")] = 32,
    d_ff: Annotated[int, typer.Option(help="Width of each reprogramming head.")] = 128,
    n_heads: Annotated[int, typer.Option(help="Reprogramming heads.")] = 8,
    layers: Annotated[
        int | None, typer.Option(help="Layers of the backbone that were kept (llm_layers); else all.")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What its prompts say of the data.  [default: the originals' ETT sentence]")
    ] = None,
    prototypes: Annotated[str, typer.Option(help="mapping, or free: equal forecasts, many fewer weights.")] = "mapping",
    precision: Annotated[str, typer.Option(help="Of the frozen model: auto, float32 or bfloat16.")] = "float32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint in --out.")] = False,
) -> None:
    """Make a checkpoint of a Time-LLM or SWT-Time state dict; give the sizes it was trained with."""
    from swt_time.checkpoint import check_output_folder, write_checkpoint
    from swt_time.compat import ETT_DESCRIPTION, import_checkpoint, time_llm_config
    from swt_time.locking import locked
    from swt_time.provenance import package_versions, source_commit

    check_output_folder(out, overwrite)
    config = time_llm_config(
        backbone=backbone,
        embedding=embedding,
        wavelet=wavelet,
        level=level,
        context=context,
        horizon=horizon,
        patch_len=patch_len,
        stride=stride,
        d_model=d_model,
        d_ff=d_ff,
        n_heads=n_heads,
        layers=layers,
        description=ETT_DESCRIPTION if description is None else description,
        prototypes=prototypes,
        precision=precision,
    )
    checkpoint = import_checkpoint(state_dict, config, {"versions": package_versions(), "commit": source_commit()})
    with locked(out):
        write_checkpoint(out, checkpoint)
    weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
    typer.echo(f"imported {weights:,} trained weights of {state_dict}")
    typer.echo(f"model: {out}")


def info(
    model: Annotated[Path | None, typer.Option("--model", help="Describe a checkpoint folder.")] = None,
) -> None:
    """Show versions, devices and backbones, or what a checkpoint holds."""
    from swt_time.forecaster import machine_facts
    from swt_time.presets import preset_names
    from swt_time.provenance import package_versions, source_commit

    if model is not None:
        from swt_time.checkpoint import read_checkpoint

        checkpoint = read_checkpoint(model)
        weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
        typer.echo(f"trained weights: {weights:,}")
        on = checkpoint.trained_on
        table = f"{len(on.ids)} series ({on.layout} table), frequency {on.frequency}"
        typer.echo(f"trained on: {'an unknown table (imported weights)' if on.layout == 'unknown' else table}")
        typer.echo(json.dumps({"config": checkpoint.config.model_dump(), **checkpoint.provenance}, indent=2))
        return
    for name, number in package_versions().items():
        typer.echo(f"{name:14} {number}")
    typer.echo(f"{'source commit':14} {source_commit() or 'installed package'}")
    for name, value in machine_facts().items():
        typer.echo(f"{name:14} {value}")
    for name, purpose in preset_names().items():
        typer.echo(f"{'preset ' + name:14} {purpose}")
