"""Options of the texts that `annoseq redact` reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.options import (
    KeepColumns,
    PatientOptions,
    TextColumn,
    TextDelimiter,
    TextEncoding,
    TextFormatOption,
    at_least,
    columns_to_keep,
    inherit_text_column,
)
from annoseq.config import DOCUMENT_COLUMN, SOURCE_COLUMN, ColumnsConfig
from annoseq.data.text_inputs import is_text_input
from annoseq.deid.document_source import DocumentSource
from annoseq.deid.leak_check import GoldIdentifiers
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.deid.run_output import OutputLayout
from annoseq.errors import OptionError
from annoseq.scale.redact_part import RedactJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import BatchConfig
    from annoseq.data.table_rows import TableHeader
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.pipeline import AnnotateFunction
    from annoseq.deid.redaction import RedactionDocument
    from annoseq.deid.redactor import Redactor
    from annoseq.errors import AnnoseqError
    from annoseq.inference.predictor import Target


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TextTableOptions:
    """Options of the texts that `annoseq redact` reads."""

    column: TextColumn = None
    document: Annotated[
        str | None,
        Parameter(help=f"Column of a row's document; by default {DOCUMENT_COLUMN} if there."),
    ] = None
    patients: PatientOptions = PatientOptions()
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

    def inherit_column(self, model: ColumnsConfig) -> TextTableOptions:
        """Return the same options with the text column of a model's training table.

        Raises:
            OptionError: another option names that column, and what it names is written as it is.
        """
        options = replace(self, column=inherit_text_column(self.column, model))
        options._check_text_column()
        return options

    def _check_text_column(self) -> None:
        named = {
            "--document": [self.document],
            "--patient": [self.patients.patient],
            "--keep-columns": self.keep_columns or (),
        }
        for option, columns in named.items():
            if self.text_column in columns:
                raise OptionError(
                    f"{option} {self.text_column}: this is the column that is redacted. "
                    + ("Leave it off." if option == "--keep-columns" else "Name another.")
                )

    @property
    def has_patients(self) -> bool:
        """True if the patient of each document is told."""
        return self.patients != PatientOptions()

    def plan(self) -> dict[str, Any]:
        """Return what decides the texts that are read: a run is resumed only under the same."""
        return {
            "column": self.column,
            "document": self.document,
            "patient": self.patients.patient,
            "patient_from": self.patients.patient_from,
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
        header: TableHeader,
        *,
        text_columns: frozenset[str],
    ) -> Iterator[RedactionDocument]:
        """Read the documents, and fill in the header of their table.

        With `--skip-bad`, `on_bad` takes the errors of what is left out. `text_columns` are not
        kept.
        """
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
            patient=self.patients.rule(),
            header=header,
            text_columns=text_columns,
        ).read()

    def redact_job(
        self,
        redactor: Redactor,
        patterns: Sequence[CustomPattern],
        batching: BatchConfig,
        target: Target | None,
        *,
        bom: bool,
    ) -> RedactJob:
        """Return the options of redacting parts."""
        document = self.document or DOCUMENT_COLUMN
        keep = columns_to_keep(self.keep_columns, always=(document,))
        return RedactJob(
            redactor,
            patterns,
            self.text_column,
            document,
            self.document,
            self.chunk_size,
            batching,
            target,
            keep=None if keep is None else tuple(keep),
            delimiter=self.delimiter,
            encoding=self.encoding,
            bom=bom,
            patient=self.patients.rule(),
        )

    def layout(self, texts: Path) -> OutputLayout:
        """Return the layout of the output.

        Raises:
            OptionError: an option of tables was given with texts, options contradict each other,
                or a name is taken.
        """
        is_text = is_text_input(texts, self.input_format)
        self.check_table(is_text=is_text)
        return OutputLayout.of(
            texts,
            is_text=is_text,
            column=self.text_column,
            document=self.document or DOCUMENT_COLUMN,
            format_=self.input_format,
        )

    def check_table(self, *, is_text: bool) -> None:
        """Raise `OptionError` if options contradict each other or what is read."""
        self.patients.rule()
        given = {
            "--column": self.column,
            "--document": self.document,
            "--patient": self.patients.patient,
            "--keep-columns": self.keep_columns,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
        }
        for name, value in given.items():
            if is_text and value is not None:
                raise OptionError(
                    f"{name} belongs to a table, and the input is text. Leave it off."
                )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class GoldOptions:
    """Options of the gold that a redaction is compared with."""

    gold: Annotated[
        Path | None,
        Parameter(help="What people marked (table of pairs, annotated .txt), to count leaks."),
    ] = None
    gold_column: Annotated[
        str | None,
        Parameter(
            help="Column of the annotated texts of a gold table; by default the one that the model "
            "was trained on. Its texts are in --column."
        ),
    ] = None
    lost_words: Annotated[
        int,
        Parameter(
            help="List so many of the words that were replaced in no identifier of the gold, the "
            "most frequent first, in report.json, which then holds words of the texts.",
            validator=at_least(0),
        ),
    ] = 0

    def check(self, *, has_report: bool) -> None:
        """Raise `OptionError` if an option has no gold to work on, or no file to write to."""
        for name, value in (("--gold-column", self.gold_column), ("--lost-words", self.lost_words)):
            if value and self.gold is None:
                raise OptionError(f"{name} is about the gold, and there is none. Give --gold too.")
        if self.lost_words and not has_report:
            raise OptionError(
                "--lost-words lists words of the texts in report.json, and a pipe has none. Write "
                "to a folder with --out."
            )

    def load(
        self,
        source: TextTableOptions,
        model: ColumnsConfig,
        *,
        on_bad: Callable[[AnnoseqError], None],
    ) -> GoldIdentifiers | None:
        """Read the gold, if there is any, from the columns of the model's training table.

        With `--skip-bad`, `on_bad` takes the errors of rows that cannot be read.
        """
        if self.gold is None:
            return None
        columns = {
            "source": source.column or model.source,
            "target": self.gold_column or model.target,
            "document": source.document or model.document,
            "offset": model.offset,
        }
        return GoldIdentifiers.load(
            self.gold,
            columns=ColumnsConfig.model_validate(columns),
            on_bad=on_bad if source.skip_bad else None,
        )

    def plan(self) -> dict[str, Any]:
        """Return what decides the counts: a run is resumed only under the same."""
        return {
            "gold": self.gold and str(self.gold),
            "gold_column": self.gold_column,
            "lost_words": self.lost_words,
        }

    def pipeline(
        self, annotate: AnnotateFunction, redactor: Redactor, patterns: Sequence[CustomPattern]
    ) -> RedactionPipeline:
        """Return the pipeline of a redaction that is compared with the gold, if there is any."""
        return RedactionPipeline(
            annotate,
            redactor,
            patterns,
            has_gold=self.gold is not None,
            counts_words=self.lost_words > 0,
        )
