"""`annoseq redact`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file, atomic_folder, check_folder_writable, check_writable
from annoseq.cli.options import (
    Batching,
    Device,
    ModelPath,
    ModelVectorsPath,
    Overwrite,
    TextColumn,
    TextFormatOption,
    TextsPath,
    at_least,
)
from annoseq.cli.output import is_terminal, print_result
from annoseq.cli.target_recall import TargetRecall, choose_recall_target
from annoseq.config import DOCUMENT_COLUMN, SOURCE_COLUMN, BatchConfig, DeviceConfig
from annoseq.data.streams import is_standard_input
from annoseq.data.text_inputs import count_texts, is_text_input
from annoseq.deid.custom_patterns import load_patterns
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.leak_check import GoldIdentifiers, LeakCounts
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.pipeline import RedactionPipeline, read_documents
from annoseq.deid.redaction import RedactionStyle
from annoseq.deid.redactor import Redactor
from annoseq.deid.run_output import (
    CONFIG_FILE,
    REPORT_FILE,
    OutputLayout,
    RedactionReport,
    print_report,
    write_json,
    write_redacted,
)
from annoseq.deid.surrogates import SurrogateGenerator
from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import WEIGHTS_FILE
from annoseq.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.pipeline import AnnotateFunction
    from annoseq.inference.annotation import Annotation


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

    def check_target(self, target_recall: float | None) -> None:
        """Raise `OptionError` if spans of low scores are both sought and left alone."""
        if target_recall is not None and self.min_score:
            raise OptionError(
                "--min-score leaves alone what --target-recall asks to find. Leave one of them off."
            )

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
    chunk_size: Annotated[
        int, Parameter(help="Texts held in memory at once.", validator=at_least(1))
    ] = 1_000

    @property
    def text_column(self) -> str:
        """Column of the texts of a table."""
        return self.column or SOURCE_COLUMN

    def layout(self, texts: Path) -> OutputLayout:
        """Return the layout of the output.

        Raises:
            OptionError: an option of tables was given with texts, or a name is taken.
        """
        is_text = is_text_input(texts, self.input_format)
        if is_text and (self.column is not None or self.document is not None):
            name = "--column" if self.column is not None else "--document"
            raise OptionError(f"{name} belongs to a table, and the input is text. Leave it off.")
        return OutputLayout.of(
            texts,
            is_text=is_text,
            column=self.text_column,
            document=self.document or DOCUMENT_COLUMN,
            format_=self.input_format,
        )


def redact(
    model: ModelPath,
    texts: TextsPath,
    /,
    *,
    out: Annotated[
        Path,
        Parameter(help="Folder to write: the texts as they came, annotations.jsonl, report.json."),
    ],
    redaction: RedactionOptions = RedactionOptions(),
    target_recall: TargetRecall = None,
    gold: Annotated[
        Path | None,
        Parameter(help="What people marked (table of pairs, annotated .txt), to count leaks."),
    ] = None,
    mapping: Annotated[
        Path | None,
        Parameter(help="File to write what was replaced with what; it undoes the redaction."),
    ] = None,
    source: TextTableOptions = TextTableOptions(),
    overwrite: Overwrite = False,
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Replace what a model finds in texts, and write them de-identified."""
    layout = source.layout(texts)
    redaction.check_target(target_recall)
    inputs = (model, texts, redaction.key, redaction.phi_types, redaction.patterns, gold, vectors)
    _check_apart(out, mapping, inputs)
    check_folder_writable(out, overwrite=overwrite)
    if mapping:
        check_writable(mapping, overwrite=overwrite)
    redactor, patterns = redaction.load()
    annotator = _load_annotator(model, redactor.table, device=device, vectors=vectors)
    choose_recall_target(annotator, target_recall)
    pipeline = RedactionPipeline(
        _annotate_function(annotator, batching, target_recall),
        redactor,
        patterns,
        GoldIdentifiers.load(gold) if gold else None,
        RedactionReport(leaks=LeakCounts() if gold else None),
    )
    with (
        _owner_only_file(mapping, overwrite=overwrite) as pairs,
        atomic_folder(out, overwrite=overwrite) as new,
    ):
        report = _write(pipeline, texts, source, new, layout=layout, mapping=pairs)
        settings = {
            "annoseq": __version__,
            "model": annotator.model.config.files[WEIGHTS_FILE][:12],
            "target_recall": target_recall,
            **redaction.settings(),
        }
        write_json(new / CONFIG_FILE, settings)
    print_report(report, Console(width=None if is_terminal() else 120))
    print_result(f"wrote {out}")


def _load_annotator(
    model: Path, table: PhiTypeTable, *, device: DeviceConfig, vectors: Path | None
) -> Annotator:
    """Load a model that annotates, all of whose labels have a PHI type."""
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing. Give a model that "
            "annotates."
        )
    table.check_labels(annotator.model.tokenizer.labels)
    return annotator


def _annotate_function(
    annotator: Annotator, batching: BatchConfig, target_recall: float | None
) -> AnnotateFunction:
    def annotate(
        texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        return annotator.annotate(
            texts, batching=batching, target_recall=target_recall, first=first, advance=advance
        )

    return annotate


def _write(
    pipeline: RedactionPipeline,
    texts: Path,
    source: TextTableOptions,
    folder: Path,
    *,
    layout: OutputLayout,
    mapping: TextIO | None,
) -> dict[str, Any]:
    """Write redacted texts and the report, which is returned, with a progress bar."""
    column, format_ = source.text_column, source.input_format
    total = count_texts(texts, column=column, format_=format_) if is_terminal() else None
    documents = read_documents(texts, column=column, document=source.document, format_=format_)
    with progress_bar("redacting", total=total) as advance:
        redacted = pipeline.redact(
            documents,
            chunk_size=source.chunk_size,
            is_table=not is_text_input(texts, format_),
            advance=advance,
        )
        write_redacted(folder, layout, redacted, mapping=mapping)
    has_surrogates = pipeline.redactor.surrogates is not None
    report = pipeline.report.to_dict(has_surrogates=has_surrogates)
    write_json(folder / REPORT_FILE, report)
    return report


def _check_apart(out: Path, mapping: Path | None, inputs: Sequence[Path | None]) -> None:
    """Check that the output neither replaces an input nor contains the mapping.

    Raises:
        OptionError: one path of the command contains another.
    """
    folder = out.resolve()
    for path in inputs:
        if path is None or is_standard_input(path):
            continue
        resolved = path.resolve()
        if folder.is_relative_to(resolved) or resolved.is_relative_to(folder):
            raise OptionError(
                f"--out {out} and {path}, which is read, lie in each other. Name a folder apart."
            )
        if mapping and mapping.resolve() in {resolved, *resolved.parents}:
            raise OptionError(f"--mapping {mapping} is read by this command. Choose another name.")
    if mapping and mapping.resolve().is_relative_to(folder):
        raise OptionError(
            f"--mapping {mapping} is inside --out {out}, and it undoes the redaction. Keep it "
            "elsewhere."
        )


@contextmanager
def _owner_only_file(path: Path | None, *, overwrite: bool) -> Iterator[TextIO | None]:
    """Open a new file that only its owner may read, if there is a path."""
    if path is None:
        yield None
        return
    with atomic_file(path, overwrite=overwrite) as new:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
