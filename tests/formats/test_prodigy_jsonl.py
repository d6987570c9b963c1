from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back
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


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("spacy-jsonl", content, message, tmp_path)
