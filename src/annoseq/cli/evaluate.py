"""`annoseq evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from annoseq._version import __version__
from annoseq.annotator.annotator import Annotator
from annoseq.cli.console import note, say
from annoseq.cli.data import read
from annoseq.cli.options import (
    Batching,
    Columns,
    Device,
    InputFormat,
    ModelPath,
    Overwrite,
    PairsPath,
    SkipBad,
    at_least,
)
from annoseq.config import BatchConfig, ColumnsConfig, DeviceConfig
from annoseq.errors import OptionError
from annoseq.evaluation.predictions import predict
from annoseq.evaluation.spans import SpanScore, score_spans
from annoseq.files import rehearse, replacing
from annoseq.pairs.alignment import align_pairs, find_unusable
from annoseq.pairs.pairs import fingerprint
from annoseq.pairs.split import split_rows
from annoseq.pairs.tables import table_format
from annoseq.text.part import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import Task
    from annoseq.models.folder import ModelConfig
    from annoseq.pairs.pair import Pair
    from annoseq.pairs.pairs import Pairs

PartName = Literal["auto", "all", "valid", "train"]


def evaluate(
    model: ModelPath,
    pairs: PairsPath,
    /,
    *,
    json_path: Annotated[
        Path | None, Parameter(name="--json", help="Scores to write as JSON.")
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="Table of predictions to write (.csv, .tsv, .jsonl, .parquet).")
    ] = None,
    show: Annotated[
        int, Parameter(help="Predictions to show beside their targets.", validator=at_least(0))
    ] = 0,
    part: Annotated[
        PartName,
        Parameter(
            help="Rows to score. auto: all, but of the table that the model was trained on only "
            "the rows kept for validation."
        ),
    ] = "auto",
    skip_bad: SkipBad = False,
    overwrite: Overwrite = False,
    input_format: InputFormat = None,
    columns: Columns = ColumnsConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Let a model write for every row, and annotate it, and compare with the targets."""
    for path in (json_path, out):
        if path:
            rehearse(path, overwrite=overwrite)
    if out:
        table_format(out)  # known, or an error
    annotator = Annotator.load(model, device=device)
    trained = annotator.model
    table = read(pairs, columns, input_format=input_format)
    part, chosen = _choose(table, trained.config, part=part, skip_bad=skip_bad)
    predictions = predict(
        trained.network,
        Part.encode(chosen, trained.codec),
        trained.codec,
        compute=annotator.compute,
        batching=batching,
    )
    if show:
        predictions.show(show)
    scores = predictions.accuracy.values()
    decoding = dict.fromkeys(scores, "greedy, free")
    if not annotator.is_translator:
        spans = _score_spans(annotator, chosen, batching).values()
        decoding |= dict.fromkeys(spans, "greedy, faithful")
        scores |= spans
    for name, value in scores.items():
        say(f"{name:16} {value:.4f}")
    say(f"{'rows':16} {len(predictions)}")
    if json_path:
        record = {
            **scores,
            "rows": len(predictions),
            "part": part,
            "decoding": decoding,
            "signature": f"batch {batching.batch_size}|annoseq {__version__}",
        }
        with replacing(json_path, overwrite=overwrite) as new:
            new.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if out:
        predictions.write(out, overwrite=overwrite)


def _score_spans(annotator: Annotator, pairs: Sequence[Pair], batching: BatchConfig) -> SpanScore:
    """Annotate by choosing among tags only, and compare the spans with those of the targets."""
    found = annotator.annotate([pair.source for pair in pairs], batching=batching)
    return sum(
        (
            score_spans(one.spans or (), gold)
            for one, gold in zip(found, align_pairs(pairs), strict=True)
        ),
        SpanScore(),
    )


def _usable(table: Pairs, *, task: Task, skip_bad: bool) -> Sequence[Pair]:
    """Leave out the rows that cannot be used, or raise if there are any."""
    if task == "translate":
        return table
    if not skip_bad:
        align_pairs(table, name=table.name)
        return table
    bad = find_unusable(table)
    if bad:
        note(f"{len(bad):,} rows cannot be used and were left out (--skip-bad)")
    return [pair for pair in table if pair.row not in bad]


def _choose(
    table: Pairs, config: ModelConfig, *, part: PartName, skip_bad: bool
) -> tuple[PartName, Sequence[Pair]]:
    """Pick the rows to score, and say so where they are not all.

    Raises:
        OptionError: the table does not have that part.
        PairsError: rows cannot be used.
    """
    usable = _usable(table, task=config.task, skip_bad=skip_bad)
    is_training_table = table.fingerprint() == config.fingerprint
    if part == "all" or (part == "auto" and not is_training_table):
        return "all", usable
    if not is_training_table:
        raise OptionError(
            f"--part {part}: {table.name} is not the table that the model was trained on. "
            "Leave --part off to score all of its rows."
        )
    data = config.data
    rows = split_rows(usable, share=data.valid_share, by=data.split_by, seed=data.split_seed)
    train, valid = ([usable[row] for row in part_rows] for part_rows in rows)
    if fingerprint(valid) != config.valid_fingerprint:
        raise OptionError(
            f"{table.name} is the table that the model was trained on, and its validation rows "
            "are of another. Give that one, or score rows that it has seen with --part all."
        )
    kept = train if part == "train" else valid
    note(
        f"scoring {len(kept):,} of {len(table):,} rows of {table.name}: "
        + ("those the model was trained on" if part == "train" else "those kept for validation")
    )
    return ("train" if part == "train" else "valid"), kept
