"""`annoseq evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from annoseq._version import __version__
from annoseq.annotator import Annotator
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
)
from annoseq.config import BatchConfig, ColumnsConfig, DeviceConfig
from annoseq.evaluation.predictions import predict
from annoseq.files import refuse_existing, replacing
from annoseq.pairs.split import split_rows
from annoseq.text.part import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.folder import ModelConfig
    from annoseq.pairs.pair import Pair
    from annoseq.pairs.pairs import Pairs


def evaluate(
    model: ModelPath,
    pairs: PairsPath,
    /,
    *,
    json_path: Annotated[
        Path | None, Parameter(name="--json", help="Scores to write as JSON.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="Predictions to write (.csv, .jsonl).")] = None,
    show: Annotated[int, Parameter(help="Predictions to show beside their targets.")] = 0,
    part: Annotated[
        Literal["auto", "all", "valid", "train"],
        Parameter(
            help="Rows to score. auto: all, but of the table that the model was trained on only "
            "the rows kept for validation."
        ),
    ] = "auto",
    overwrite: Overwrite = False,
    input_format: InputFormat = None,
    columns: Columns = ColumnsConfig(),
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Let a model write for every row, and compare with the targets."""
    for path in (json_path, out):
        if path:
            refuse_existing(path, overwrite=overwrite)
    annotator = Annotator.load(model, device=device)
    trained = annotator.model
    table = read(pairs, columns, input_format=input_format)
    chosen = _choose(table, trained.config, part)
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
    for name, value in scores.items():
        say(f"{name:16} {value:.4f}")
    say(f"{'rows':16} {len(predictions)}")
    if json_path:
        record = {
            **scores,
            "rows": len(predictions),
            "part": part,
            "signature": f"greedy, free|batch {batching.batch_size}|annoseq {__version__}",
        }
        with replacing(json_path, overwrite=overwrite) as new:
            new.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if out:
        predictions.write(out, overwrite=overwrite)


def _choose(table: Pairs, config: ModelConfig, part: str) -> Sequence[Pair]:
    """Pick the rows to score, and say so where they are not all."""
    is_training_table = table.fingerprint() == config.fingerprint
    if part == "all" or (part == "auto" and not is_training_table):
        return table
    data = config.data
    rows = split_rows(table, share=data.valid_share, by=data.split_by, seed=data.split_seed)
    kept = rows[0] if part == "train" else rows[1]
    note(
        f"scoring {len(kept):,} of {len(table):,} rows of {table.name}: "
        + ("those the model was trained on" if part == "train" else "those kept for validation")
    )
    return [table[row] for row in kept]
