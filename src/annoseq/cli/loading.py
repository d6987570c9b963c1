"""Loading of tables and datasets by the options of a command, and of the rows to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from annoseq.cli.options import Columns, Normalize, PatientOptions, SkipBad, TableFormatOption
from annoseq.cli.output import print_note, print_unusable_rows
from annoseq.cli.scoring_options import Seen, read_seen_texts
from annoseq.config import ColumnsConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pairs, fingerprint_pairs, stream_pairs
from annoseq.data.splits import split_rows
from annoseq.data.streams import is_standard_input, source_name
from annoseq.data.table_rows import display_column
from annoseq.errors import OptionError, count_noun, option_name
from annoseq.evaluation.references import SeenTexts
from annoseq.output_lock import restore_interrupted
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from annoseq.cli.options import DatasetOptions, LearnerOptions
    from annoseq.config import DataConfig, NetworkConfig, Task
    from annoseq.data.examples import Example
    from annoseq.data.pairs import Pairs
    from annoseq.data.patients import PatientRule
    from annoseq.data.table_rows import TableFormat
    from annoseq.models.model_config import ModelConfig
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.seq2seq_tokenizer import EncodedExamples
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
    from annoseq.training.distillation import Distillation
    from annoseq.training.learner import Learner


def read_table(
    path: Path,
    columns: ColumnsConfig,
    *,
    input_format: TableFormat | None = None,
    requires_keys: bool = True,
    patients: PatientRule | None = None,
) -> Pairs:
    """Read a table of pairs; without `requires_keys`, its keys may be absent, though named.

    `patients` tells the patient of each row.
    """
    pairs = stream_pairs(
        path, columns, format=input_format, requires_keys=requires_keys, patients=patients
    )
    return Pairs(pairs, name=source_name(path), columns=columns)


def inherit_columns(given: ColumnsConfig, model: ColumnsConfig) -> ColumnsConfig:
    """Return the columns of a model's training table, but for those given as options.

    Delimiter and encoding are those of a file and are not taken over. The source and the target
    that are taken over are printed as a note, unless they are the defaults.
    """
    own = {"delimiter": None, "encoding": None} | given.model_dump(exclude_unset=True)
    columns = model.model_copy(update=own)
    default = ColumnsConfig()
    inherited = [
        f"{display_column(getattr(model, name))} as the {name}"
        for name in ("source", "target")
        if getattr(model, name) != getattr(default, name) and name not in given.model_fields_set
    ]
    if inherited:
        print_note(
            f"columns: {' and '.join(inherited)}, as the model was trained "
            "(--source and --target name others)"
        )
    return columns


VOCABULARY_OPTIONS = frozenset({"tokens", "max_vocab", "bpe_vocab", "min_frequency"})
"""Options that have no meaning for a tagger."""


def load_dataset(
    path: Path, options: DatasetOptions, *, tokenizer: Seq2SeqTokenizer | None = None
) -> Dataset:
    """Load prepared data, or prepare a table of pairs.

    Raises:
        OptionError: an option of preparation was given with prepared data, or both tables are
            standard input.
    """
    # Imported here because it imports torch, which commands that read tables do without.
    from annoseq.tokenization.dataset import Dataset

    restore_interrupted(path)
    if path.is_dir():
        _check_no_preparation(path, options)
        return Dataset.load(path)
    if options.valid is not None and is_standard_input(options.valid) and is_standard_input(path):
        raise OptionError(
            "standard input cannot be read twice. Give a file of pairs, or of --valid."
        )
    valid = None if options.valid is None else read_table(options.valid, options.columns)
    return Dataset.from_pairs(
        read_table(path, options.columns, input_format=options.input_format),
        valid=valid,
        config=options.data,
        tokenizer=tokenizer,
        skip_bad=options.skip_bad,
    )


def make_learner(
    dataset: Dataset,
    options: LearnerOptions,
    *,
    base: TrainedModel | None = None,
    distillation: Distillation | None = None,
) -> Learner:
    """Make a learner, whose weights are those of `base` if there is one, and print its sizes."""
    from annoseq.training.learner import Learner

    resources = options.resources.parse()
    learner = Learner(
        dataset,
        base=base,
        model=options.network,
        training=options.training,
        batching=options.batching,
        device=options.device,
        vectors=resources.vectors if base is None else None,
        encoder=resources.encoder,
        language_model=resources.language_model,
        lexicon_features=resources.lexicon_features,
        distillation=distillation,
    )
    print_dataset_summary(dataset, learner.tokenizer)
    if learner.vectors is not None:
        print_note(f"vectors: {learner.vectors.summary()}")
    if learner.encoder is not None:
        print_note(f"encoder: {learner.encoder.summary()}")
    if learner.language_model is not None:
        print_note(f"language model: {learner.language_model.summary()}")
    if learner.lessons is not None:
        print_note(f"teachers: {learner.lessons.summary()}")
    return learner


def check_vocabulary_options(data: DataConfig, networks: Iterable[NetworkConfig]) -> None:
    """Check that no option about vocabularies was given if no network has a vocabulary.

    Raises:
        OptionError: such an option was given.
    """
    names = sorted(data.model_fields_set & VOCABULARY_OPTIONS)
    if names and all(network.model == "tagger" for network in networks):
        option = option_name(names[0])
        raise OptionError(
            f"{option} is for sequence-to-sequence models; this one is a tagger and has no "
            f"vocabulary. Leave {option} off, or name another model with --model."
        )


def _check_no_preparation(path: Path, options: DatasetOptions) -> None:
    names = {*options.columns.model_fields_set, *options.data.model_fields_set}
    names |= {name for name in ("valid", "input_format", "skip_bad") if getattr(options, name)}
    if names:
        option = option_name(min(names))
        raise OptionError(
            f"{path} is prepared data, for which {option} was decided by `annoseq prepare`. "
            f"Leave {option} off, or prepare the data again."
        )


def print_dataset_summary(
    dataset: Dataset, tokenizer: Seq2SeqTokenizer | TaggerTokenizer | None = None
) -> None:
    """Print a dataset's task and sizes, counts of skipped rows and widened spans, and warnings.

    Those of vocabularies and labels need a `tokenizer`.
    """
    from annoseq.check.checks import dataset_warnings

    rows = f"{len(dataset.train):,} training and {count_noun(len(dataset.valid), 'validation row')}"
    facts = [f"{dataset.task}: {rows}"]
    if isinstance(tokenizer, Seq2SeqTokenizer):
        facts.append(
            f"vocabularies of {len(tokenizer.source):,} and "
            f"{count_noun(len(tokenizer.target), 'token')}"
        )
    if tokenizer is not None and dataset.task == "annotate":
        count = len(tokenizer.labels)
        facts.append(count_noun(count, "label"))
    print_note("; ".join(facts))
    if dataset.skipped:
        print_unusable_rows(len(dataset.skipped))
    if dataset.blank_rows:
        were = "was" if dataset.blank_rows == 1 else "were"
        print_note(f"{count_noun(dataset.blank_rows, 'blank row')} {were} left out")
    for warning in dataset_warnings(dataset.train, dataset.valid, task=dataset.task):
        print_note(f"warning: {warning}")
    if tokenizer is not None and (losses := _describe_losses(dataset, tokenizer)):
        print_note(f"{losses}; `annoseq check` lists them")


def _describe_losses(dataset: Dataset, tokenizer: Seq2SeqTokenizer | TaggerTokenizer) -> str:
    """Describe the spans that are widened or left out, without those kinds of which is none."""
    counts: tuple[EncodedExamples | TaggerTokenizer, ...]
    if isinstance(tokenizer, Seq2SeqTokenizer):
        counts = (dataset.encoded_train, dataset.encoded_valid)
    else:
        counts = (tokenizer,)
    dropped, blank = sum(one.dropped for one in counts), sum(one.blank for one in counts)
    losses = []
    if widened := sum(one.misaligned for one in counts) - dropped - blank:
        losses.append(f"{count_noun(widened, 'span')} widened to whole tokens")
    if blank:
        were = "was" if blank == 1 else "were"
        losses.append(f"{count_noun(blank, 'span')} of white space alone {were} left out")
    if dropped:
        were = "was" if dropped == 1 else "were"
        losses.append(
            f"{count_noun(dropped, 'span')} {were} left out, as the span before has the token"
        )
    *others, last = losses or [""]
    return f"{', '.join(others)} and {last}" if others else last


PartName = Literal["auto", "all", "valid", "train"]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowOptions:
    """Options of the rows that are scored."""

    part: Annotated[
        PartName,
        Parameter(
            help="Rows to score. auto: all, but of the table that the model was trained on only "
            "the rows kept for validation."
        ),
    ] = "auto"
    seen: Seen = None
    skip_bad: SkipBad = False
    normalize: Normalize = False
    input_format: TableFormatOption = None
    columns: Columns = ColumnsConfig()
    patients: PatientOptions = PatientOptions()


@dataclass(frozen=True)
class SelectedRows:
    """Examples to score, their part of the table, and the texts that were trained on, if known."""

    part: PartName
    examples: Sequence[Example]
    seen: SeenTexts | None = None


def _parse(table: Pairs, *, task: Task, skip_bad: bool, normalize: bool) -> Sequence[Example]:
    """Parse a table, without the rows that cannot be used, or raise if there are any."""
    parsed = parse_pairs(table, task=task, name=table.name, skip_bad=skip_bad, normalize=normalize)
    if parsed.errors:
        print_unusable_rows(len(parsed.errors))
    return parsed.examples


def select_rows(pairs: Path, config: ModelConfig, options: RowOptions) -> SelectedRows:
    """Read a table and select the rows to score; print a note if they are not all.

    Columns that are not named are those that the model was trained on.

    Raises:
        OptionError: the table does not have that part.
        PairsError: rows cannot be used.
    """
    part = options.part
    columns = inherit_columns(options.columns, config.columns)
    seen = read_seen_texts(options.seen, columns) if options.seen else None
    requires_keys = not options.columns.model_fields_set.isdisjoint({"document", "offset"})
    table = read_table(
        pairs,
        columns,
        input_format=options.input_format,
        requires_keys=requires_keys,
        patients=options.patients.rule(),
    )
    normalize = options.normalize or config.data.normalize
    examples = _parse(table, task=config.task, skip_bad=options.skip_bad, normalize=normalize)
    fingerprint = table.fingerprint()
    is_training_table = fingerprint == config.fingerprint
    if fingerprint in config.base_fingerprints:
        print_note(
            f"warning: {table.name} is a table that the model was trained on before it went on "
            "with another (--go-on-from), so that scores on it flatter"
        )
    if part == "all" or (part == "auto" and not is_training_table):
        return SelectedRows("all", examples, seen)
    if not is_training_table:
        raise OptionError(
            f"--part {part}: {table.name} is not the table that the model was trained on. "
            "Leave --part off to score all of its rows."
        )
    data = config.data
    rows = split_rows(examples, share=data.valid_share, by=data.split_by, seed=data.split_seed)
    train, valid = ([examples[row] for row in part_rows] for part_rows in rows)
    if fingerprint_pairs(valid) != config.valid_fingerprint:
        raise OptionError(
            f"{table.name} is the table that the model was trained on, and its validation rows "
            "are of another. Give that one, or score rows that it has seen with --part all."
        )
    if part == "train":
        selected = SelectedRows("train", train, seen)
        description = "those the model was trained on"
    else:
        seen = seen or SeenTexts(example.source for example in train)
        selected = SelectedRows("valid", valid, seen)
        description = "those kept for validation"
    print_note(
        f"scoring {len(selected.examples):,} of {count_noun(len(table), 'row')} "
        f"of {table.name}: {description}"
    )
    return selected
