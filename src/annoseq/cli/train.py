"""`annoseq train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable, check_folder_writable
from annoseq.cli.loading import (
    VOCABULARY_OPTIONS,
    print_dataset_summary,
    print_vectors_summary,
    load_dataset,
    check_vocabulary_options,
)
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
from annoseq.config import BatchConfig, DataConfig, DeviceConfig, NetworkConfig, TrainingConfig
from annoseq.data.streams import is_standard_input
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.torchrun import torchrun_environment
from annoseq.training.learner import Learner


def train(
    pairs: DataPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Model folder to write.")],
    go_on_from: Annotated[
        Path | None, Parameter(help="Model folder whose training goes on for more epochs.")
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted training of --out.", negative="")
    ] = False,
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
    """Train a model and save it."""
    if torchrun_environment().is_main:
        check_folder_writable(out, overwrite=overwrite)
        if plot:
            check_writable(plot, overwrite=overwrite)
    ComputeDevice.select(device)  # before the table is read, which may take long
    checkpoint = out.with_name(f"{out.name}.training")
    if checkpoint.exists() and not (resume or overwrite):
        raise OptionError(
            f"{checkpoint} is an interrupted training. Add --resume to go on with it, "
            "or --overwrite to start again."
        )
    if resume and not checkpoint.exists():
        raise OptionError(
            f"there is no interrupted training at {checkpoint}. Leave --resume off to begin one."
        )
    base = None
    if go_on_from is not None:
        _refuse_settled(network, dataset_options.data)
        base = TrainedModel.load(go_on_from, vectors=vectors)
        # The same rows are kept for validation as before, or the model would have seen them.
        dataset_options = replace(dataset_options, data=_as_before(base, dataset_options.data))
    dataset = load_dataset(pairs, dataset_options, tokenizer=_vocabularies(base))
    if base is None:
        check_vocabulary_options(dataset_options.data, [network.resolve_auto(task=dataset.task)])
    learner = Learner(
        dataset,
        base=base,
        model=network,
        training=training,
        batching=batching,
        device=device,
        vectors=vectors if base is None else None,
        lexicon_features=LexiconFeatures(tuple(lexicon), patterns),
    )
    print_dataset_summary(dataset, learner.tokenizer)
    print_vectors_summary(learner.vectors)
    try:
        learner.fit_one_cycle(checkpoint=checkpoint, resume=resume, report=print_result)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted. Add --resume to the same command to go on after epoch {learner.epochs}."
        ) from None
    if torchrun_environment().is_main:
        learner.save(out, overwrite=overwrite)
        checkpoint.unlink()
        if plot:
            learner.recorder.plot(plot, overwrite=overwrite)
    learner.processes.leave()
    speed = learner.recorder.epochs[-1].pairs_per_second
    print_result(
        f"{speed:,.0f} pairs/s, peak memory {learner.compute.peak_memory() / 1e9:.2f} GB "
        f"({_devices(learner)})"
    )
    table = "PAIRS" if pairs.is_dir() or is_standard_input(pairs) else pairs
    columns = dataset_options.columns.options()
    print_note(f"saved {out}; next: annoseq evaluate {out} {table}{columns} --show 10")


def _devices(learner: Learner) -> str:
    count = learner.processes.count
    return f"{learner.compute.device}" + (f", the first of {count} processes" if count > 1 else "")


def _vocabularies(base: TrainedModel | None) -> Seq2SeqTokenizer | None:
    """Return the vocabularies of the model to go on from, if it has any."""
    return base.tokenizer if base is not None and isinstance(base.tokenizer, Seq2SeqTokenizer) else None


def _as_before(base: TrainedModel, data: DataConfig) -> DataConfig:
    return base.config.data.model_copy(update=data.model_dump(exclude_unset=True))


def _refuse_settled(network: NetworkConfig, data: DataConfig) -> None:
    """Raise if an option was given that the model to go on from has settled.

    Raises:
        OptionError: such an option was given.
    """
    settled = data.model_fields_set & {"task", *VOCABULARY_OPTIONS}
    names = [*settled, *network.explicit_options()]
    if names:
        option = "--" + min(names).replace("_", "-")
        raise OptionError(
            f"{option} was settled when the model of --go-on-from was first trained. "
            f"Leave {option} off, or train a new model."
        )
