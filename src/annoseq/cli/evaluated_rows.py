"""Rows that `annoseq evaluate` scores: all, but of the training table the held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from annoseq.cli.loading import inherit_columns, read_table
from annoseq.cli.options import Columns, Normalize, SkipBad, TableFormatOption
from annoseq.cli.output import print_note, print_unusable_rows
from annoseq.cli.scoring_options import Seen, read_seen_texts
from annoseq.config import ColumnsConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import fingerprint_pairs
from annoseq.data.splits import split_rows
from annoseq.errors import OptionError
from annoseq.evaluation.references import SeenTexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import Task
    from annoseq.data.examples import Example
    from annoseq.data.pairs import Pairs
    from annoseq.models.serialization import ModelConfig

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
        pairs, columns, input_format=options.input_format, requires_keys=requires_keys
    )
    normalize = options.normalize or config.data.normalize
    examples = _parse(table, task=config.task, skip_bad=options.skip_bad, normalize=normalize)
    is_training_table = table.fingerprint() == config.fingerprint
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
        f"scoring {len(selected.examples):,} of {len(table):,} rows of {table.name}: {description}"
    )
    return selected
