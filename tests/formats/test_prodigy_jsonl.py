from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError, TableError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from tests.cli.command import SECRET
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back
from tests.formats.malformed import check_refusal, malformed_jsonl

if TYPE_CHECKING:
    from pathlib import Path


PRODIGY = """{"meta": {"id": 7}, "text": "😀 Ames", "spans": [
{"start": 2, "end": 6, "label": "NAME", "text": "Ames", "token_start": 1, "score": 0.5}]}
""".replace("[\n", "[")
SPACY = """{"text": "Ames", "entities": [[0, 4, "NAME"]]}
["Bo", {"entities": [[0, 2.0, "NAME"]]}]
"""
MALFORMED = malformed_jsonl("entities")


def test_samples_of_both_tools_are_read_to_exact_spans(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(PRODIGY + SPACY)
    assert read_from("spacy-jsonl", path) == [
        Document("7", "😀 Ames", (mention(2, 6, "NAME", 0.5),)),
        Document("2", "Ames", (mention(0, 4, "NAME"),)),
        Document("3", "Bo", (mention(0, 2, "NAME"),)),
    ]


def test_prodigys_form_is_written(tmp_path: Path) -> None:
    document = Document("s", "😀 Ames", (mention(2, 6, "NAME", 0.5), mention(0, 3, "X")))
    assert there_and_back("spacy-jsonl", [document], tmp_path) == [document]
    assert (tmp_path / "corpus.jsonl").read_text() == (
        '{"id": "s", "text": "😀 Ames", "spans": ['
        '{"start": 2, "end": 6, "label": "NAME", "text": "Ames", "score": 0.5}, '
        '{"start": 0, "end": 3, "label": "X", "text": "😀 A"}]}\n'
    )


def test_answers_other_than_accept_are_no_gold(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.jsonl", ConversionLosses()
    line = '{"text": "Ames", "spans": [{"start": 0, "end": 4, "label": "A"}], "answer": "ANSWER"}\n'
    path.write_text("".join(line.replace("ANSWER", a) for a in ("reject", "accept", "ignore", "x")))
    assert read_from("spacy-jsonl", path, losses=losses) == [
        Document("2", "Ames", (mention(0, 4, "A"),))
    ]
    assert [line.partition(" (")[0] for line in losses.lines()] == [
        "1 document with the answer reject, left out",
        "1 document with the answer ignore, left out",
        "1 document with the answer unknown, left out",
    ]


def test_one_annotator_of_a_text_is_read(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.jsonl", ConversionLosses()
    line = '{"text": "Ames", "_input_hash": 5, "_annotator_id": "WHO", "spans": []}\n'
    path.write_text(line.replace("WHO", "db-ann") + line.replace("WHO", "db-bo"))
    assert [one.id for one in read_from("spacy-jsonl", path, losses=losses)] == ["1"]
    assert losses.lines()[0].startswith("1 annotation of further annotators, left out")
    options = replace(OPTIONS, annotator="db-bo")
    assert [one.id for one in read_from("spacy-jsonl", path, options=options)] == ["2"]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_list_is_read(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    entities = [["Ames", {"entities": [[0, 4, "A"]]}], ["Bo", {"entities": []}]]
    path.write_text(json.dumps(entities, indent=indent))
    assert read_from("spacy-jsonl", path) == [
        Document("1", "Ames", (mention(0, 4, "A"),)),
        Document("2", "Bo"),
    ]


def test_a_fault_in_a_json_list_is_placed_in_the_list(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n {"text": "a", "spans": []},\n {"text": }\n]')
    with pytest.raises(TableError, match="the fault is at line 3, character 10"):
        read_from("spacy-jsonl", path)
    path.write_text("[]")
    with pytest.raises(FormatError, match="the list is empty"):
        read_from("spacy-jsonl", path)


def test_the_training_format_of_spacy_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    tokens = [("Dr.", "B-A"), ("Ames", "L-A"), ("came", "-")]
    sentences = [{"tokens": [{"orth": orth, "ner": ner} for orth, ner in tokens]}]
    paragraphs = [
        {"raw": " Dr.  Ames came.", "sentences": sentences},
        {"raw": "x", "sentences": []},
    ]
    path.write_text(json.dumps([{"id": 3, "paragraphs": paragraphs}], indent=1))
    assert read_from("spacy-jsonl", path) == [
        Document("3/1", " Dr.  Ames came.", (mention(1, 10, "A"),)),
        Document("3/2", "x"),
    ]


def test_tokens_with_tags_are_joined(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.jsonl", ConversionLosses()
    path.write_text('{"id": "a", "tokens": ["Dr.", "Ames"], "ner_tags": ["O", "B-A"]}')
    assert read_from("spacy-jsonl", path, losses=losses) == [
        Document("a", "Dr. Ames", (mention(4, 8, "A"),))
    ]
    assert losses.lines()[0].startswith("1 text joined of tokens with spaces")
    path.write_text('{"tokens": ["Dr."], "ner_tags": [0]}')
    with pytest.raises(FormatError, match="its tags are numbers, whose names are in the features"):
        read_from("spacy-jsonl", path)


def test_keys_that_may_be_texts_are_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({f"{SECRET} came by": 1, "note": 2}))
    with pytest.raises(FormatError) as caught:
        read_from("spacy-jsonl", path)
    assert "there is no 'text'; there is (a key of 17 characters), 'note'" in str(caught.value)
    path.write_text('{"text": "a", "label": []}')
    with pytest.raises(FormatError, match="Or is the format doccano"):
        read_from("spacy-jsonl", path)


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("spacy-jsonl", content, message, tmp_path)
