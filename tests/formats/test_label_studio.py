from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from defusedxml.ElementTree import fromstring

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back
from tests.formats.malformed import LATIN, NOT_UTF8, ZIP, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


TASK = b'[{"data": {"text": "Dr. X"}, "annotations": [{"result": [RESULT]}]}]'
RESULT = b'{"type": "labels", "value": {"start": 0, "end": 1, "labels": ["A"]}}'
SAMPLE = """[{"id": 7, "data": {"note": "😀 Ames", "n": 1}, "annotations": [
  {"was_cancelled": true, "result": []},
  {"result": [
    {"type": "labels", "score": 0.5,
     "value": {"start": 2, "end": 6, "text": "Ames", "labels": ["NAME", "PERSON"]}},
    {"type": "choices", "value": {}}
  ]},
  {"result": []}
]}, {"data": {"doc_id": "d", "text": "x"}}]"""
MALFORMED: list[tuple[bytes, str]] = [
    (TASK.replace(b"RESULT", RESULT)[:-9], "this is not valid JSON"),
    (b"{}", "found an object where a list was expected"),
    (b"[]", "the list of tasks is empty"),
    (b"[1]", "task 1: found a number where an object was expected"),
    (
        b'[{"data": {"a": "x", "b": "y"}, "annotations": [{"result": []}]}]',
        "task 1: its data hold 2 texts, none of which is called 'text'. Name the one that is "
        "annotated with --field. The texts are in a, b.",
    ),
    (b'[{"text": "a"}]', "task 1: there is no 'data'; there is 'text'"),
    (TASK.replace(b"RESULT", RESULT.replace(b"1,", b"9,")), "result 1: found the offsets 0 to 9"),
    (
        TASK.replace(b"RESULT", RESULT.replace(b"1,", b'"1",')),
        "result 1: found a text where a whole",
    ),
    (
        TASK.replace(b"RESULT", RESULT.replace(b'["A"]', b'"A"')),
        "result 1: found a text where a list",
    ),
    (TASK.replace(b"[RESULT]", b"5"), "task 1: found a number where a list was expected"),
    (b'[\n{"data": \0}]', "line 2: found a NUL character"),
    (LATIN, NOT_UTF8),
    (ZIP, "this is a zip archive"),
]


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.json", ConversionLosses()
    path.write_text(SAMPLE)
    assert read_from("label-studio", path, losses=losses) == [
        Document("7", "😀 Ames", (mention(2, 6, "NAME", 0.5), mention(2, 6, "PERSON", 0.5))),
    ]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 annotation of the same task, left out: the first is taken",
        "1 result of another kind than text labels, left out",
        "1 task that nobody has annotated, left out",
    ]


def test_utf_16_units_of_old_exports_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(SAMPLE.replace('"start": 2, "end": 6', '"start": 3, "end": 7'))
    assert read_from("label-studio", path)[0].mentions[0] == mention(2, 6, "NAME", 0.5)


def test_a_corpus_with_scores_is_written_as_predictions(tmp_path: Path) -> None:
    documents = [
        Document("s", "😀 Ames", (mention(2, 6, "NAME", 0.5), mention(0, 3, "X"))),
        Document("t", "x", (mention(0, 1, "two words"),)),
    ]
    assert there_and_back("label-studio", documents, tmp_path) == documents
    written = (tmp_path / "corpus.json").read_text()
    assert written.count('"predictions"') == 2
    assert '"annotations"' not in written


def labelled(start: int, end: int, text: str, *, element: str = "text") -> str:
    value = {"start": start, "end": end, "text": text, "labels": ["A"]}
    return json.dumps({"type": "labels", "to_name": element, "value": value})


def read_tasks(
    content: str, folder: Path, losses: ConversionLosses | None = None, **options: Any
) -> list[Document]:
    path = folder / "tasks.json"
    path.write_text(content)
    return read_from("label-studio", path, losses=losses, options=replace(OPTIONS, **options))


def test_tasks_without_a_finished_annotation_are_no_gold(tmp_path: Path) -> None:
    prediction = f'"predictions": [{{"result": [{labelled(0, 4, "Ames")}]}}]'
    tasks = f"""[{{"data": {{"text": "Ames"}}, "annotations": [], {prediction}}},
      {{"data": {{"text": "Ames"}}, "annotations": [{{"result": [], "was_cancelled": true}}]}},
      {{"data": {{"text": "Ames"}}, "annotations": [], "drafts": [{{"result": []}}]}},
      {{"id": 9, "data": {{"text": "Ames"}}, "annotations": [{{"result": []}}]}}]"""
    losses = ConversionLosses()
    assert read_tasks(tasks, tmp_path, losses) == [Document("9", "Ames")]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 task that nobody has annotated, left out",
        "1 task whose annotation was cancelled, left out",
        "1 task of which there is only a draft, left out",
    ]
    losses = ConversionLosses()
    documents = read_tasks(tasks, tmp_path, losses, predictions=True)
    assert documents == [Document("1", "Ames", (mention(0, 4, "A"),))]
    assert losses.lines()[0].startswith("3 tasks without a prediction, left out")


def test_an_annotator_is_chosen_by_id_or_name(tmp_path: Path) -> None:
    tasks = f"""[{{"data": {{"text": "Ames"}}, "annotations": [
      {{"completed_by": 1, "result": []}},
      {{"completed_by": {{"id": 2, "email": "bo@x.org"}}, "result": [{labelled(0, 4, "Ames")}]}}
    ]}}]"""
    losses = ConversionLosses()
    assert read_tasks(tasks, tmp_path, losses)[0].mentions == ()
    assert losses.lines()[0].startswith("1 annotation of the same task, left out: the first is")
    for name in ("2", "bo@x.org"):
        assert read_tasks(tasks, tmp_path, annotator=name)[0].mentions == (mention(0, 4, "A"),)
    with pytest.raises(FormatError, match=r"annotator of --annotator. There are 1, 2, bo@x.org."):
        read_tasks(tasks, tmp_path, annotator="ames")


def test_results_belong_to_the_field_that_their_labels_fit(tmp_path: Path) -> None:
    data = '{"note": "Ames Rome", "title": "Bo Rome"}'
    results = labelled(0, 4, "Ames", element="x") + "," + labelled(3, 7, "Rome", element="title")
    task = f'[{{"data": {data}, "annotations": [{{"result": [{results}]}}]}}]'
    with pytest.raises(FormatError, match=r"with --field. The texts are in note, title."):
        read_tasks(task, tmp_path)
    losses = ConversionLosses()
    (document,) = read_tasks(task, tmp_path, losses, field="note")
    assert document == Document("1", "Ames Rome", (mention(0, 4, "A"),))
    assert losses.lines()[0].startswith("1 label of another field than the one that is read")
    assert read_tasks(task, tmp_path, field="title")[0].mentions == (mention(3, 7, "A"),)


def test_line_ends_may_be_escaped_or_counted_as_one(tmp_path: Path) -> None:
    text = json.dumps("Hi.\r\nMs Ames\r\nBo came.")
    result = labelled(7, 14, "Ames\\nBo")
    task = f'[{{"data": {{"text": {text}}}, "annotations": [{{"result": [{result}]}}]}}]'
    assert read_tasks(task, tmp_path)[0].mentions == (mention(8, 16, "A"),)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ('{"id": 1, "text": "a", "annotator": 1}', "JSON-MIN, which does not say which"),
        (
            '{"data": {"text": "a"}, "annotations": [{"result": [{"type": "hypertextlabels"}]}]}',
            "it labels HyperText, whose offsets are those of an HTML tree",
        ),
    ],
)
def test_exports_of_another_kind_are_named(task: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_tasks(f"[{task}]", tmp_path)


def test_the_labelling_config_is_written_beside_the_tasks(tmp_path: Path) -> None:
    documents = [Document("a", "Ames", (mention(0, 4, 'A "b" <c>'),))]
    there_and_back("label-studio", documents, tmp_path)
    view = fromstring((tmp_path / "corpus.xml").read_text())
    assert [label.get("value") for label in view.iter("Label")] == ['A "b" <c>']
    assert [text.attrib for text in view.iter("Text")] == [{"name": "text", "value": "$text"}]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("label-studio", content, message, tmp_path)
