"""JSONL as spaCy's tools have it: Prodigy's `spans`, or `entities` as spaCy is trained with.

    {"id": "1", "text": "Dr. Ames", "spans": [{"start": 4, "end": 8, "label": "NAME"}]}
    {"text": "Dr. Ames", "entities": [[4, 8, "NAME"]]}
    ["Dr. Ames", {"entities": [[4, 8, "NAME"]]}]

The first is also what `annoseq annotate` writes. Offsets count code points.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annoseq.formats.capabilities import Holds, any_label, any_text, holdable
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    Record,
    a_label,
    a_score,
    a_text,
    a_triple,
    a_whole_number,
    an_id,
    entry,
    records,
)
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import Offsets

HOLDS = Holds(scores=True, crossing=True, nested=True, labels=any_label, texts=any_text)

_LISTS = ("spans", "entities")


def read(path: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read a file. Where a line has no id, its number is the document's.

    Raises:
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    for one in records(path, lists=_LISTS, losses=losses):
        claims = [
            _claim(value, f"{one.place}: span {index}")
            for index, value in enumerate(one.annotations, 1)
        ]
        _, mentions = locate([one.text], claims, offsets=offsets)
        yield Document(_name(one), one.text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write a line for each document, with `spans`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in holdable(documents, HOLDS, losses):
            spans = [_span(one, document.text) for one in document.mentions]
            record = {"id": document.id, "text": document.text, "spans": spans}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _name(record: Record) -> str:
    """Return a document's id, which Prodigy's users put into `meta`."""
    meta = record.fields.get("meta")
    inner = meta.get("id") if isinstance(meta, dict) else None
    found = record.fields.get("id", inner)
    return an_id(record.number if found is None else found, record.place)


def _claim(value: Json, place: str) -> Claim:
    covered: str | None = None
    score: float | None = None
    if isinstance(value, dict):
        begin, end, label = (entry(value, name, place) for name in ("start", "end", "label"))
        covered = a_text(value["text"], place) if "text" in value else None
        score = a_score(value.get("score"), place)
    else:
        begin, end, label = a_triple(value, place)
    fragment = a_whole_number(begin, place), a_whole_number(end, place)
    return Claim((fragment,), a_label(label, place), covered, place, score)


def _span(one: Mention, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "start": one.start,
        "end": one.end,
        "label": one.label,
        "text": text[one.start : one.end],
    }
    return found if one.score is None else {**found, "score": one.score}
