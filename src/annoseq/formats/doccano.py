"""doccano's JSONL for sequence labelling.

    {"id": 1, "text": "Dr. Ames", "label": [[4, 8, "NAME"]]}

With relations in its project, doccano writes `entities` with `start_offset` and `end_offset`
instead. Its offsets come from JavaScript: they count UTF-16 units.
https://github.com/doccano/doccano/issues/2290
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq.formats.capabilities import Holds, any_label, any_text, holdable
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    a_label,
    a_triple,
    a_whole_number,
    an_id,
    entry,
    records,
)
from annoseq.formats.offsets import Claim, Ruler, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.offsets import Offsets

HOLDS = Holds(crossing=True, nested=True, labels=any_label, texts=any_text)

_LISTS = ("label", "labels", "entities")


def read(path: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read a file. Where a line has no id, its number is the document's.

    Raises:
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    unit: Offsets = "utf-16" if offsets == "auto" else offsets
    for one in records(path, lists=_LISTS, losses=losses):
        claims = [
            _claim(value, f"{one.place}: label {index}")
            for index, value in enumerate(one.annotations, 1)
        ]
        _, mentions = locate([one.text], claims, offsets=unit)
        yield Document(an_id(one.fields.get("id", one.number), one.place), one.text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write a line for each document."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in holdable(documents, HOLDS, losses):
            ruler = Ruler(document.text, "utf-16")
            labels = [
                [ruler.units(one.start), ruler.units(one.end), one.label]
                for one in document.mentions
            ]
            record = {"id": document.id, "text": document.text, "label": labels}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _claim(value: Json, place: str) -> Claim:
    if isinstance(value, dict):
        begin, end, label = (
            entry(value, name, place) for name in ("start_offset", "end_offset", "label")
        )
    else:
        begin, end, label = a_triple(value, place)
    fragment = a_whole_number(begin, place), a_whole_number(end, place)
    return Claim((fragment,), a_label(label, place), None, place)
