"""`annoseq certify`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import TypeAdapter, ValidationError

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import RowOptions, select_rows
from annoseq.cli.options import Batching, Device, ModelPath, ModelVectorsPath, Overwrite, PairsPath
from annoseq.cli.output import print_note, print_result
from annoseq.cli.target_options import check_open_fraction
from annoseq.config import BatchConfig, DeviceConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.decoding.coverage_spans import spans_above
from annoseq.deid.document_source import DocumentSource
from annoseq.errors import OptionError, describe_validation_error
from annoseq.evaluation.certificate import (
    Loss,
    RiskBound,
    Unit,
    make_certificate,
    measure_review_load,
    score_units,
)
from annoseq.evaluation.coverage_counter import count_coverage
from annoseq.evaluation.score_file import write_score_file
from annoseq.evaluation.shift import compare_documents, document_figures
from annoseq.inference.annotator import Annotator
from annoseq.progress import progress_bar
from annoseq.reporting.html_page import import_jinja, write_certificate_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.cli.loading import SelectedRows
    from annoseq.data.markup import Span
    from annoseq.evaluation.certificate import Certificate, ReviewLoad
    from annoseq.evaluation.shift import ShiftTest
    from annoseq.inference.annotation import Annotation


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoundOptions:
    """Options of the bound that is certified."""

    missed: Annotated[
        float,
        Parameter(help="Highest mean loss of a unit, such as 0.01.", validator=check_open_fraction),
    ]
    confidence: Annotated[
        float,
        Parameter(
            help="Share of samples in which the bound holds, such as 0.95.",
            validator=check_open_fraction,
        ),
    ] = 0.95
    loss: Annotated[
        Loss,
        Parameter(
            help="Loss of a unit: the share of its identifiers that are missed, or 1 if any is."
        ),
    ] = "share"
    unit: Annotated[
        Unit | None,
        Parameter(help="What is sampled: patients if an option tells them, else documents."),
    ] = None
    weights: Annotated[
        Path | None,
        Parameter(help="TOML file: weights of labels in the share that is missed, by default 1."),
    ] = None

    def bound(self, *, has_patients: bool) -> RiskBound:
        """Return the bound, with the weights of the file; its unit suits the rows.

        Raises:
            OptionError: the file cannot be read or is invalid, or patients are the unit and not
                known.
        """
        if self.unit == "patient" and not has_patients:
            raise OptionError(
                "--unit patient: nothing tells the patient of a row. Name the column with "
                "--patient, or find it in the document's id with --patient-from."
            )
        return RiskBound(
            missed=self.missed,
            confidence=self.confidence,
            unit=self.unit or ("patient" if has_patients else "document"),
            loss=self.loss,
            weights=_read_weights(self.weights) if self.weights else {},
        )


def certify(
    model: ModelPath,
    pairs: PairsPath,
    /,
    *,
    out: Annotated[
        Path, Parameter(help="Certificate to write (.json); a page beside it has its name (.html).")
    ],
    bound_options: BoundOptions,
    new_notes: Annotated[
        Path | None,
        Parameter(
            help="Notes without annotations (table, folder of .txt) that the model is meant for: a "
            "test warns if they differ from those that are certified on."
        ),
    ] = None,
    row_options: RowOptions = RowOptions(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
    overwrite: Overwrite = False,
) -> None:
    """Choose the threshold that bounds what a model misses, and write what that rests on."""
    page = _check_outputs(out, overwrite=overwrite)
    bound = bound_options.bound(has_patients=row_options.patients.rule() is not None)
    annotator = Annotator.load(model, device=device, vectors=vectors)
    rows = select_rows(pairs, annotator.config, row_options)
    notes = _read_notes(new_notes, annotator, row_options) if new_notes else []
    batching = annotator.resolve_batching(batching)
    scored = _score(annotator, [example.source for example in rows.examples], batching)
    parts = [row_parts for _, row_parts in scored]
    certificate = make_certificate(
        score_units(rows.examples, parts, bound),
        count_coverage(rows.examples, parts),
        bound,
        model=annotator.fingerprint,
        data=fingerprint_pairs(rows.examples),
        scope=_scope(rows),
    )
    certificate = certificate.model_copy(
        update={
            "review_load": _review_load(rows, scored, certificate),
            "shift": _compare(annotator, rows, parts, certificate, notes) if new_notes else None,
        }
    )
    write_score_file(certificate, out, overwrite=overwrite)
    write_certificate_page(certificate, page, overwrite=overwrite)
    if certificate.shift and certificate.shift.is_shifted:
        print_note(f"warning: {certificate.shift.statement}")
    for line in _lines(certificate, out, page):
        print_result(line)


def _check_outputs(out: Path, *, overwrite: bool) -> Path:
    """Return the path of the page, after checking that it and the certificate can be written."""
    if out.suffix != ".json":
        raise OptionError(f"--out {out}: a certificate is JSON. Give a name that ends in .json.")
    page = out.with_suffix(".html")
    for path in (out, page):
        check_writable(path, overwrite=overwrite)
    import_jinja(needed_by="annoseq certify")
    return page


def _read_weights(path: Path) -> dict[str, float]:
    expected = "Expected lines such as NAME = 3, with numbers of at least 0."
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        weights = TypeAdapter(dict[str, float]).validate_python(values)
    except ValidationError as error:
        raise OptionError(f"{path}: {describe_validation_error(error)}. {expected}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise OptionError(f"{path}: this is no TOML file that can be read. {expected}") from None
    if not all(0 <= weight < float("inf") for weight in weights.values()):
        raise OptionError(f"{path}: found a weight below 0, or none that is a number. {expected}")
    return weights


def _score(
    annotator: Annotator, texts: Sequence[str], batching: BatchConfig
) -> list[tuple[Annotation, list[Span]]]:
    """Return the annotation of each text, and its parts with their coverage scores."""
    with progress_bar("scoring coverage", total=len(texts)) as advance:
        return annotator.annotate_with_coverage(texts, batching=batching, advance=advance)


def _review_load(
    rows: SelectedRows, scored: Sequence[tuple[Annotation, list[Span]]], certificate: Certificate
) -> ReviewLoad:
    """Measure what is marked at the certified threshold."""
    spans = [
        spans_above(example.source, annotation.spans or (), parts, certificate.threshold)
        for example, (annotation, parts) in zip(rows.examples, scored, strict=True)
    ]
    return measure_review_load(rows.examples, spans, certificate.measured)


def _read_notes(path: Path, annotator: Annotator, options: RowOptions) -> list[list[str]]:
    """Return the texts of each new note; their column is that of the texts of the pairs."""
    model, given = annotator.config.columns, options.columns
    is_given = "source" in given.model_fields_set
    column = given.source if is_given else model.source
    documents = DocumentSource(path, column, given.document).read()
    return [[part.text for part in document.parts] for document in documents]


def _compare(
    annotator: Annotator,
    rows: SelectedRows,
    parts: Sequence[Sequence[Span]],
    certificate: Certificate,
    notes: Sequence[Sequence[str]],
) -> ShiftTest:
    """Compare new notes with the certified documents."""
    certified: dict[str | int, list[tuple[str, Sequence[Span]]]] = {}
    for example, row_parts in zip(rows.examples, parts, strict=True):
        name = example.document or example.row
        certified.setdefault(name, []).append((example.source, row_parts))
    texts = [text for note in notes for text in note]
    scored = iter(_score(annotator, texts, annotator.resolve_batching(None)))
    new = [[(text, next(scored)[1]) for text in note] for note in notes]
    threshold = certificate.threshold
    return compare_documents(
        [document_figures(document, threshold=threshold) for document in certified.values()],
        [document_figures(note, threshold=threshold) for note in new],
    )


def _scope(rows: SelectedRows) -> list[str]:
    """Return what the certificate does not cover."""
    scope = [
        "Texts of another origin, form or time: the bound holds for units that are exchangeable "
        "with those of this table, such as a random sample of the same notes.",
        "Errors of the people who marked these identifiers: what they missed is not counted.",
        "What is done with the marked text: redaction keeps what its policy keeps.",
        "What identifies by its content alone, without an identifier.",
        "A choice among several bounds, confidences or models by these documents: the confidence "
        "is that of a single one, decided on before.",
    ]
    if rows.part == "valid":
        scope.append(
            "These rows chose the epoch of the model. Certify on rows that had no part in training "
            "for a bound without that reservation."
        )
    return scope


def _lines(certificate: Certificate, out: Path, page: Path) -> list[str]:
    measured, unit, shift = certificate.measured, certificate.bound.unit, certificate.shift
    load = certificate.review_load
    compared = [shift.statement] if shift and not shift.is_shifted else []
    return [
        certificate.statement,
        f"certified on {certificate.units:,} {unit}s with {measured.identifiers:,} identifiers: "
        f"p-value {certificate.p_value:.4g}, observed loss {certificate.observed_loss:.4g}",
        f"marks tokens with a coverage score of at least {certificate.threshold:.6f}: "
        f"{measured.other_share:.2%} of other tokens",
        *([load.statement] if load else []),
        *compared,
        f"wrote {out} and {page}; next: annoseq redact MODEL TEXTS --out FOLDER --certificate "
        f"{out}",
    ]
