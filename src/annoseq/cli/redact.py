"""`annoseq redact`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import Parameter
from rich.console import Console

from annoseq._version import __version__
from annoseq.atomic_io import check_writable, check_folder_writable, atomic_file, atomic_folder
from annoseq.cli.options import Batching, Device, ModelVectorsPath, ModelPath, Overwrite, at_least
from annoseq.cli.output import is_terminal, print_result
from annoseq.cli.scoring_options import TargetRecall, wanted_of
from annoseq.config import DOCUMENT_COLUMN, SOURCE_COLUMN, BatchConfig, DeviceConfig
from annoseq.data.streams import is_standard_input
from annoseq.data.text_inputs import InputFormat, count_texts, is_text_input
from annoseq.deid.custom_patterns import load_patterns
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.leak_check import GoldIdentifiers, LeakCounts
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.pipeline import AnnotateFunction, RedactionPipeline, read_documents
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
    from collections.abc import Callable, Sequence

    from annoseq.inference.annotation import Annotation


def _check_share(_: object, number: float) -> None:
    if not 0 <= number <= 1:
        raise ValueError("Give a number from 0 to 1.")


def redact(
    model: ModelPath,
    texts: Annotated[
        Path,
        Parameter(
            help="Folder of .txt files, .txt file, table of texts, or - for a pipe.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    out: Annotated[
        Path,
        Parameter(help="Folder to write: the texts as they came, annotations.jsonl, report.json."),
    ],
    style: Annotated[
        RedactionStyle,
        Parameter(
            name="--with",
            help="label ([NAME:DOCTOR]), mask (same length), or surrogate (made up, same kind).",
        ),
    ] = "label",
    locale: Annotated[
        str, Parameter(help="Where surrogates come from, such as en_US, es_ES, de_DE.")
    ] = "en_US",
    key: Annotated[
        Path | None, Parameter(help="File of the secret; without it, one is drawn and forgotten.")
    ] = None,
    consistent: Annotated[
        bool,
        Parameter(help="Same value, same surrogate in all documents, by --key.", negative=""),
    ] = False,
    table: Annotated[
        Path | None, Parameter(help="TOML file: which kind of thing each label stands for.")
    ] = None,
    also: Annotated[
        Path | None, Parameter(help="TOML file of regular expressions to look for as well.")
    ] = None,
    min_score: Annotated[
        float, Parameter(help="Leave alone what the model is less sure of.", validator=_check_share)
    ] = 0.0,
    target_recall: TargetRecall = None,
    propagate: Annotated[
        bool, Parameter(help="Find everywhere in a document what was found once.")
    ] = True,
    gold: Annotated[
        Path | None,
        Parameter(help="What people marked (table of pairs, annotated .txt), to count leaks."),
    ] = None,
    mapping: Annotated[
        Path | None,
        Parameter(help="File to write what was replaced with what; it undoes the redaction."),
    ] = None,
    column: Annotated[
        str | None, Parameter(help=f"Column of the texts of a table; by default {SOURCE_COLUMN}.")
    ] = None,
    document: Annotated[
        str | None,
        Parameter(help=f"Column of a row's document; by default {DOCUMENT_COLUMN} if there."),
    ] = None,
    input_format: Annotated[
        InputFormat | None,
        Parameter(help="What the input is, where its name does not tell; a pipe is one text."),
    ] = None,
    chunk_size: Annotated[
        int, Parameter(help="Texts held in memory at once.", validator=at_least(1))
    ] = 1_000,
    overwrite: Overwrite = False,
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Replace what a model finds in texts, and write them de-identified."""
    is_text = is_text_input(texts, input_format)
    if is_text and (column is not None or document is not None):
        name = "--column" if column is not None else "--document"
        raise OptionError(f"{name} belongs to a table, and the input is text. Leave it off.")
    if target_recall is not None and min_score:
        raise OptionError(
            "--min-score leaves alone what --target-recall asks to find. Leave one of them off."
        )
    _keep_apart(out, mapping, (model, texts, key, table, also, gold, vectors))
    check_folder_writable(out, overwrite=overwrite)
    if mapping:
        check_writable(mapping, overwrite=overwrite)
    column = column or SOURCE_COLUMN
    layout = OutputLayout.of(
        texts,
        is_text=is_text,
        column=column,
        document=document or DOCUMENT_COLUMN,
        format_=input_format,
    )
    kinds = PhiTypeTable.load(table)
    patterns = load_patterns(also) if also else []
    kinds.check_labels(pattern.label for pattern in patterns)
    secret = KeyedRng.load(key, consistent=consistent)
    maker = SurrogateGenerator(LocaleFaker(locale), secret) if style == "surrogate" else None
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing. Give a model that "
            "annotates."
        )
    kinds.check_labels(annotator.model.tokenizer.labels)
    wanted_of(annotator, target_recall)
    run = RedactionPipeline(
        _annotate(annotator, batching, target_recall),
        Redactor(kinds, style, maker, min_score=min_score, propagates=propagate),
        patterns,
        GoldIdentifiers.load(gold) if gold else None,
        RedactionReport(leaks=LeakCounts() if gold else None),
    )
    total = count_texts(texts, column=column, format_=input_format) if is_terminal() else None
    waiting = read_documents(texts, column=column, document=document, format_=input_format)
    with (
        _private(mapping, overwrite=overwrite) as pairs,
        atomic_folder(out, overwrite=overwrite) as new,
        progress_bar("redacting", total=total) as advance,
    ):
        done = run.redact(waiting, chunk_size=chunk_size, is_table=not is_text, advance=advance)
        write_redacted(new, layout, done, mapping=pairs)
        report = run.report.to_dict(has_surrogates=maker is not None)
        write_json(new / REPORT_FILE, report)
        settings = {
            "annoseq": __version__,
            "model": annotator.model.config.files[WEIGHTS_FILE][:12],
            "with": style,
            "min_score": min_score,
            "target_recall": target_recall,
            "propagate": propagate,
            "locale": locale if maker else None,
            "consistent": consistent,
        }
        write_json(new / CONFIG_FILE, settings)
    print_report(report, Console(width=None if is_terminal() else 120))
    print_result(f"wrote {out}")


def _annotate(annotator: Annotator, batching: BatchConfig, target_recall: float | None) -> AnnotateFunction:
    def annotate(
        texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        return annotator.annotate(
            texts, batching=batching, target_recall=target_recall, first=first, advance=advance
        )

    return annotate


def _keep_apart(out: Path, mapping: Path | None, given: Sequence[Path | None]) -> None:
    """Raise where the output would replace what is read, or carry the mapping along.

    Raises:
        OptionError: two paths of the command lie in each other.
    """
    here = out.resolve()
    for path in given:
        if path is None or is_standard_input(path):
            continue
        there = path.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise OptionError(
                f"--out {out} and {path}, which is read, lie in each other. Name a folder apart."
            )
        if mapping and mapping.resolve() in {there, *there.parents}:
            raise OptionError(f"--mapping {mapping} is read by this command. Choose another name.")
    if mapping and (mapping.resolve() == here or mapping.resolve().is_relative_to(here)):
        raise OptionError(
            f"--mapping {mapping} is inside --out {out}, and it undoes the redaction. Keep it "
            "elsewhere."
        )


@contextmanager
def _private(path: Path | None, *, overwrite: bool) -> Iterator[TextIO | None]:
    """Open a new file that only its owner may read, or nothing."""
    if path is None:
        yield None
        return
    with atomic_file(path, overwrite=overwrite) as new:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
