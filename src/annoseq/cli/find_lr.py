"""`annoseq find-lr`."""

from __future__ import annotations

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import print_dataset_summary, print_vectors_summary, load_dataset
from annoseq.cli.options import (
    Batching,
    DataPath,
    Device,
    Lexicon,
    Network,
    Overwrite,
    PatternsPath,
    Plot,
    DatasetOptions,
    Training,
    VectorsPath,
)
from annoseq.cli.output import print_note, print_result
from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TrainingConfig
from annoseq.devices import ComputeDevice
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.torchrun import torchrun_environment
from annoseq.training.learner import Learner


def find_lr(
    pairs: DataPath,
    /,
    *,
    plot: Plot = None,
    overwrite: Overwrite = False,
    dataset_options: DatasetOptions = DatasetOptions(),
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
    ComputeDevice.select(device)  # before the table is read, which may take long
    dataset = load_dataset(pairs, dataset_options)
    learner = Learner(
        dataset,
        model=network,
        training=training,
        batching=batching,
        device=device,
        vectors=vectors,
        lexicon_features=LexiconFeatures(tuple(lexicon), patterns),
    )
    print_dataset_summary(dataset, learner.tokenizer)
    print_vectors_summary(learner.vectors)
    finding = learner.lr_find()
    learner.processes.leave()
    print_result(f"suggested --max-lr {finding.suggestion:.2e}")
    if plot and torchrun_environment().is_main:
        finding.plot(plot, overwrite=overwrite)
        print_note(f"wrote {plot}")
