from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back
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
        "task 1: its data hold 2 texts, of which none is called 'text'. Name the one that is "
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
        "1 annotations of the same tasks, left out: the first is taken",
        "1 results of another kind than text labels, left out",
        "1 tasks that nobody has annotated, left out",
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


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("label-studio", content, message, tmp_path)
