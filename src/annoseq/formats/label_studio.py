"""Label Studio's JSON: a list of tasks, each with text labels.

Offsets count code points since 2021, and UTF-16 code units before
(https://github.com/HumanSignal/label-studio/issues/1347); the text of each label tells which.
Mentions with scores are written as predictions, which Label Studio shows beside annotations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annoseq.data.jsonl_table import parse_json
from annoseq.data.streams import read_text
from annoseq.errors import FormatError, TableError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported, is_not_blank
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    require_field,
    require_id,
    require_int,
    require_label,
    require_list,
    require_object,
    require_score,
    require_text,
)
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import OffsetUnitOption


CAPABILITIES = FormatCapabilities(
    scores=True, crossing=True, nested=True, supports_label=is_not_blank
)


def read(
    path: Path, *, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Iterator[Document]:
    """Read an export in Label Studio's format JSON.

    Of several annotators' results the first is taken; other results, and those of another type
    than text labels, are counted as losses.

    Raises:
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    tasks = require_list(_parse(path), str(path))
    if not tasks:
        raise FormatError(f"{path}: the list of tasks is empty. Export at least one.")
    for number, value in enumerate(tasks, 1):
        place = f"{path}: task {number}"
        task = require_object(value, place)
        data = require_object(require_field(task, "data", place), place)
        text = _text(data, place)
        document_id = data.get("doc_id", task.get("id", number))
        raw_spans = list(_raw_spans(_results(task, place, losses), place, losses))
        _, mentions = resolve_spans([text], raw_spans, unit=offset_unit)
        yield Document(require_id(document_id, place), text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: ConversionLosses) -> None:
    """Write tasks for a project whose template has a Labels `label` of a Text `text`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("[")
        for number, document in enumerate(drop_unsupported(documents, CAPABILITIES, losses)):
            is_scored = any(mention.score is not None for mention in document.mentions)
            results = [
                _result(m, index, document.text) for index, m in enumerate(document.mentions)
            ]
            task = {
                "data": {"text": document.text, "doc_id": document.id},
                "predictions" if is_scored else "annotations": [{"result": results}],
            }
            stream.write(",\n" if number else "\n")
            stream.write(json.dumps(task, ensure_ascii=False))
        stream.write("\n]\n")


def _parse(path: Path) -> Json:
    try:
        return parse_json(
            read_text(path), str(path), advice="Correct it; the file may be cut off, or not JSON."
        )
    except TableError as error:
        raise FormatError(str(error)) from error


def _text(data: dict[str, Json], place: str) -> str:
    """Return a task's field `text`, or the only text in its data."""
    if "text" in data:
        return require_text(data["text"], place)
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) != 1:
        raise FormatError(
            f"{place}: its data hold {len(texts)} texts, of which none is called 'text'. "
            "Name the one that is annotated so."
        )
    return require_text(texts[0], place)


def _results(task: dict[str, Json], place: str, losses: ConversionLosses) -> list[Json]:
    """Return the results of the first annotator, or else of the first prediction."""
    for name in ("annotations", "completions", "predictions"):
        entries = [require_object(v, place) for v in require_list(task.get(name) or [], place)]
        valid = [entry for entry in entries if not entry.get("was_cancelled")]
        if len(valid) > 1:
            losses.add(
                f"{name} of the same tasks, left out: the first is taken",
                where=place,
                count=len(valid) - 1,
            )
        if valid:
            return require_list(require_field(valid[0], "result", place), place)
    return []


def _raw_spans(results: list[Json], place: str, losses: ConversionLosses) -> Iterator[RawSpan]:
    for number, value in enumerate(results, 1):
        where = f"{place}: result {number}"
        result = require_object(value, where)
        if result.get("type") != "labels":
            losses.add("results of another kind than text labels, left out", where=where)
            continue
        fields = require_object(require_field(result, "value", where), where)
        start = require_int(require_field(fields, "start", where), where)
        end = require_int(require_field(fields, "end", where), where)
        covered = require_text(fields["text"], where) if fields.get("text") is not None else None
        score = require_score(result.get("score"), where)
        for label in require_list(require_field(fields, "labels", where), where):
            yield RawSpan(((start, end),), require_label(label, where), covered, where, score)


def _result(mention: Mention, index: int, text: str) -> dict[str, Any]:
    value = {
        "start": mention.start,
        "end": mention.end,
        "text": text[mention.start : mention.end],
        "labels": [mention.label],
    }
    result = {
        "id": f"r{index}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": value,
    }
    return result if mention.score is None else {**result, "score": mention.score}
