"""A table with a row for each annotation: `doc_id`, `text`, `start`, `end`, `label`, `score`.

`text` is the document's whole text, in the first of its rows at least. A document without
annotations has one row, whose `start`, `end` and `label` are empty. Where the table has no such
column, the texts are `.txt` files of a folder, named by `doc_id`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.data.streams import files_of, read_text
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, any_text, holdable
from annoseq.formats.documents import Document
from annoseq.formats.json_values import a_score, parsed
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.data.rows import Row
    from annoseq.formats.capabilities import Losses
    from annoseq.formats.offsets import Offsets

_WHERE = ("doc_id", "start", "end", "label")
_COLUMNS = ("doc_id", "text", "start", "end", "label", "score")
_NUMBER = re.compile(r"[0-9]{1,12}")


def _holds_label(label: str) -> bool:
    return bool(label)


HOLDS = Holds(scores=True, crossing=True, nested=True, labels=_holds_label, texts=any_text)


@dataclass
class _Draft:
    text: str | None = None
    claims: list[Claim] = field(default_factory=list)
    place: str = ""


def read(path: Path, *, texts: Path | None, offsets: Offsets) -> Iterator[Document]:
    """Read a table (CSV, TSV, JSONL or Parquet), and its texts from `texts` where that is given.

    Raises:
        TableError: the table cannot be read, or lacks a column.
        FormatError: a document has no text or two, or an annotation does not fit.
    """
    drafts: dict[str, _Draft] = {}
    for row in read_rows(path, columns=(), keys=_WHERE, optional=("text", "score", "covered")):
        place = f"{path}: row {row.number}"
        draft = drafts.setdefault(row.values["doc_id"], _Draft(place=place))
        text = row.values.get("text", "")
        if draft.text is None or not draft.text:
            draft.text = text if "text" in row.values else None
        elif text not in {"", draft.text}:
            raise FormatError(f"{place}: its document has another text above. Give it one text.")
        if any(row.values[name] for name in _WHERE[1:]):
            draft.claims.append(_claim(row, place))
    files = None if texts is None else files_of(texts, ".txt")
    for name, draft in drafts.items():
        if files is not None:
            if name not in files:
                raise FormatError(f"{draft.place}: there is no {name}.txt in {texts}. Add it.")
            draft.text = read_text(files[name], keep_mark=True)
        if draft.text is None:
            raise FormatError(
                f"{path}: there is no column 'text'. Add the texts of the documents, or name the "
                "folder of their files with --texts."
            )
        _, mentions = locate([draft.text], draft.claims, offsets=offsets)
        yield Document(name, draft.text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write a table in the format of `path`'s suffix, its texts in the first row of each."""
    rows = (row for one in holdable(documents, HOLDS, losses) for row in _rows(one))
    write_rows(rows, path, columns=dict.fromkeys(_COLUMNS, str), overwrite=False)


def _claim(row: Row, place: str) -> Claim:
    for name in ("start", "end"):
        if not _NUMBER.fullmatch(row.values[name]):
            raise FormatError(
                f"{place}: column {name!r} does not hold a whole number from 0. "
                "Give the place in the document's text."
            )
    if not row.values["label"].strip():
        raise FormatError(f"{place}: the label is empty. Name it.")
    said = row.values.get("score", "")
    score = a_score(parsed(said, place), place) if said else None
    fragment = int(row.values["start"]), int(row.values["end"])
    return Claim((fragment,), row.values["label"], row.values.get("covered"), place, score)


def _rows(document: Document) -> Iterator[list[str]]:
    text = document.text
    if not document.mentions:
        yield [document.id, text, "", "", "", ""]
    for one in document.mentions:
        score = "" if one.score is None else repr(one.score)
        yield [document.id, text, str(one.start), str(one.end), one.label, score]
        text = ""
