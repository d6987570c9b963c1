"""Options of `annoseq redact`: replacements, texts, and output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.atomic_io import check_folder_writable, check_writable
from annoseq.cli.options import (
    ByteOrderMark,
    KeepColumns,
    Overwrite,
    TextColumn,
    TextDelimiter,
    TextEncoding,
    TextFormatOption,
    at_least,
    columns_to_keep,
    fingerprint_file,
)
from annoseq.config import DOCUMENT_COLUMN, SOURCE_COLUMN
from annoseq.data.streams import is_standard_input
from annoseq.data.tables import table_format
from annoseq.data.text_inputs import is_text_input
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.pipeline import DocumentSource
from annoseq.deid.redaction import RedactionStyle
from annoseq.deid.redactor import Redactor, load_patterns
from annoseq.deid.run_output import OutputLayout
from annoseq.deid.surrogates import SurrogateGenerator
from annoseq.errors import OptionError, TableError
from annoseq.inference.resumable_output import check_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.deid.leak_check import GoldIdentifiers
    from annoseq.deid.redaction import RedactionDocument
    from annoseq.deid.redactor import CustomPattern
    from annoseq.errors import AnnoseqError


_FILE_ONLY = {"parquet": "a Parquet table", "xlsx": "an Excel workbook"}
"""Table formats that cannot be written to a stream."""


def _check_fraction(_: object, number: float) -> None:
    if not 0 <= number <= 1:
        raise ValueError("Give a number from 0 to 1.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOptions:
    """Options of replacements, and of what is replaced."""

    style: Annotated[
        RedactionStyle,
        Parameter(
            name="--with",
            help="label ([NAME:DOCTOR]), mask (same length), or surrogate (made up, same kind).",
        ),
    ] = "label"
    locale: Annotated[
        str, Parameter(help="Where surrogates come from, such as en_US, es_ES, de_DE.")
    ] = "en_US"
    key: Annotated[
        Path | None, Parameter(help="File of the secret; without it, one is drawn and forgotten.")
    ] = None
    consistent: Annotated[
        bool,
        Parameter(help="Same value, same surrogate in all documents, by --key.", negative=""),
    ] = False
    phi_types: Annotated[
        Path | None, Parameter(help="TOML file: which type of PHI each label stands for.")
    ] = None
    patterns: Annotated[
        Path | None, Parameter(help="TOML file of regular expressions to look for as well.")
    ] = None
    min_score: Annotated[
        float,
        Parameter(help="Leave alone what the model is less sure of.", validator=_check_fraction),
    ] = 0.0
    propagate: Annotated[
        bool, Parameter(help="Find everywhere in a document what was found once.")
    ] = True

    def load(self) -> tuple[Redactor, list[CustomPattern]]:
        """Read the table of PHI types, the key and the patterns, and load the locale.

        Raises:
            OptionError: a file cannot be read or is invalid, or the locale is unknown.
        """
        table = PhiTypeTable.load(self.phi_types)
        rng = KeyedRng.load(self.key, consistent=self.consistent)
        surrogates = None
        if self.style == "surrogate":
            surrogates = SurrogateGenerator(LocaleFaker(self.locale), rng)
        patterns = load_patterns(self.patterns) if self.patterns else []
        table.check_labels(pattern.label for pattern in patterns)
        redactor = Redactor(
            table, self.style, surrogates, min_score=self.min_score, propagates=self.propagate
        )
        return redactor, patterns

    @property
    def has_forgotten_key(self) -> bool:
        """True if the surrogates follow from a secret that is in no file."""
        return self.style == "surrogate" and self.key is None

    def plan(self, redactor: Redactor) -> dict[str, Any]:
        """Return what decides the replacements: a run is resumed only under the same plan."""
        rng = redactor.surrogates.rng if redactor.surrogates else None
        return {
            **self.settings(),
            "key": f"{rng.seed('', 'fingerprint') % 2**64:016x}" if rng else None,
            "phi_types": fingerprint_file(self.phi_types),
            "patterns": fingerprint_file(self.patterns),
        }

    def settings(self) -> dict[str, Any]:
        """Return what the run's `config.json` says of the replacements."""
        return {
            "with": self.style,
            "min_score": self.min_score,
            "propagate": self.propagate,
            "locale": self.locale if self.style == "surrogate" else None,
            "consistent": self.consistent,
        }


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TextTableOptions:
    """Options of the texts that `annoseq redact` reads."""

    column: TextColumn = None
    document: Annotated[
        str | None,
        Parameter(help=f"Column of a row's document; by default {DOCUMENT_COLUMN} if there."),
    ] = None
    input_format: TextFormatOption = None
    delimiter: TextDelimiter = None
    encoding: TextEncoding = None
    skip_bad: Annotated[
        bool,
        Parameter(
            help="Leave out rows and files that cannot be read or have no gold, and count them.",
            negative="",
        ),
    ] = False
    keep_columns: KeepColumns = None
    chunk_size: Annotated[
        int, Parameter(help="Texts held in memory and written at once.", validator=at_least(1))
    ] = 1_000

    @property
    def text_column(self) -> str:
        """Column of the texts of a table."""
        return self.column or SOURCE_COLUMN

    def plan(self) -> dict[str, Any]:
        """Return what decides the texts that are read: a run is resumed only under the same."""
        return {
            "column": self.column,
            "document": self.document,
            "input_format": self.input_format,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "keep_columns": self.keep_columns and list(self.keep_columns),
            "skip_bad": self.skip_bad,
            "chunk_size": self.chunk_size,
        }

    def documents(
        self,
        texts: Path,
        gold: GoldIdentifiers | None,
        on_bad: Callable[[AnnoseqError], None],
    ) -> Iterator[RedactionDocument]:
        """Read the documents; with `--skip-bad`, `on_bad` takes the errors of what is left out."""
        return DocumentSource(
            texts,
            self.text_column,
            self.document,
            self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            keep=columns_to_keep(self.keep_columns, always=(self.document or DOCUMENT_COLUMN,)),
            gold=gold,
            on_bad=on_bad if self.skip_bad else None,
        ).read()

    def layout(self, texts: Path) -> OutputLayout:
        """Return the layout of the output.

        Raises:
            OptionError: an option of tables was given with texts, or a name is taken.
        """
        is_text = is_text_input(texts, self.input_format)
        given = {
            "--column": self.column,
            "--document": self.document,
            "--keep-columns": self.keep_columns,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
        }
        for name, value in given.items():
            if is_text and value is not None:
                raise OptionError(
                    f"{name} belongs to a table, and the input is text. Leave it off."
                )
        if self.text_column in (self.keep_columns or ()):
            raise OptionError(
                f"--keep-columns {self.text_column}: this is the column that is redacted. "
                "Leave it off."
            )
        return OutputLayout.of(
            texts,
            is_text=is_text,
            column=self.text_column,
            document=self.document or DOCUMENT_COLUMN,
            format_=self.input_format,
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOutputOptions:
    """Options of the output of `annoseq redact`."""

    out: Annotated[
        Path,
        Parameter(
            help="Folder to write: the texts as they came, annotations.jsonl, report.json; or - "
            "for the redacted text or table alone on standard output.",
            allow_leading_hyphen=True,
        ),
    ]
    mapping: Annotated[
        Path | None,
        Parameter(help="File to write what was replaced with what; it undoes the redaction."),
    ] = None
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted run of --out.", negative="")
    ] = False
    bom: ByteOrderMark = False
    overwrite: Overwrite = False

    @property
    def is_stream(self) -> bool:
        """True if the output is standard output."""
        return str(self.out) == "-"

    def check(
        self, layout: OutputLayout, redaction: RedactionOptions, inputs: Sequence[Path | None]
    ) -> None:
        """Check before the work that the output can be written and replaces no input.

        Raises:
            OptionError: options contradict each other, or a path contains another.
            OutputError: the output exists and may not be overwritten, or cannot be written.
        """
        if self.bom:
            layout.check_bom()
        if self.is_stream:
            self._check_stream(layout)
        if self.resume and redaction.has_forgotten_key:
            raise OptionError(
                "--resume needs the secret of the interrupted run, which is forgotten unless it "
                "is in a file. Give --key FILE, or start again with --overwrite instead of "
                "--resume."
            )
        _check_apart(None if self.is_stream else self.out, self.mapping, inputs)
        if self.resume:
            check_unfinished(self.out)
        if not self.is_stream:
            check_folder_writable(self.out, overwrite=self.overwrite)
            _check_folder_name(self.out)
        if self.mapping:
            check_writable(self.mapping, overwrite=self.overwrite)

    def _check_stream(self, layout: OutputLayout) -> None:
        if self.resume:
            raise OptionError(
                "--resume goes on with the interrupted run of a folder, and --out - is a stream. "
                "Leave --resume off."
            )
        if layout.name is None:
            raise OptionError(
                "--out - is one stream, and the input is a folder of texts. Name a folder with "
                "--out."
            )
        if layout.column is not None and layout.table_format in _FILE_ONLY:
            raise OptionError(
                f"--out - is a stream, and {_FILE_ONLY[layout.table_format]} is a file. Name a "
                "folder with --out."
            )


def _check_folder_name(out: Path) -> None:
    """Check that an output folder is not named as a table.

    Raises:
        OptionError: its suffix is that of a table.
    """
    try:
        table_format(out)
    except TableError:
        return
    raise OptionError(
        f"--out {out} is the name of a table, and this command writes a folder: the redacted table "
        "has the name and the format of the input. Name a folder."
    )


def _check_apart(out: Path | None, mapping: Path | None, inputs: Sequence[Path | None]) -> None:
    """Check that the output neither replaces an input nor contains the mapping.

    Raises:
        OptionError: one path of the command contains another.
    """
    folder = out.resolve() if out else None
    for path in inputs:
        if path is None or is_standard_input(path):
            continue
        resolved = path.resolve()
        if folder and (folder.is_relative_to(resolved) or resolved.is_relative_to(folder)):
            raise OptionError(
                f"--out {out} and {path}, which is read, lie in each other. Name a folder apart."
            )
        if mapping and mapping.resolve() in {resolved, *resolved.parents}:
            raise OptionError(f"--mapping {mapping} is read by this command. Choose another name.")
    if mapping and folder and mapping.resolve().is_relative_to(folder):
        raise OptionError(
            f"--mapping {mapping} is inside --out {out}, and it undoes the redaction. Keep it "
            "elsewhere."
        )
