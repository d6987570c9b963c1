"""`annoseq find-lr`."""

from __future__ import annotations

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import describe, describe_vectors, open_dataset
from annoseq.cli.options import (
    Batching,
    DataPath,
    Device,
    Lexicon,
    Network,
    Overwrite,
    PatternsPath,
    Plot,
    Preparing,
    Training,
    VectorsPath,
)
from annoseq.cli.output import note, say
from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TrainingConfig
from annoseq.devices import Compute
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.torchrun import torchrun_environment
from annoseq.training.learner import Learner


def find_lr(
    pairs: DataPath,
    /,
    *,
    plot: Plot = None,
    overwrite: Overwrite = False,
    preparing: Preparing = Preparing(),
    network: Network = NetworkConfig(),
    vectors: VectorsPath = None,
    lexicon: Lexicon = (),
    patterns: PatternsPath = None,
    training: Training = TrainingConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Run the range test and print the suggestion."""
    if plot and torchrun_environment().is_main:
        check_writable(plot, overwrite=overwrite)
    Compute.choose(device)  # before the table is read, which may take long
    dataset = open_dataset(pairs, preparing)
    learner = Learner(
        dataset,
        model=network,
        training=training,
        batching=batching,
        device=device,
        vectors=vectors,
        lexicon_features=LexiconFeatures(tuple(lexicon), patterns),
    )
    describe(dataset, learner.tokenizer)
    describe_vectors(learner.vectors)
    finding = learner.lr_find()
    learner.processes.leave()
    say(f"suggested --max-lr {finding.suggestion:.2e}")
    if plot and torchrun_environment().is_main:
        finding.plot(plot, overwrite=overwrite)
        note(f"wrote {plot}")
