"""Output of a redaction run: redacted texts, their annotations, and the report of counts."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, get_args

from rich.table import Table as Grid
from rich.text import Text

from annoseq.data.streams import is_standard_input
from annoseq.data.tables import write_rows
from annoseq.deid.redaction import DetectionSource
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from rich.console import Console

    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.leak_check import LeakCounts
    from annoseq.deid.redaction import RedactedText, RedactionDocument, Replacement

ANNOTATIONS_FILE, REPORT_FILE, CONFIG_FILE = "annotations.jsonl", "report.json", "config.json"
_LOWEST_SCORES = 5
"""Number of scores listed for each label, so that people can look at those spans."""


@dataclass
class RedactionReport:
    """Counts over documents. It quotes no text."""

    documents: int = 0
    texts: int = 0
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Replacements by label and detection source."""
    without_surrogate: Counter[str] = field(default_factory=Counter)
    nested_spans: int = 0
    below_min_score: int = 0
    lowest_scores: defaultdict[str, list[tuple[float, str, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Score, text id, start and end, by label."""
    documents_without_spans: list[str] = field(default_factory=list)
    leaks: LeakCounts | None = None

    def add(
        self, document: RedactionDocument, redacted: Sequence[RedactedText], *, min_score: float
    ) -> None:
        """Count a document. Offsets are those of the original texts."""
        self.documents += 1
        self.texts += len(redacted)
        if not any(text.replacements for text in redacted):
            self.documents_without_spans.append(document.id)
        for part, text in zip(document.parts, redacted, strict=True):
            self.nested_spans += text.nested_spans
            self.below_min_score += sum(
                span.score is not None and span.score < min_score for span in part.spans
            )
            for replacement in text.replacements:
                self._add_replacement(part.id, replacement)
        for label, scores in self.lowest_scores.items():
            self.lowest_scores[label] = heapq.nsmallest(_LOWEST_SCORES, scores)

    def _add_replacement(self, text_id: str, replacement: Replacement) -> None:
        span = replacement.span
        self.counts[span.label][span.source] += 1
        self.without_surrogate[span.label] += not replacement.is_surrogate
        if span.score is not None:
            self.lowest_scores[span.label].append((span.score, text_id, span.start, span.end))

    def to_dict(self, *, has_surrogates: bool) -> dict[str, Any]:
        """Return the counts as plain values."""
        values: dict[str, Any] = {
            "documents": self.documents,
            "texts": self.texts,
            "replaced": sum(counts.total() for counts in self.counts.values()),
            "within_others": self.nested_spans,
            "below_min_score": self.below_min_score,
            "labels": {
                label: self._label_values(label, has_surrogates=has_surrogates)
                for label in sorted(self.counts)
            },
            "documents_without_any_span": self.documents_without_spans,
        }
        if self.leaks is not None:
            values["leaks"] = self.leaks.to_dict()
        return values

    def _label_values(self, label: str, *, has_surrogates: bool) -> dict[str, Any]:
        counts = self.counts[label]
        without_surrogate = {"without_surrogate": self.without_surrogate[label]}
        return {
            "replaced": counts.total(),
            **{source: counts[source] for source in get_args(DetectionSource)},
            **(without_surrogate if has_surrogates else {}),
            "lowest_scores": [
                {"score": round(score, 6), "text": text, "start": start, "end": end}
                for score, text, start, end in self.lowest_scores.get(label, ())
            ],
        }


def print_report(values: Mapping[str, Any], console: Console) -> None:
    """Print the values of a report as a table of labels, with a summary below it."""
    has_surrogates = any("without_surrogate" in row for row in values["labels"].values())
    columns = ["replaced", *get_args(DetectionSource)]
    columns += ["without_surrogate"] if has_surrogates else []
    grid = Grid(box=None, pad_edge=False, header_style="")
    grid.add_column("label", overflow="fold")
    for name in (*columns, "lowest score"):
        grid.add_column(name.replace("_", " "), justify="right")
    for label, row in values["labels"].items():
        scores = row["lowest_scores"]
        lowest = f"{scores[0]['score']:.4f}" if scores else ""
        grid.add_row(Text(label), *(f"{row[name]:,}" for name in columns), lowest)
    console.print(grid)
    console.print(Text("\n".join(["", *_summary(values)])), soft_wrap=True)


def _summary(values: Mapping[str, Any]) -> list[str]:
    without_spans = values["documents_without_any_span"]
    lines = [f"replaced {values['replaced']:,} spans in {values['documents']:,} documents"]
    if values["below_min_score"]:
        lines.append(f"left {values['below_min_score']:,} spans below --min-score as they are")
    if without_spans:
        lines.append(
            f"look at {len(without_spans):,} documents without any span (report.json names them)"
        )
    if leaks := values.get("leaks"):
        share, recall = leaks["share_without_a_miss"], leaks["character_recall"]
        lines.append(
            f"against the gold: {_percent(share)} of {leaks['documents']:,} documents without a "
            f"missed identifier, {leaks['missed']:,} of {leaks['identifiers']:,} identifiers "
            f"missed, {_percent(recall)} of their characters replaced"
        )
    return lines


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"


@dataclass(frozen=True)
class OutputLayout:
    """Layout of the redacted texts: a folder of files, a file, or a table with its columns.

    Without a `name`, every text is a file named by its id; without a `column`, there is one file.
    """

    name: str | None
    column: str | None = None
    document: str | None = None
    format: InputFormat | None = None

    @classmethod
    def of(
        cls,
        source: Path,
        *,
        is_text: bool,
        column: str,
        document: str | None,
        format_: InputFormat | None,
    ) -> OutputLayout:
        """Return the layout for an input.

        Raises:
            OptionError: a file of the output would have the name of another.
        """
        if is_text and source.is_dir():
            return cls(None)
        name = source.name
        if is_standard_input(source):
            name = "standard-input.txt" if is_text else f"standard-input.{format_ or 'csv'}"
        if name in {ANNOTATIONS_FILE, REPORT_FILE, CONFIG_FILE}:
            raise OptionError(
                f"{source}: its redacted copy would have the name of {name}, which the run writes. "
                "Rename the input."
            )
        return cls(name) if is_text else cls(name, column, document, format_)


def write_redacted(
    folder: Path,
    layout: OutputLayout,
    documents: Iterable[tuple[RedactionDocument, Sequence[RedactedText]]],
    *,
    mapping: TextIO | None = None,
) -> None:
    """Write redacted texts and their annotations into an empty folder.

    `mapping` receives the original and the replacement of every span, one JSON object a line.
    """
    with (folder / ANNOTATIONS_FILE).open("w", encoding="utf-8", newline="") as annotations:
        recorded = _record(documents, annotations, mapping)
        if layout.column is None:
            _write_files(folder, layout, recorded)
        else:
            _write_table(folder, layout, recorded)


def _write_files(
    folder: Path,
    layout: OutputLayout,
    documents: Iterable[tuple[RedactionDocument, Sequence[RedactedText]]],
) -> None:
    for document, texts in documents:
        path = folder / (layout.name or document.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(texts[0].text.encode())


def _write_table(
    folder: Path,
    layout: OutputLayout,
    documents: Iterator[tuple[RedactionDocument, Sequence[RedactedText]]],
) -> None:
    """Write the text column, and the document column if the table has one; no other column."""
    assert layout.name is not None
    assert layout.column is not None
    first = next(documents, None)
    document_column = layout.document if first and first[0].is_named else None
    rows = (
        [*([document.id if document.is_named else ""] if document_column else []), text.text]
        for document, texts in chain([first] if first else [], documents)
        for text in texts
    )
    columns = [document_column, layout.column] if document_column else [layout.column]
    write_rows(
        rows,
        folder / layout.name,
        columns=dict.fromkeys(columns, str),
        overwrite=False,
        format=None if layout.format == "text" else layout.format,
    )


def _record(
    documents: Iterable[tuple[RedactionDocument, Sequence[RedactedText]]],
    annotations: TextIO,
    mapping: TextIO | None,
) -> Iterator[tuple[RedactionDocument, Sequence[RedactedText]]]:
    """Pass documents on, and write their annotations and mapping on the way."""
    for document, texts in documents:
        for text in texts:
            annotations.write(_json_line(annotation_record(document, text)))
            if mapping is not None:
                for replacement in text.replacements:
                    mapping.write(_json_line(_mapping_record(document, text, replacement)))
        yield document, texts


def annotation_record(document: RedactionDocument, text: RedactedText) -> dict[str, Any]:
    """Return a redacted text with its replacements, as a line of the annotations file."""
    return {
        "id": text.id,
        "document": document.id,
        "text": text.text,
        "spans": [
            {
                "start": replacement.start,
                "end": replacement.end,
                "label": replacement.span.label,
                "text": replacement.text,
                "score": _rounded(replacement.span.score),
                "by": replacement.span.source,
            }
            for replacement in text.replacements
        ],
    }


def _mapping_record(
    document: RedactionDocument, text: RedactedText, replacement: Replacement
) -> dict[str, Any]:
    return {
        "id": text.id,
        "document": document.id,
        "label": replacement.span.label,
        "start": replacement.span.start,
        "end": replacement.span.end,
        "original": replacement.original,
        "replacement": replacement.text,
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _json_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
