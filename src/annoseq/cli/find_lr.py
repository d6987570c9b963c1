"""`annoseq find-lr`."""

from __future__ import annotations

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import load_dataset, make_learner
from annoseq.cli.options import DataPath, DatasetOptions, LearnerOptions, Overwrite, Plot
from annoseq.cli.output import print_note, print_result
from annoseq.devices import ComputeDevice
from annoseq.torchrun import torchrun_environment


def find_lr(
    pairs: DataPath,
    /,
    *,
    plot: Plot = None,
    overwrite: Overwrite = False,
    dataset_options: DatasetOptions = DatasetOptions(),
    learner_options: LearnerOptions = LearnerOptions(),
) -> None:
    """Run the range test and print the suggestion."""
    if plot and torchrun_environment().is_main:
        check_writable(plot, overwrite=overwrite)
    ComputeDevice.select(learner_options.device)  # before the table is read, which may take long
    learner = make_learner(load_dataset(pairs, dataset_options), learner_options)
    result = learner.lr_find()
    learner.processes.leave()
    print_result(f"suggested --max-lr {result.suggestion:.2e}")
    if plot and torchrun_environment().is_main:
        result.plot(plot, overwrite=overwrite)
        print_note(f"wrote {plot}")
