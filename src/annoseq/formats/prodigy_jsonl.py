"""JSONL of Prodigy (`spans`) and of spaCy's training data (`entities`).

    {"id": "1", "text": "Dr. Ames", "spans": [{"start": 4, "end": 8, "label": "NAME"}]}
    {"text": "Dr. Ames", "entities": [[4, 8, "NAME"]]}
    ["Dr. Ames", {"entities": [[4, 8, "NAME"]]}]

All are read, and so are spaCy 2's training JSON and records of the `datasets` library (`tokens`
with `ner_tags`); Prodigy's form is written. Offsets count code points.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annoseq.errors import FormatError, count_noun
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.conll import TaggedDocument, parse_tag
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    AnnotatorChoice,
    Json,
    read_fields,
    require_annotations,
    require_field,
    require_id,
    require_int,
    require_label,
    require_list,
    require_object,
    require_score,
    require_text,
    require_triple,
)
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.documents import Mention

CAPABILITIES = FormatCapabilities(scores=True, crossing=True, nested=True)

_LISTS = ("spans", "entities")
_TAG_LISTS = ("ner_tags", "ner", "tags", "labels")


def read(path: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a file. The id of a document that has none is the number of its row.

    Answers other than `accept` are no annotations: they are left out and counted.

    Raises:
        TableError: the file cannot be read, or is not JSON.
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    annotators = AnnotatorChoice(options.annotator, losses)
    for row, place, fields in read_fields(path):
        if (answer := fields.get("answer", "accept")) != "accept":
            kind = answer if answer in ("reject", "ignore") else "unknown"
            losses.note("document", f"with the answer {kind}, left out", where=place)
            continue
        key = fields.get("_input_hash", row)
        if not annotators.accepts(_annotators(fields), key=str(key), place=place):
            continue
        if "paragraphs" in fields:
            yield from _read_paragraphs(fields, row, place)
            continue
        document_id = _document_id(fields, row, place)
        if "text" not in fields and (tags := _tag_list(fields)):
            yield _read_tags(fields, tags, document_id, place, losses)
            continue
        text = require_text(require_field(fields, "text", place), place)
        values = require_annotations(fields, lists=_LISTS, place=place, losses=losses)
        raw_spans = [
            _raw_span(value, f"{place}: span {number}") for number, value in enumerate(values, 1)
        ]
        _, mentions = resolve_spans([text], raw_spans, unit=options.offset_unit)
        yield Document(document_id, text, mentions, place)
    annotators.check_found(path)


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write a line for each document, with `spans`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            spans = [_span(mention, document.text) for mention in document.mentions]
            record = {"id": document.id, "text": document.text, "spans": spans}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _document_id(fields: dict[str, Json], row: int, place: str) -> str:
    """Return a document's id, which users of Prodigy put into `meta`."""
    meta = fields.get("meta")
    meta_id = meta.get("id") if isinstance(meta, dict) else None
    value = fields.get("id", meta_id)
    return require_id(row if value is None else value, place)


def _annotators(fields: dict[str, Json]) -> list[str]:
    names = [fields.get("_annotator_id"), fields.get("_session_id")]
    return [name for name in names if isinstance(name, str)]


def _tag_list(fields: dict[str, Json]) -> list[Json] | None:
    """Return the tags of a record of the `datasets` library: `tokens` with `ner_tags`."""
    if not isinstance(fields.get("tokens"), list):
        return None
    return next((fields[name] for name in _TAG_LISTS if isinstance(fields.get(name), list)), None)


def _read_tags(
    fields: dict[str, Json],
    tags: list[Json],
    document_id: str,
    place: str,
    losses: ConversionLosses,
) -> Document:
    """Read tokens and their tags; the text is joined with spaces."""
    tokens = fields["tokens"]
    if len(tokens) != len(tags):
        raise FormatError(
            f"{place}: found {count_noun(len(tags), 'tag')} of "
            f"{count_noun(len(tokens), 'token')}. Give each token one."
        )
    document = TaggedDocument(document_id, place)
    for token, tag in zip(tokens, tags, strict=True):
        if type(tag) is int:
            raise FormatError(
                f"{place}: its tags are numbers, whose names are in the features of the data set. "
                "Write their names, such as B-PER: features['ner_tags'].feature.int2str(tag)."
            )
        document.add_token(require_text(token, place), None, parse_tag(tag, place))
    losses.note("text", "joined of tokens with spaces: the file holds no text", where=place)
    return document.build()


def _read_paragraphs(fields: dict[str, Json], row: int, place: str) -> Iterator[Document]:
    """Read the paragraphs of a document of spaCy 2's training format."""
    paragraphs = require_list(fields["paragraphs"], place)
    name = require_id(fields.get("id", row), place)
    for number, value in enumerate(paragraphs, 1):
        where = f"{place}: paragraph {number}"
        paragraph = require_object(value, where)
        raw = require_text(require_field(paragraph, "raw", where), where)
        document = TaggedDocument(name if len(paragraphs) == 1 else f"{name}/{number}", where)
        end = 0
        for token in _tokens_of(paragraph, where):
            word = require_text(require_field(token, "orth", where), where)
            start = raw.find(word, end)
            if start < 0:
                raise FormatError(f"{where}: a token is not in its text. Correct one of them.")
            tag = token.get("ner") or "O"
            document.gap = raw[end:start]
            document.add_token(word, "", parse_tag("O" if tag == "-" else tag, where))
            end = start + len(word)
        document.gap = raw[end:]
        yield document.build()


def _tokens_of(paragraph: dict[str, Json], place: str) -> Iterator[dict[str, Json]]:
    for value in require_list(require_field(paragraph, "sentences", place), place):
        sentence = require_object(value, place)
        for token in require_list(require_field(sentence, "tokens", place), place):
            yield require_object(token, place)


def _raw_span(value: Json, place: str) -> RawSpan:
    covered: str | None = None
    score: float | None = None
    if isinstance(value, dict):
        start, end, label = (
            require_field(value, name, place) for name in ("start", "end", "label")
        )
        covered = require_text(value["text"], place) if "text" in value else None
        score = require_score(value.get("score"), place)
    else:
        start, end, label = require_triple(value, place)
    fragment = require_int(start, place), require_int(end, place)
    return RawSpan((fragment,), require_label(label, place), covered, place, score)


def _span(mention: Mention, text: str) -> dict[str, Any]:
    span: dict[str, Any] = {
        "start": mention.start,
        "end": mention.end,
        "label": mention.label,
        "text": text[mention.start : mention.end],
    }
    return span if mention.score is None else {**span, "score": mention.score}
