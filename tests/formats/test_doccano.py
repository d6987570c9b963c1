from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from annoseq.formats.label_map import LabelMap
from tests.formats.documents import OPTIONS, mention, read_from, there_and_back
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
        f"1 list of 'relations', left out: only spans are read (first: {place})"
    ]


def test_characters_are_counted_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "😀 Ames", "label": [[2, 6, "NAME"]]}')
    (document,) = read_from("doccano", path, options=replace(OPTIONS, offset_unit="characters"))
    assert document.mentions == (mention(2, 6, "NAME"),)


def test_offsets_are_written_in_utf_16_units(tmp_path: Path) -> None:
    document = Document("1", "😀 Ames", (mention(2, 6, "NAME"),))
    assert there_and_back("doccano", [document], tmp_path) == [document]
    assert '"label": [[3, 7, "NAME"]]' in (tmp_path / "corpus.jsonl").read_text()


def test_older_exports_name_the_text_and_the_labels_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"data": "Ames", "labels": [[0, 4, "A"], [0, 4, "A"], [0, 4, "B"]]}')
    losses = ConversionLosses()
    assert read_from("doccano", path, losses=losses) == [
        Document("1", "Ames", (mention(0, 4, "A"), mention(0, 4, "B")))
    ]
    assert losses.lines()[0].startswith("1 annotation of a range that has the same label already")


def test_numbers_of_labels_are_named_by_a_map(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    spans = '{"label": 7, "start_offset": 0, "end_offset": 4, "user": 1}, '
    spans += '{"label": 7, "start_offset": 5, "end_offset": 7, "user": 2}'
    path.write_text(f'{{"text": "Ames Bo", "annotations": [{spans}]}}')
    with pytest.raises(FormatError, match=r"\(label_config.json\).*, as \"7\" ="):
        read_from("doccano", path)
    options = replace(OPTIONS, label_map=LabelMap({"7": "NAME"}))
    losses = ConversionLosses()
    (document,) = read_from("doccano", path, losses=losses, options=options)
    assert document.mentions == (mention(0, 4, "NAME"),)
    assert losses.lines()[0].startswith("1 annotation of further annotators, left out")
    (document,) = read_from("doccano", path, options=replace(options, annotator="2"))
    assert document.mentions == (mention(5, 7, "NAME"),)


def test_offsets_that_mean_several_places_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "👩‍⚕️ Ames came by", "label": [[2, 6, "A"]]}')
    with pytest.raises(FormatError, match=r"cut a character in two; .*: --offsets graphemes"):
        read_from("doccano", path)
    options = replace(OPTIONS, offset_unit="graphemes")
    (document,) = read_from("doccano", path, options=options)
    assert [document.text[one.start : one.end] for one in document.mentions] == ["Ames"]
    path.write_text('{"text": "😀 Ames came by", "label": [[3, 7, "A"]]}')
    losses = ConversionLosses()
    assert read_from("doccano", path, losses=losses)[0].mentions == (mention(2, 6, "A"),)
    assert losses.lines()[0].startswith("1 document whose offsets could also count graphemes or")


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    check_refusal("doccano", content, message, tmp_path)
