from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.doccano import read
from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back
from tests.formats.malformed import check_refusal, malformed_jsonl

if TYPE_CHECKING:
    from pathlib import Path


SAMPLE = """{"id": 7, "text": "😀 Ames", "label": [[3, 7, "NAME"]]}
{"text": "Bo", "entities": [{"id": 1, "label": "NAME", "start_offset": 0, "end_offset": 2}],
 "relations": [1], "Comments": []}

{"text": "x", "labels": []}
""".replace(",\n", ",")
MALFORMED = malformed_jsonl("label")


def test_a_sample_is_read_to_exact_spans(tmp_path: Path) -> None:
    path, losses = tmp_path / "a.jsonl", ConversionLosses()
    path.write_text(SAMPLE)
    assert read_from("doccano", path, losses=losses) == [
        Document("7", "😀 Ames", (mention(2, 6, "NAME"),)),
        Document("2", "Bo", (mention(0, 2, "NAME"),)),
        Document("3", "x"),
    ]
    place = f"{path}: row 2 (line 2)"
    assert losses.lines() == [
        f"1 lists of 'relations', left out: only spans are read (first: {place})"
    ]


def test_characters_are_counted_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "😀 Ames", "label": [[2, 6, "NAME"]]}')
    (document,) = read(path, offset_unit="characters", losses=ConversionLosses())
    assert document.mentions == (mention(2, 6, "NAME"),)


def test_offsets_are_written_in_utf_16_units(tmp_path: Path) -> None:
    document = Document("1", "😀 Ames", (mention(2, 6, "NAME"),))
    assert there_and_back("doccano", [document], tmp_path) == [document]
    assert '"label": [[3, 7, "NAME"]]' in (tmp_path / "corpus.jsonl").read_text()


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("doccano", content, message, tmp_path)
