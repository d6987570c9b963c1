from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.errors import FormatError
from annoseq.formats.offsets import (
    OffsetMapper,
    OffsetUnit,
    OffsetUnitOption,
    RawSpan,
    resolve_spans,
)
from tests.formats.documents import mention

TEXT = "😀é Ames"  # Ames begins at character 3, UTF-16 unit 4, byte 7
NAME = mention(3, 7, "NAME")


@pytest.mark.parametrize(("start", "end"), [(3, 7), (4, 8), (7, 11)])
def test_the_unit_is_found_by_the_covered_text(start: int, end: int) -> None:
    raw_span = RawSpan(((start, end),), "NAME", "Ames", "here")
    assert resolve_spans([TEXT], [raw_span], unit="auto") == (TEXT, (NAME,))


@pytest.mark.parametrize(("unit", "start"), [("characters", 3), ("utf-16", 4), ("bytes", 7)])
def test_the_unit_may_be_given(unit: OffsetUnitOption, start: int) -> None:
    raw_span = RawSpan(((start, start + 4),), "NAME", None, "here")
    assert resolve_spans([TEXT], [raw_span], unit=unit) == (TEXT, (NAME,))


def test_all_annotations_must_agree_on_the_unit() -> None:
    text = "😀 aa a"  # the first fits characters and UTF-16 units alike
    raw_spans = [RawSpan(((3, 4),), "A", "a", "first"), RawSpan(((6, 7),), "A", "a", "second")]
    assert resolve_spans([text], raw_spans, unit="auto")[1] == (
        mention(2, 3, "A"),
        mention(5, 6, "A"),
    )


@pytest.mark.parametrize(
    ("covered", "text"),
    [
        ("A &amp; B", "A & B"),
        ("A & B", "A &amp; B"),
        ("A B", "A\nB"),
        (" A  B ", "A B"),
    ],
)
def test_white_space_and_entities_may_differ(covered: str, text: str) -> None:
    raw_span = RawSpan(((0, len(text)),), "X", covered, "here")
    assert resolve_spans([text], [raw_span], unit="auto")[0] == text


def test_the_first_candidate_text_that_fits_is_taken() -> None:
    raw_span = RawSpan(((4, 5),), "X", "B", "here")
    assert resolve_spans(["A &amp; B", "A & B"], [raw_span], unit="auto")[0] == "A & B"


def test_an_offset_within_a_character_is_refused() -> None:
    raw_span = RawSpan(((1, 4),), "X", None, "x.json: line 3")
    with pytest.raises(FormatError) as caught:
        resolve_spans([TEXT], [raw_span], unit="utf-16")
    assert str(caught.value) == (
        "x.json: line 3: found the offsets 1 to 4, which are empty or do not lie in the text, "
        "whose length is 8 UTF-16 units. Count from 0, the end excluded."
    )


@settings(max_examples=15, deadline=None)
@given(text=st.text(), unit=st.sampled_from(["characters", "utf-16", "bytes"]))
def test_every_character_has_an_offset(text: str, unit: OffsetUnit) -> None:
    mapper = OffsetMapper(text, unit)
    encoding = {"characters": "utf-32-le", "utf-16": "utf-16-le", "bytes": "utf-8"}[unit]
    width = {"characters": 4, "utf-16": 2, "bytes": 1}[unit]
    for character in range(len(text) + 1):
        offset = mapper.to_offset(character)
        assert offset == len(text[:character].encode(encoding)) // width
        assert mapper.to_character(offset) == character
    assert mapper.to_character(mapper.to_offset(len(text)) + 1) is None
    assert mapper.to_character(-1) is None
