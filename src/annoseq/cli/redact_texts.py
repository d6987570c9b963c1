"""Options of the texts that `annoseq redact` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.options import (
    KeepColumns,
    TextColumn,
    TextDelimiter,
    TextEncoding,
    TextFormatOption,
    at_least,
    columns_to_keep,
)
from annoseq.config import DOCUMENT_COLUMN, SOURCE_COLUMN
from annoseq.data.text_inputs import is_text_input
from annoseq.deid.pipeline import DocumentSource
from annoseq.deid.run_output import OutputLayout
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from annoseq.deid.leak_check import GoldIdentifiers
    from annoseq.deid.redaction import RedactionDocument
    from annoseq.errors import AnnoseqError


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
