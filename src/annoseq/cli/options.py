"""Options that several commands share, most of them sections of `config`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PosixPath
from shlex import quote
from typing import Annotated, Self

from cyclopts import Parameter, Token

from annoseq.cli.output import print_note
from annoseq.cli.resource_options import ResourceOptions
from annoseq.config import (
    SOURCE_COLUMN,
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    DeviceConfig,
    NetworkConfig,
    SearchConfig,
    TrainingConfig,
)
from annoseq.data.filesystems import is_remote
from annoseq.data.patients import PatientRule
from annoseq.data.table_rows import TableFormat, display_column
from annoseq.data.text_inputs import InputFormat
from annoseq.errors import OptionError, option_name


def at_least(minimum: int) -> Callable[[object, int | None], None]:
    """Return a cyclopts validator of a number's minimum; None is a number that was not given."""

    def check(_: object, number: int | None) -> None:
        if number is not None and number < minimum:
            raise ValueError(f"Give a number of at least {minimum}.")

    return check


_IMAGE_SUFFIXES = (".png", ".svg", ".pdf")


def _check_image_suffix(_: object, path: Path | None) -> None:
    if path and path.suffix.lower() not in _IMAGE_SUFFIXES:
        raise ValueError(f"Use a name that ends in one of {', '.join(_IMAGE_SUFFIXES)}.")


class RemotePath(PosixPath):
    """Address with a scheme, such as `s3://bucket/notes`, of which a path would lose a slash."""

    address: str

    def __new__(cls, address: str) -> Self:  # noqa: D102
        path = super().__new__(cls, address)
        path.address = address
        return path


def to_path(_: object, tokens: Sequence[Token]) -> Path:
    """Convert a word of the command line to a path, or to a remote one."""
    word = tokens[0].value
    return RemotePath(word) if is_remote(word) else Path(word)


def address_of(path: Path) -> str:
    """Return the address of a path, as it was given."""
    return path.address if isinstance(path, RemotePath) else str(path)


Columns = Annotated[ColumnsConfig, Parameter(name="*", group="Table")]
Data = Annotated[DataConfig, Parameter(name="*", group="Data")]
Network = Annotated[NetworkConfig, Parameter(name="*", group="Network")]
Training = Annotated[TrainingConfig, Parameter(name="*", group="Training")]
Batching = Annotated[BatchConfig, Parameter(name="*", group="Batches")]
Search = Annotated[SearchConfig, Parameter(name="*", group="Search")]
Device = Annotated[DeviceConfig, Parameter(name="*", group="Device")]

TableFormatOption = Annotated[
    TableFormat | None,
    Parameter(
        name="--input-format",
        help="Format of the table, where its name does not tell.",
        group="Table",
    ),
]
PairsPath = Annotated[
    Path,
    Parameter(
        help="Table of pairs (.csv, .tsv, .jsonl, .parquet, also .gz; .xlsx), or - for input."
    ),
]
DataPath = Annotated[
    Path,
    Parameter(help="Table of pairs, or a folder that `annoseq prepare` wrote."),
]
ModelPath = Annotated[Path, Parameter(help="Folder that `annoseq train` wrote.")]
ValidPath = Annotated[
    Path | None, Parameter(help="Table of validation pairs, instead of a split.", group="Data")
]
ModelVectorsPath = Annotated[
    Path | None,
    Parameter(
        help="Word vectors that the tagger was trained with, if they are no longer where they were."
    ),
]
SkipBad = Annotated[
    bool,
    Parameter(
        help="Leave out the rows that cannot be used, and count them.", negative="", group="Data"
    ),
]
Normalize = Annotated[
    bool,
    Parameter(help=DataConfig.model_fields["normalize"].description, negative="", group="Data"),
]
Plot = Annotated[
    Path | None,
    Parameter(
        help="Picture of the curves to write (.png, .svg, .pdf).", validator=_check_image_suffix
    ),
]
Overwrite = Annotated[bool, Parameter(help="Replace what is there already.", negative="")]
TextsPath = Annotated[
    Path,
    Parameter(
        help="Table of texts, .txt file, folder of .txt files, or - for a pipe; or a folder of "
        "tables, a pattern in quotes, an address such as s3://bucket/notes.",
        allow_leading_hyphen=True,
        converter=to_path,
    ),
]
TextColumn = Annotated[
    str | None, Parameter(help=f"Column of the texts of a table; by default {SOURCE_COLUMN}.")
]
TextDelimiter = Annotated[
    str | None, Parameter(help=ColumnsConfig.model_fields["delimiter"].description)
]
TextEncoding = Annotated[
    str | None, Parameter(help=ColumnsConfig.model_fields["encoding"].description)
]
TextFormatOption = Annotated[
    InputFormat | None,
    Parameter(
        name="--input-format",
        help="What the input is, where its name does not tell; a pipe is one text.",
    ),
]
KeepColumns = Annotated[
    list[str] | None,
    Parameter(
        help="Other columns of a table that the output gets as they are: those named, or all "
        "without a name.",
        negative="",
        consume_multiple=True,
    ),
]
Workers = Annotated[
    int,
    Parameter(
        help="Processes that share the work on one input, each with a model and a thread of its "
        "own. The output is the same for any number.",
        validator=at_least(1),
    ),
]
Lossy = Annotated[
    bool, Parameter(help="Leave out what the format cannot hold, and count it.", negative="")
]

ByteOrderMark = Annotated[
    bool,
    Parameter(
        name="--bom",
        help="Begin CSV with a byte order mark, by which Excel knows that it is UTF-8.",
        negative="",
    ),
]


def inherit_text_column(given: str | None, model: ColumnsConfig) -> str | None:
    """Return the source column of a model's training table, unless a column was given.

    It is printed as a note, unless it is the default.
    """
    if given is not None or model.source == SOURCE_COLUMN:
        return given
    print_note(
        f"column: {display_column(model.source)}, as the model was trained (--column names another)"
    )
    return model.source


def columns_to_keep(names: list[str] | None, *, always: Sequence[str]) -> list[str] | None:
    """Return the columns of `--keep-columns` but those that are `always` there; None for all."""
    if names is None:
        return []
    return [name for name in names if name not in always] if names else None


@Parameter(name="*", group="Table")
@dataclass(frozen=True, slots=True, kw_only=True)
class PatientOptions:
    """Options that tell the patient of a row."""

    patient: Annotated[str | None, Parameter(help="Column of the patient of a row.")] = None
    patient_from: Annotated[
        str | None,
        Parameter(
            help="Regular expression that finds the patient in the id of a document: its group "
            "`patient`, or its first group, or all that it matches.",
            allow_leading_hyphen=True,
        ),
    ] = None

    def rule(self) -> PatientRule | None:
        """Return the rule of the option that is given.

        Raises:
            OptionError: both are given, or the expression is none.
        """
        return PatientRule.of(column=self.patient, pattern=self.patient_from)


_SPLIT_OPTIONS = frozenset({"valid_share", "split_by", "split_seed"})


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOptions:
    """Options of preparing a table of pairs: columns, split, tokens and vocabularies."""

    valid: ValidPath = None
    skip_bad: SkipBad = False
    input_format: TableFormatOption = None
    columns: Columns = ColumnsConfig()
    data: Data = DataConfig()

    def same_rows(self) -> str:
        """Return the options that make a command read and keep the same rows, each after a space.

        With --valid there is no split.
        """
        given = {"valid": self.valid, "input_format": self.input_format}
        names = {"task"} if self.valid is not None else {"task", *_SPLIT_OPTIONS}
        given |= self.data.model_dump(include=names, exclude_unset=True)
        flags = {"skip_bad": self.skip_bad, "normalize": self.data.normalize}
        parts = [
            f"{option_name(name)} {quote(str(value))}"
            for name, value in given.items()
            if value is not None
        ]
        parts += [option_name(name) for name, is_set in flags.items() if is_set]
        return "".join(f" {part}" for part in parts) + self.columns.options()

    def check_split(self, *, used: Collection[str] = ()) -> None:
        """Raise `OptionError` if an option of the split, and none that is `used`, is with --valid.

        Commands that split again, such as `annoseq curve`, use all of them.
        """
        given = sorted(self.data.model_fields_set & _SPLIT_OPTIONS - set(used))
        if self.valid is not None and given:
            option = option_name(given[0])
            raise OptionError(
                f"{option} is for a split of the pairs, and with --valid there is none: all of the "
                f"pairs are trained on. Leave {option} or --valid off."
            )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerOptions:
    """Options of the network and its training."""

    network: Network = NetworkConfig()
    resources: ResourceOptions = ResourceOptions()
    training: Training = TrainingConfig()
    batching: Batching = BatchConfig()
    device: Device = DeviceConfig()
