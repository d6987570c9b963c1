"""Label Studio's JSON: a list of tasks, each with text labels.

Offsets count code points since 2021, and UTF-16 code units before
(https://github.com/HumanSignal/label-studio/issues/1347); the text of each label tells which.
Documents of a model, which have scores, are written as predictions, and read if asked for.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from annoseq.data.jsonl_table import parse_json
from annoseq.data.streams import LARGEST_CORPUS, read_text
from annoseq.errors import FormatError, TableError, count_noun, display_name
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported, is_not_blank
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    AnnotatorChoice,
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
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import OffsetUnitOption


CAPABILITIES = FormatCapabilities(
    scores=True, crossing=True, nested=True, supports_label=is_not_blank
)
_DEFAULT_FIELD = "text"
_FURTHER = "of the same task, left out: the first is taken"


@dataclass(frozen=True, slots=True)
class _Task:
    """A task with the results that were chosen, by the element of the config that they label."""

    place: str
    id: Json
    texts: dict[str, str]
    results: dict[str, list[RawSpan]]


def read(path: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read an export in Label Studio's format JSON.

    Of each task, the annotation that is ground truth is read, or that of `annotator`, or the first
    one; or, if asked for, the first of `predictions`. Tasks without one are no documents. `field`
    of the data holds the texts, by default the one that is annotated. What is left out is counted.

    Raises:
        FormatError: a value is of another type than expected, or lies outside the text; or several
            fields are annotated.
    """
    annotators = AnnotatorChoice(options.annotator, losses)
    tasks: list[_Task] = []
    for number, value in enumerate(_require_tasks(path), 1):
        place = f"{path}: task {number}"
        record = require_object(value, place)
        data = _require_data(record, place)
        if options.predictions:
            entry = _prediction(record, place, losses)
        else:
            entry = _annotation(record, place, annotators, losses)
        if entry is not None:
            texts = {name: text for name, text in data.items() if isinstance(text, str)}
            document_id = data.get("doc_id", record.get("id", number))
            tasks.append(_Task(place, document_id, texts, _results(entry, place, losses)))
    annotators.check_found(path)
    fields = _fields_of_elements(tasks, options.offset_unit)
    chosen = _choose_field(tasks, fields, options.field, path)
    for task in tasks:
        yield _document(task, fields, chosen, options.offset_unit, losses)


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write tasks for a project whose template has a Labels `label` of a Text `text`.

    If any mention has a score, all documents are a model's, and are written as predictions.
    """
    is_scored = False
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as parts:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            is_scored |= any(mention.score is not None for mention in document.mentions)
            mentions = enumerate(document.mentions)
            results = [label_result(mention, index, document.text) for index, mention in mentions]
            data = {"text": document.text, "doc_id": document.id}
            parts.write(json.dumps([data, results], ensure_ascii=False) + "\n")
        name = "predictions" if is_scored else "annotations"
        parts.seek(0)
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write("[")
            for number, line in enumerate(parts):
                data, results = json.loads(line)
                task = {"data": data, name: [{"result": results}]}
                stream.write((",\n" if number else "\n") + json.dumps(task, ensure_ascii=False))
            stream.write("\n]\n")


def labelling_config(labels: Sequence[str]) -> str:
    """Return the labelling interface of a project for documents that `write` wrote."""
    values = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in labels)
    return (
        f'<View>\n  <Labels name="label" toName="text">\n{values}  </Labels>\n'
        '  <Text name="text" value="$text"/>\n</View>\n'
    )


def _require_tasks(path: Path) -> list[Json]:
    try:
        text = read_text(path, limit=LARGEST_CORPUS)
        value = parse_json(text, str(path), advice="Correct it; it may be cut off, or not JSON.")
    except TableError as error:
        raise FormatError(str(error)) from error
    tasks = require_list(value, str(path))
    if not tasks:
        raise FormatError(f"{path}: the list of tasks is empty. Export at least one.")
    return tasks


def _require_data(task: dict[str, Json], place: str) -> dict[str, Json]:
    if "data" not in task and ("annotator" in task or "annotation_id" in task):
        raise FormatError(
            f"{place}: this is Label Studio's JSON-MIN, which does not say which annotations were "
            "cancelled. Export as JSON."
        )
    return require_object(require_field(task, "data", place), place)


def _annotation(
    task: dict[str, Json], place: str, annotators: AnnotatorChoice, losses: ConversionLosses
) -> dict[str, Json] | None:
    """Return the annotation that counts, None if there is none; the others are counted."""
    finished = _finished_annotations(task, place, losses)
    description = _FURTHER
    if annotators.is_chosen:
        finished = [e for e in finished if annotators.accepts(_annotator(e), key="", place=place)]
    elif any(entry.get("ground_truth") for entry in finished):
        finished.sort(key=lambda entry: not entry.get("ground_truth"))
        description = "beside those that are ground truth, left out"
    return _take_first(finished, "annotation", description, place, losses)


def _finished_annotations(
    task: dict[str, Json], place: str, losses: ConversionLosses
) -> list[dict[str, Json]]:
    """Return the annotations that a person has finished; count a task without one."""
    values = require_list(task.get("annotations") or task.get("completions") or [], place)
    entries = [require_object(value, place) for value in values]
    finished = [e for e in entries if not (e.get("was_cancelled") or e.get("skipped"))]
    if not finished:
        reason = "that nobody has annotated"
        if entries:
            reason = "whose annotation was cancelled"
        elif task.get("drafts"):
            reason = "of which there is only a draft"
        hint = " (--predictions reads predictions)" if task.get("predictions") else ""
        losses.note("task", f"{reason}, left out{hint}", where=place)
    return finished


def _take_first(
    entries: list[dict[str, Json]],
    noun: str,
    description: str,
    place: str,
    losses: ConversionLosses,
) -> dict[str, Json] | None:
    """Return the first entry, None if there is none; count the others."""
    if len(entries) > 1:
        losses.note(noun, description, where=place, count=len(entries) - 1)
    return entries[0] if entries else None


def _annotator(entry: dict[str, Json]) -> list[str]:
    """Return the id, the email and the names of who made an annotation."""
    author = entry.get("completed_by")
    if isinstance(author, dict):
        names = [author.get(name) for name in ("id", "email", "username", "first_name")]
    else:
        names = [author]
    return [str(name) for name in names if type(name) in {int, str}]


def _prediction(
    task: dict[str, Json], place: str, losses: ConversionLosses
) -> dict[str, Json] | None:
    """Return the first prediction, None if there is none; the others are counted."""
    values = require_list(task.get("predictions") or [], place)
    if not values:
        losses.note("task", "without a prediction, left out", where=place)
        return None
    entries = [require_object(value, place) for value in values]
    return _take_first(entries, "prediction", _FURTHER, place, losses)


def _results(
    entry: dict[str, Json], place: str, losses: ConversionLosses
) -> dict[str, list[RawSpan]]:
    """Return the labelled spans, by the element of the config that they label."""
    spans: dict[str, list[RawSpan]] = {}
    for number, value in enumerate(require_list(require_field(entry, "result", place), place), 1):
        where = f"{place}: result {number}"
        result = require_object(value, where)
        if result.get("type") == "hypertextlabels":
            raise FormatError(
                f"{where}: it labels HyperText, whose offsets are those of an HTML tree and not of "
                "the text. Label the text as Text, without HTML, or export it so."
            )
        if result.get("type") != "labels":
            losses.add("result", "of another kind than text labels, left out", where=where)
            continue
        element = require_text(result.get("to_name") or _DEFAULT_FIELD, where)
        spans.setdefault(element, []).extend(_raw_spans(result, where))
    return spans


def _raw_spans(result: dict[str, Json], where: str) -> Iterator[RawSpan]:
    fields = require_object(require_field(result, "value", where), where)
    start = require_int(require_field(fields, "start", where), where)
    end = require_int(require_field(fields, "end", where), where)
    covered = require_text(fields["text"], where) if fields.get("text") is not None else None
    score = require_score(result.get("score"), where)
    for label in require_list(require_field(fields, "labels", where), where):
        yield RawSpan(((start, end),), require_label(label, where), covered, where, score)


def _fields_of_elements(tasks: list[_Task], unit: OffsetUnitOption) -> dict[str, str]:
    """Return the field of the data that each labelled element of the config shows.

    An export does not hold the config, where `<Text name="..." value="$field"/>` says it: it is the
    field of the element's name, the only text, or else the one text that all labels fit.
    """
    elements = dict.fromkeys(element for task in tasks for element in task.results)
    return {element: _field_of_element(element, tasks, unit) for element in elements}


def _field_of_element(element: str, tasks: list[_Task], unit: OffsetUnitOption) -> str:
    labelled = [task for task in tasks if task.results.get(element)]
    names = set.intersection(*(set(task.texts) for task in labelled)) if labelled else set()
    if element in names and (len(names) == 1 or _fits(element, element, labelled, unit)):
        return element
    if len(names) == 1:
        return names.pop()
    fitting = [name for name in names - {element} if _fits(name, element, labelled, unit)]
    return fitting[0] if len(fitting) == 1 else element


def _fits(name: str, element: str, tasks: list[_Task], unit: OffsetUnitOption) -> bool:
    try:
        for task in tasks:
            resolve_spans([task.texts[name]], task.results[element], unit=unit)
    except FormatError:
        return False
    return True


def _choose_field(
    tasks: list[_Task], fields: dict[str, str], asked: str | None, path: Path
) -> str | None:
    """Return the field that holds the texts; None if each task has one text."""
    names = dict.fromkeys(name for task in tasks for name in task.texts)
    if asked is not None:
        if tasks and asked not in names:
            raise FormatError(f"{path}: no task has the field of --field. {_listed(names)}")
        return asked
    annotated = [name for name in dict.fromkeys(fields.values()) if name in names]
    if len(annotated) == 1:
        return annotated[0]
    if _DEFAULT_FIELD in (annotated or names):
        return _DEFAULT_FIELD
    _check_one_text(tasks, names)
    return None


def _check_one_text(tasks: list[_Task], names: Iterable[str]) -> None:
    """Raise `FormatError` if a task has several texts or none."""
    if odd := next((task for task in tasks if len(task.texts) != 1), None):
        raise FormatError(
            f"{odd.place}: its data hold {count_noun(len(odd.texts), 'text')}, none of which is "
            f"called 'text'. Name the one that is annotated with --field. {_listed(names)}"
        )


def _listed(names: Iterable[str]) -> str:
    known = ", ".join(name for name in names if display_name(name) == name)
    return f"The texts are in {known}." if known else "No field has a text."


def _document(
    task: _Task,
    fields: dict[str, str],
    field: str | None,
    unit: OffsetUnitOption,
    losses: ConversionLosses,
) -> Document:
    name = field or next(iter(task.texts))
    if name not in task.texts:
        raise FormatError(f"{task.place}: its data have no text in the field that is read. Add it.")
    raw_spans: list[RawSpan] = []
    for element, spans in task.results.items():
        if fields[element] == name:
            raw_spans += spans
        elif spans:
            losses.note(
                "label",
                "of another field than the one that is read, left out: --field chooses",
                where=task.place,
                count=len(spans),
            )
    text = require_text(task.texts[name], task.place)
    _, mentions = resolve_spans([text], raw_spans, unit=unit)
    return Document(require_id(task.id, task.place), text, mentions, task.place)


def label_result(
    mention: Mention, index: int, text: str, *, name: str = "label", to_name: str = "text"
) -> dict[str, Any]:
    """Return a mention as a result, which labels the element `to_name` with the control `name`."""
    start, end = mention.start, mention.end
    result = {
        "id": f"r{index}",
        "from_name": name,
        "to_name": to_name,
        "type": "labels",
        "value": {"start": start, "end": end, "text": text[start:end], "labels": [mention.label]},
    }
    return result if mention.score is None else {**result, "score": mention.score}
