"""Properties of redacted text, for any detected spans."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.custom_patterns import find_patterns, load_patterns
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.errors import OptionError
from annoseq.evaluation.deid_metrics import covered_characters
from annoseq.sample import sample_pairs
from tests.deid.documents import TABLE, document, leaked_values, redacted, redactor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import FrameType

    from annoseq.deid.redaction import RedactedText
    from tests.deid.documents import Style


LABELS = ("NAME:PATIENT", "DATE", "AGE", "ID", "LOCATION:HOSPITAL", "LOCATION:CITY", "EMAIL")
_words = st.sampled_from(
    [
        *("Ames", "AMES", "ames", "John", "Dr", ".", "Li", "12/03/2010", "92", "0123456", "Doctor"),
        *("J", "a@b.org", "Name", "-", " ", "\n", "  ", "*", "St", "é", "👩", "May 2010", "City"),
    ]
)
_texts = st.lists(_words, min_size=1, max_size=8).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> RedactionDocument:
    """Draw texts of few words, with any spans, also crossing ones and such as cut words."""
    parts = []
    for number, text in enumerate(draw(st.lists(_texts, min_size=1, max_size=3)), 1):
        places = st.integers(0, len(text))
        spans = st.tuples(places, places, st.sampled_from(LABELS))
        drawn = draw(st.lists(spans, max_size=3))
        detected = tuple(DetectedSpan(min(a, b), max(a, b), label) for a, b, label in drawn)
        parts.append(DocumentPart(str(number), text, detected))
    return RedactionDocument("note", tuple(parts))


def single_part(text: str, spans: tuple[DetectedSpan, ...]) -> RedactionDocument:
    return RedactionDocument("x", (DocumentPart("1", text, spans),))


def check_offsets(original: RedactionDocument, redacted_texts: Sequence[RedactedText]) -> None:
    """Check that offsets are right and that text outside of replacements is unchanged."""
    for before, after in zip(original.parts, redacted_texts, strict=True):
        old = new = 0
        for change in after.replacements:
            kept = before.text[old : change.span.start]
            assert after.text[new : change.start] == kept
            assert after.text[change.start : change.end] == change.text
            assert before.text[change.span.start : change.span.end] == change.original
            old, new = change.span.end, change.end
        assert after.text[new:] == before.text[old:]


@pytest.mark.parametrize("style", ["label", "mask", "surrogate"])
@settings(max_examples=15, deadline=None)
@given(original=documents())
def test_detected_spans_are_gone_and_all_other_text_is_unchanged(
    style: Style, original: RedactionDocument
) -> None:
    redacted_texts = redactor(style).redact(original)
    check_offsets(original, redacted_texts)
    assert leaked_values(original, redacted_texts) == []
    for before, after in zip(original.parts, redacted_texts, strict=True):
        replaced = covered_characters(before.text, [c.span for c in after.replacements])
        assert covered_characters(before.text, before.spans) <= replaced
        for change in after.replacements:
            assert change.text != change.original or "90+" in change.text
            if change.action in {"surrogate", "shift"} and "90+" not in change.text:
                assert change.original.casefold() not in change.text.casefold()
        if style == "mask":
            assert len(after.text) == len(before.text)


def test_labels_replace_spans() -> None:
    text = redacted("label", "Dear Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}:")
    assert text == "Dear Dr. [NAME:DOCTOR]:"


def test_masks_keep_length_and_lines() -> None:
    assert redacted("mask", "Mr {{P}}Ida\nAmes{{/P}}, 4*4") == "Mr ***\n****, 4*4"
    assert redacted("mask", "no {{I}}12*345{{/I}}") == "no ######"


def test_a_label_that_reveals_a_value_is_replaced_by_a_mask() -> None:
    text = redacted("label", "{{P}}Patient{{/P}} of {{NAME:DOCTOR}}Ida Ames{{/NAME:DOCTOR}}")
    assert text == "******* of [NAME:DOCTOR]"


def test_nested_and_crossing_spans_are_merged() -> None:
    (text,) = redactor("label").redact(document("{{H}}St. {{P}}Luke{{/P}}'s{{/H}} called"))
    assert (text.text, text.nested_spans) == ("[LOCATION:HOSPITAL] called", 1)
    crossing = (DetectedSpan(0, 8, "LOCATION:HOSPITAL"), DetectedSpan(4, 12, "NAME:PATIENT"))
    (text,) = redactor("label").redact(single_part("abc defg hij k", crossing))
    assert text.text == "[LOCATION:HOSPITAL] k"


def test_spans_below_the_minimum_score_are_not_replaced() -> None:
    spans = (
        DetectedSpan(0, 4, "NAME", 0.4),
        DetectedSpan(5, 9, "NAME", 0.9),
        DetectedSpan(10, 14, "NAME"),
    )
    original = single_part("Ames Bond Cole", spans)
    assert redactor("label", min_score=0.5).redact(original)[0].text == "Ames [NAME] [NAME]"


def test_a_phi_type_may_be_kept() -> None:
    table = replace(TABLE, labels={**TABLE.labels, "age": "none"})
    text = "{{A}}{{P}}Ida{{/P}}, 50{{/A}}"
    (redacted_text,) = redactor("mask", table=table).redact(document(text))
    assert redacted_text.text == "***, 50"


def test_a_name_is_replaced_everywhere_in_its_document_and_only_there() -> None:
    texts = ("Seen: {{P}}Ida Ames{{/P}}. AMES,IDA; Amesbury", "Mrs. ames came with Ida's son")
    (first, second) = redactor("label").redact(document(*texts))
    label = "[NAME:PATIENT]"
    assert first.text == f"Seen: {label}. {label},{label}; Amesbury"
    assert second.text == f"Mrs. {label} came with {label}'s son"
    assert [change.span.source for change in first.replacements] == ["model", *["propagated"] * 2]
    (other,) = redactor("label").redact(document("Ida Ames", name="another"))
    assert other.text == "Ida Ames"
    alone = redactor("label", propagates=False).redact(document(*texts))
    assert alone[1].text == "Mrs. ames came with Ida's son"


def test_a_label_without_phi_type_is_refused() -> None:
    message = re.escape('under [labels], a line "PET" = "TYPE"')
    with pytest.raises(OptionError, match=f"the label 'PET' has no PHI type yet.*{message}"):
        redacted("label", "{{PET}}Rex{{/PET}}")


def test_the_sample_corpus_is_redacted_whole() -> None:
    pairs = list(sample_pairs(120, seed=3))
    for name in dict.fromkeys(pair.document for pair in pairs):
        rows = [pair for pair in pairs if pair.document == name]
        original = document(*(pair.target for pair in rows), name=str(name))
        redacted_texts = redactor().redact(original)
        check_offsets(original, redacted_texts)
        assert leaked_values(original, redacted_texts) == []
        assert any(text.replacements for text in redacted_texts)


def operations(style: Style, rows: int) -> int:
    """Count the bytecode operations of redacting a document of rows with different values."""
    original = document(
        *(
            f"Dr. {{{{P}}}}{_name(row)}{{{{/P}}}}, {{{{I}}}}{1234567 + row}{{{{/I}}}}, "
            f"{{{{C}}}}{_name(row + 9000)}{{{{/C}}}}, {{{{D}}}}{row % 12 + 1}/3/2010{{{{/D}}}}"
            for row in range(rows)
        )
    )
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    own_redactor = redactor(style, table=TABLE)
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        own_redactor.redact(original)
    finally:
        sys.settrace(previous)
    return count


def _name(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:05}").capitalize()


@pytest.mark.parametrize("style", ["label", "mask", "surrogate"])
def test_work_grows_linearly_with_the_rows_of_a_document(style: Style) -> None:
    operations(style, 36)  # read word lists and names, and parse each date
    assert operations(style, 60) < 2.2 * operations(style, 30)


GOOD = r"""
[ward]
label = "LOCATION:HOSPITAL"
pattern = 'ward (?P<value>\d+)'
ignore_case = true

["hospital number"]
label = "ID:MEDICALRECORD"
pattern = '\bHN\d{6}\b'
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "patterns.toml"
    path.write_text(content)
    return path


def test_patterns_find_what_they_say(tmp_path: Path) -> None:
    patterns = load_patterns(write(tmp_path, GOOD))
    text = "Ward 12, HN123456, hn123456"
    found = find_patterns(patterns, text, where="text 1")
    assert [(text[one.start : one.end], one.label, one.source, one.score) for one in found] == [
        ("12", "LOCATION:HOSPITAL", "pattern", None),
        ("HN123456", "ID:MEDICALRECORD", "pattern", None),
    ]


def test_nothing_is_not_found(tmp_path: Path) -> None:
    patterns = load_patterns(write(tmp_path, "[x]\nlabel = 'A'\npattern = 'a*'"))
    found = find_patterns(patterns, "baab", where="text 1")
    assert [(one.start, one.end) for one in found] == [(1, 3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"there is no pattern in it. Write for each a table \[name\]"),
        ("x = 1", r"\[x\] is no table. Write \[x\]"),
        ("[x]\nlabel = 'A'", r"\[x\]: pattern: Field required. Write label = "),
        ("[x]\npattern = 'A'", r"\[x\]: label: Field required. Write label = "),
        ("[x]\nlabel = 'A'\npattern = 'A'\nregex = 'A'", r"\[x\]: regex: Extra inputs are not"),
        ("[x]\nlabel = 'A'\npattern = 1", r"\[x\]: pattern: Input should be a valid string"),
        ("[x]\nlabel = 'A B'\npattern = 'A'", r"\[x\]: label: 'A B' has white space, braces or"),
        ("[x]\nlabel = 'A'\npattern = '('", r"\[x\]: this is not a regular expression: "),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        load_patterns(write(tmp_path, content))


def test_a_pattern_that_never_ends_is_stopped_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[endless]\nlabel = 'A'\npattern = '(a|aa)+$'")
    (pattern,) = load_patterns(path)
    with pytest.raises(OptionError, match=r"'endless' takes more than 0.05 seconds on text 7"):
        list(pattern.find("a" * 60 + "b", where="text 7", seconds=0.05))
