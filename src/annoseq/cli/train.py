"""`annoseq train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from annoseq.cli.console import note, say
from annoseq.cli.data import open_dataset
from annoseq.cli.options import (
    Batching,
    Columns,
    Data,
    DataPath,
    Device,
    InputFormat,
    Network,
    Overwrite,
    SkipBad,
    Training,
    ValidPath,
)
from annoseq.config import (
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    DeviceConfig,
    GruConfig,
    TrainingConfig,
)
from annoseq.errors import OptionError
from annoseq.files import refuse_existing
from annoseq.models.folder import TrainedModel
from annoseq.training.learner import Learner


def train(
    pairs: DataPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Model folder to write.")],
    model: Annotated[Literal["gru"], Parameter(help="Network to train.")] = "gru",
    go_on_from: Annotated[
        Path | None, Parameter(help="Model folder whose training goes on for more epochs.")
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted training of --out.", negative="")
    ] = False,
    plot: Annotated[Path | None, Parameter(help="Picture of loss and rate to write.")] = None,
    overwrite: Overwrite = False,
    valid: ValidPath = None,
    skip_bad: SkipBad = False,
    input_format: InputFormat = None,
    columns: Columns = ColumnsConfig(),
    data: Data = DataConfig(),
    network: Network = GruConfig(),
    training: Training = TrainingConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Train a model and save it."""
    checkpoint = out.with_name(f"{out.name}.training")
    for path in (out, plot):
        if path:
            refuse_existing(path, overwrite=overwrite)
    if checkpoint.exists() and not (resume or overwrite):
        raise OptionError(
            f"{checkpoint} is an interrupted training. Add --resume to go on with it, "
            "or --overwrite to start again."
        )
    base = None if go_on_from is None else TrainedModel.load(go_on_from)
    dataset = open_dataset(
        pairs,
        columns=columns,
        config=data,
        valid=valid,
        input_format=input_format,
        skip_bad=skip_bad,
        codec=None if base is None else base.codec,
    )
    learner = Learner(
        dataset, base=base, model=network, training=training, batching=batching, device=device
    )
    try:
        learner.fit_one_cycle(checkpoint=checkpoint, resume=resume, report=say)
    except KeyboardInterrupt:
        note(f"interrupted; add --resume to go on after epoch {learner.epochs}")
        raise
    learner.save(out, overwrite=overwrite)
    checkpoint.unlink()
    if plot:
        learner.recorder.plot(plot, overwrite=overwrite)
    speed = learner.recorder.epochs[-1].pairs_per_second
    say(
        f"{speed:,.0f} pairs/s, peak memory {learner.compute.peak_memory() / 1e9:.2f} GB "
        f"({learner.compute.device})"
    )
    note(f"saved {out}; next: annoseq evaluate {out} {pairs} --show 10")
