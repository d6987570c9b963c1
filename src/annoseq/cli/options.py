"""Options that several commands share. What they mean and default to stands in `config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from annoseq.config import (
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    DeviceConfig,
    GruConfig,
    TrainingConfig,
)

Columns = Annotated[ColumnsConfig, Parameter(name="*", group="Table")]
Data = Annotated[DataConfig, Parameter(name="*", group="Data")]
Network = Annotated[GruConfig, Parameter(name="gru", group="Network")]
Training = Annotated[TrainingConfig, Parameter(name="*", group="Training")]
Batching = Annotated[BatchConfig, Parameter(name="*", group="Batches")]
Device = Annotated[DeviceConfig, Parameter(name="*", group="Device")]

InputFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet"] | None,
    Parameter(
        name="--input-format",
        help="Format of the table, where its name does not tell.",
        group="Table",
    ),
]
PairsPath = Annotated[
    Path,
    Parameter(help="Table of pairs (.csv, .tsv, .jsonl, .parquet, also .gz), or - for input."),
]
DataPath = Annotated[
    Path,
    Parameter(help="Table of pairs, or a folder that `annoseq prepare` wrote."),
]
ModelPath = Annotated[Path, Parameter(help="Folder that `annoseq train` wrote.")]
ValidPath = Annotated[
    Path | None, Parameter(help="Table of validation pairs, instead of a split.", group="Data")
]
SkipBad = Annotated[
    bool,
    Parameter(
        help="Leave out the rows that cannot be used, and count them.", negative="", group="Data"
    ),
]
Overwrite = Annotated[bool, Parameter(help="Replace what is there already.", negative="")]
