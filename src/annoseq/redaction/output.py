"""What a run leaves behind: the texts as they came, their new annotations, and JSON beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from annoseq.errors import OptionError
from annoseq.pairs.sources import is_standard_input
from annoseq.pairs.tables import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from annoseq.annotator.inputs import InputFormat
    from annoseq.redaction.document import Document, Redacted, Replacement

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
