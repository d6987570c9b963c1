"""Output of a run: redacted texts, their annotations, and the report of counts."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.table import Table as Grid
from rich.text import Text

from annoseq.data.streams import is_standard_input
from annoseq.data.tables import write_rows
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from rich.console import Console

    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.leak_check import Leaks
    from annoseq.deid.redaction import Document, Redacted, Replacement


_LOWEST = 5
"""How many of the lowest scores of each label are listed, to be looked at by people."""


@dataclass
class Report:
    """Counts over documents."""

    documents: int = 0
    texts: int = 0
    by_finder: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    without_surrogate: Counter[str] = field(default_factory=Counter)
    inner: int = 0
    left_alone: int = 0
    lowest: defaultdict[str, list[tuple[float, str, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    without_spans: list[str] = field(default_factory=list)
    leaks: Leaks | None = None

    def add(self, document: Document, redacted: Sequence[Redacted], *, min_score: float) -> None:
        """Count a document. Places are those of the original."""
        self.documents += 1
        self.texts += len(redacted)
        if not any(one.replacements for one in redacted):
            self.without_spans.append(document.id)
        for part, one in zip(document.parts, redacted, strict=True):
            self.inner += one.inner
            self.left_alone += sum(
                find.score is not None and find.score < min_score for find in part.finds
            )
            for change in one.replacements:
                old = change.old
                self.by_finder[old.label][old.by] += 1
                self.without_surrogate[old.label] += not change.is_made_up
                if old.score is not None:
                    self.lowest[old.label].append((old.score, part.id, old.start, old.end))
        for label, scores in self.lowest.items():
            self.lowest[label] = heapq.nsmallest(_LOWEST, scores)

    def to_dict(self, *, has_surrogates: bool) -> dict[str, Any]:
        """Return plain values."""
        labels = {
            label: {
                "replaced": counts.total(),
                **{finder: counts[finder] for finder in ("model", "pattern", "propagated")},
                **({"without_surrogate": self.without_surrogate[label]} if has_surrogates else {}),
                "lowest_scores": [
                    {"score": round(score, 6), "text": text, "start": start, "end": end}
                    for score, text, start, end in self.lowest.get(label, ())
                ],
            }
            for label, counts in sorted(self.by_finder.items())
        }
        found: dict[str, Any] = {
            "documents": self.documents,
            "texts": self.texts,
            "replaced": sum(counts.total() for counts in self.by_finder.values()),
            "within_others": self.inner,
            "below_min_score": self.left_alone,
            "labels": labels,
            "documents_without_any_span": self.without_spans,
        }
        if self.leaks is not None:
            found["leaks"] = self.leaks.to_dict()
        return found


def show(found: dict[str, Any], console: Console) -> None:
    """Print a report as a table, and what to look at below it."""
    has_surrogates = any("without_surrogate" in row for row in found["labels"].values())
    grid = Grid(box=None, pad_edge=False, header_style="")
    grid.add_column("label", overflow="fold")
    columns = ["replaced", "model", "pattern", "propagated"]
    columns += ["without_surrogate"] if has_surrogates else []
    for name in (*columns, "lowest score"):
        grid.add_column(name.replace("_", " "), justify="right")
    for label, row in found["labels"].items():
        scores = row["lowest_scores"]
        lowest = f"{scores[0]['score']:.4f}" if scores else ""
        grid.add_row(Text(label), *(f"{row[name]:,}" for name in columns), lowest)
    console.print(grid)
    console.print(Text("\n".join(["", *_remarks(found)])), soft_wrap=True)


def _remarks(found: dict[str, Any]) -> list[str]:
    empty = found["documents_without_any_span"]
    lines = [f"replaced {found['replaced']:,} pieces in {found['documents']:,} documents"]
    if found["below_min_score"]:
        lines.append(f"left alone {found['below_min_score']:,} spans below --min-score")
    if empty:
        lines.append(f"look at {len(empty):,} documents without any span (report.json names them)")
    if leaks := found.get("leaks"):
        share, recall = leaks["share_without_a_miss"], leaks["character_recall"]
        lines.append(
            f"against the gold: {_percent(share)} of {leaks['documents']:,} documents without a "
            f"missed identifier, {leaks['missed']:,} of {leaks['identifiers']:,} identifiers "
            f"missed, {_percent(recall)} of their characters replaced"
        )
    return lines


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"


ANNOTATIONS_FILE, REPORT_FILE, CONFIG_FILE = "annotations.jsonl", "report.json", "config.json"


@dataclass(frozen=True)
class Layout:
    """Where the redacted texts go: as they came, a folder of files, one file, or a table."""

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
    ) -> Layout:
        """Choose the layout of an input.

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


def write_run(
    folder: Path,
    layout: Layout,
    redacted: Iterable[tuple[Document, Sequence[Redacted]]],
    *,
    mapping: TextIO | None = None,
) -> None:
    """Write the redacted texts and their annotations into an empty folder.

    `mapping` takes what was replaced with what, a line of JSON each.
    """
    with (folder / ANNOTATIONS_FILE).open("w", encoding="utf-8", newline="") as annotations:
        tee = _tee(redacted, annotations, mapping)
        if layout.column is None:
            for document, parts in tee:
                target = folder / (layout.name or document.id)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(parts[0].text.encode())
            return
        _write_table(folder, layout, tee)


def _write_table(
    folder: Path, layout: Layout, redacted: Iterator[tuple[Document, Sequence[Redacted]]]
) -> None:
    """Write the document's column, if the table has it, and that of the text; no other."""
    assert layout.name is not None
    assert layout.column is not None
    first = next(redacted, None)
    column = layout.document if first and first[0].is_named else None
    rows = (
        [*([document.id if document.is_named else ""] if column else []), part.text]
        for document, parts in chain([first] if first else [], redacted)
        for part in parts
    )
    write_rows(
        rows,
        folder / layout.name,
        columns=dict.fromkeys([column, layout.column] if column else [layout.column], str),
        overwrite=False,
        format=None if layout.format == "text" else layout.format,
    )


def _tee(
    redacted: Iterable[tuple[Document, Sequence[Redacted]]],
    annotations: TextIO,
    mapping: TextIO | None,
) -> Iterator[tuple[Document, Sequence[Redacted]]]:
    for document, parts in redacted:
        for part in parts:
            annotations.write(_line(annotation_record(document, part)))
            for change in part.replacements if mapping else ():
                assert mapping is not None
                mapping.write(_line(_mapping_record(document, part, change)))
        yield document, parts


def annotation_record(document: Document, part: Redacted) -> dict[str, Any]:
    """Return a redacted text and where its replacements stand, as a line of the JSONL file."""
    return {
        "id": part.id,
        "document": document.id,
        "text": part.text,
        "spans": [
            {
                "start": change.start,
                "end": change.end,
                "label": change.old.label,
                "text": change.text,
                "score": None if change.old.score is None else round(change.old.score, 6),
                "by": change.old.by,
            }
            for change in part.replacements
        ],
    }


def _mapping_record(document: Document, part: Redacted, change: Replacement) -> dict[str, Any]:
    return {
        "id": part.id,
        "document": document.id,
        "label": change.old.label,
        "start": change.old.start,
        "end": change.old.end,
        "original": change.value,
        "replacement": change.text,
    }


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON for people to read."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
