"""Label Studio's JSON: a list of tasks, each with text labels.

Offsets count code points since 2021, and UTF-16 units before
(https://github.com/HumanSignal/label-studio/issues/1347); the text of each label tells which.
What has scores is written as predictions, which Label Studio shows beside annotations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annoseq.data.streams import read_text
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, any_text, holdable
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    a_label,
    a_list,
    a_score,
    a_text,
    a_whole_number,
    an_id,
    an_object,
    entry,
    parsed,
)
from annoseq.formats.offsets import Claim, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import Offsets


def _holds_label(label: str) -> bool:
    return bool(label.strip())


HOLDS = Holds(scores=True, crossing=True, nested=True, labels=_holds_label, texts=any_text)


def read(path: Path, *, offsets: Offsets, losses: Losses) -> Iterator[Document]:
    """Read an export of the kind JSON.

    Of several annotators' results the first is taken; results of another kind than text labels
    are counted.

    Raises:
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    tasks = a_list(parsed(read_text(path), str(path)), str(path))
    if not tasks:
        raise FormatError(f"{path}: the list of tasks is empty. Export at least one.")
    for number, value in enumerate(tasks, 1):
        place = f"{path}: task {number}"
        task = an_object(value, place)
        data = an_object(entry(task, "data", place), place)
        text = _text(data, place)
        name = data.get("doc_id", task.get("id", number))
        claims = list(_claims(_results(task, place, losses), place, losses))
        _, mentions = locate([text], claims, offsets=offsets)
        yield Document(an_id(name, place), text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write tasks for a project whose template has a Labels `label` of a Text `text`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("[")
        for number, document in enumerate(holdable(documents, HOLDS, losses)):
            scored = any(one.score is not None for one in document.mentions)
            results = [_result(one, i, document.text) for i, one in enumerate(document.mentions)]
            task = {
                "data": {"text": document.text, "doc_id": document.id},
                "predictions" if scored else "annotations": [{"result": results}],
            }
            stream.write(",\n" if number else "\n")
            stream.write(json.dumps(task, ensure_ascii=False))
        stream.write("\n]\n")


def _text(data: dict[str, Json], place: str) -> str:
    """Return a task's text: what is called so, or the only text there is."""
    if "text" in data:
        return a_text(data["text"], place)
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) != 1:
        raise FormatError(
            f"{place}: its data hold {len(texts)} texts, of which none is called 'text'. "
            "Name the one that is annotated so."
        )
    return a_text(texts[0], place)


def _results(task: dict[str, Json], place: str, losses: Losses) -> list[Json]:
    """Return the results of the first annotator, or else of the first prediction."""
    for name in ("annotations", "completions", "predictions"):
        made = [an_object(one, place) for one in a_list(task.get(name) or [], place)]
        valid = [one for one in made if not one.get("was_cancelled")]
        if len(valid) > 1:
            losses.add(
                f"{name} of the same tasks, left out: the first is taken",
                where=place,
                count=len(valid) - 1,
            )
        if valid:
            return a_list(entry(valid[0], "result", place), place)
    return []


def _claims(results: list[Json], place: str, losses: Losses) -> Iterator[Claim]:
    for number, value in enumerate(results, 1):
        where = f"{place}: result {number}"
        result = an_object(value, where)
        if result.get("type") != "labels":
            losses.add("results of another kind than text labels, left out", where=where)
            continue
        found = an_object(entry(result, "value", where), where)
        start = a_whole_number(entry(found, "start", where), where)
        end = a_whole_number(entry(found, "end", where), where)
        covered = a_text(found["text"], where) if found.get("text") is not None else None
        score = a_score(result.get("score"), where)
        for label in a_list(entry(found, "labels", where), where):
            yield Claim(((start, end),), a_label(label, where), covered, where, score)


def _result(one: Mention, number: int, text: str) -> dict[str, Any]:
    value = {
        "start": one.start,
        "end": one.end,
        "text": text[one.start : one.end],
        "labels": [one.label],
    }
    result = {
        "id": f"r{number}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": value,
    }
    return result if one.score is None else {**result, "score": one.score}
