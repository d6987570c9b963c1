"""`annoseq find-lr`."""

from __future__ import annotations

from annoseq.cli.console import note, say
from annoseq.cli.data import describe_vectors, open_dataset
from annoseq.cli.options import (
    Batching,
    Columns,
    Data,
    DataPath,
    Device,
    InputFormat,
    Network,
    Overwrite,
    Plot,
    SkipBad,
    Training,
    ValidPath,
    VectorsPath,
)
from annoseq.config import (
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    DeviceConfig,
    NetworkConfig,
    TrainingConfig,
)
from annoseq.devices import Compute
from annoseq.files import rehearse
from annoseq.launch import launched
from annoseq.training.learner import Learner


def find_lr(
    pairs: DataPath,
    /,
    *,
    plot: Plot = None,
    valid: ValidPath = None,
    skip_bad: SkipBad = False,
    overwrite: Overwrite = False,
    input_format: InputFormat = None,
    columns: Columns = ColumnsConfig(),
    data: Data = DataConfig(),
    network: Network = NetworkConfig(),
    vectors: VectorsPath = None,
    training: Training = TrainingConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Run the range test and print the suggestion."""
    if plot and launched().is_main:
        rehearse(plot, overwrite=overwrite)
    Compute.choose(device)  # before the table is read, which may take long
    dataset = open_dataset(
        pairs,
        columns=columns,
        config=data,
        valid=valid,
        input_format=input_format,
        skip_bad=skip_bad,
    )
    learner = Learner(
        dataset,
        model=network,
        training=training,
        batching=batching,
        device=device,
        vectors=vectors,
    )
    describe_vectors(learner.vectors)
    finding = learner.lr_find()
    learner.processes.leave()
    say(f"suggested --max-lr {finding.suggestion:.2e}")
    if plot and launched().is_main:
        finding.plot(plot, overwrite=overwrite)
        note(f"wrote {plot}")
