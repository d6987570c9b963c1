"""Options that several commands share. What they mean and default to stands in `config`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from annoseq.config import (
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    DeviceConfig,
    NetworkConfig,
    SearchConfig,
    TrainingConfig,
)


def at_least(least: int) -> Callable[[object, int], None]:
    """Make a check that a number is not smaller."""

    def check(_: object, number: int) -> None:
        if number < least:
            raise ValueError(f"Give a number of at least {least}.")

    return check


_PICTURES = (".png", ".svg", ".pdf")


def _check_picture(_: object, path: Path | None) -> None:
    if path and path.suffix.lower() not in _PICTURES:
        raise ValueError(f"Use a name that ends in one of {', '.join(_PICTURES)}.")


Columns = Annotated[ColumnsConfig, Parameter(name="*", group="Table")]
Data = Annotated[DataConfig, Parameter(name="*", group="Data")]
Network = Annotated[NetworkConfig, Parameter(name="*", group="Network")]
Training = Annotated[TrainingConfig, Parameter(name="*", group="Training")]
Batching = Annotated[BatchConfig, Parameter(name="*", group="Batches")]
Search = Annotated[SearchConfig, Parameter(name="*", group="Search")]
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
VectorsPath = Annotated[
    Path | None,
    Parameter(
        help="Word vectors (fastText's .bin, .vec, .vec.gz): the tagger reads words by them, in "
        "the other networks the embeddings begin with them.",
        group="Network",
    ),
]
KeptVectors = Annotated[
    Path | None,
    Parameter(
        help="Word vectors that the tagger was trained with, if they are no longer where they were."
    ),
]
Lexicon = Annotated[
    list[Path] | tuple[()],
    Parameter(
        help="List of names, places, drugs, one a line, that the tagger marks in the text; it "
        "learns what a mark is worth. Can be given several times.",
        group="Network",
        negative="",
        consume_multiple=False,
    ),
]
PatternsPath = Annotated[
    Path | None,
    Parameter(
        help="Named regular expressions (TOML) whose matches the tagger marks in the text.",
        group="Network",
    ),
]
SkipBad = Annotated[
    bool,
    Parameter(
        help="Leave out the rows that cannot be used, and count them.", negative="", group="Data"
    ),
]
Plot = Annotated[
    Path | None,
    Parameter(help="Picture of the curves to write (.png, .svg, .pdf).", validator=_check_picture),
]
Overwrite = Annotated[bool, Parameter(help="Replace what is there already.", negative="")]
Lossy = Annotated[
    bool, Parameter(help="Leave out what the format cannot hold, and count it.", negative="")
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """How rows of a table become training and validation rows."""

    valid: ValidPath = None
    skip_bad: SkipBad = False
    input_format: InputFormat = None
    columns: Columns = ColumnsConfig()
    data: Data = DataConfig()
