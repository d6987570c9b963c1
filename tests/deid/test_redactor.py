"""What holds of redacted text, whatever was found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.phi_types import Table
from annoseq.deid.redaction import Document, Find, Part
from annoseq.deid.redactor import leftovers
from annoseq.errors import OptionError
from annoseq.sample import sample_pairs
from tests.deid.documents import TABLE, document, redacted, redactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.deid.redaction import Redacted, Style

LABELS = ("NAME:PATIENT", "DATE", "AGE", "ID", "LOCATION:HOSPITAL", "LOCATION:CITY", "EMAIL")
_words = st.sampled_from(
    [
        *("Ames", "AMES", "ames", "John", "Dr", ".", "Li", "12/03/2010", "92", "0123456", "Doctor"),
        *("J", "a@b.org", "Name", "-", " ", "\n", "  ", "*", "St", "é", "👩", "May 2010", "City"),
    ]
)
_texts = st.lists(_words, min_size=1, max_size=8).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Draw texts of few words, with any spans, also crossing ones and such as cut words."""
    parts = []
    for number, text in enumerate(draw(st.lists(_texts, min_size=1, max_size=3)), 1):
        places = st.integers(0, len(text))
        spans = st.tuples(places, places, st.sampled_from(LABELS))
        found = draw(st.lists(spans, max_size=3))
        finds = tuple(Find(min(a, b), max(a, b), label) for a, b, label in found)
        parts.append(Part(str(number), text, finds))
    return Document("note", tuple(parts))


def check_rest(one: Document, made: Sequence[Redacted]) -> None:
    """Check that outside of what was replaced the texts are the same, and the offsets true."""
    for before, after in zip(one.parts, made, strict=True):
        old = new = 0
        for change in after.replacements:
            kept = before.text[old : change.old.start]
            assert after.text[new : change.start] == kept
            assert after.text[change.start : change.end] == change.text
            assert before.text[change.old.start : change.old.end] == change.value
            old, new = change.old.end, change.end
        assert after.text[new:] == before.text[old:]


@pytest.mark.parametrize("style", ["label", "mask", "surrogate"])
@settings(max_examples=15, deadline=None)
@given(one=documents())
def test_what_was_found_is_gone_and_the_rest_is_as_it_was(style: Style, one: Document) -> None:
    made = redactor(style).redact(one)
    check_rest(one, made)
    assert list(leftovers(one, made, TABLE)) == []
    for before, after in zip(one.parts, made, strict=True):
        for find in before.finds:
            places = range(find.start, find.end)
            hidden = {at for c in after.replacements for at in range(c.old.start, c.old.end)}
            assert all(at in hidden or before.text[at].isspace() for at in places)
        for change in after.replacements:
            assert change.text != change.value or "90+" in change.text
            if change.is_made_up and "90+" not in change.text:
                assert change.value.casefold() not in change.text.casefold()
        if style == "mask":
            assert len(after.text) == len(before.text)


def test_a_label_stands_for_what_was_found() -> None:
    made = redacted("label", "Dear Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}:")
    assert made == "Dear Dr. [NAME:DOCTOR]:"


def test_a_mask_is_as_long_and_keeps_the_lines() -> None:
    assert redacted("mask", "Mr {{P}}Ida\nAmes{{/P}}, 4*4") == "Mr ***\n****, 4*4"
    assert redacted("mask", "no {{I}}12*345{{/I}}") == "no ######"


def test_a_label_that_says_what_was_found_gives_way_to_a_mask() -> None:
    made = redacted("label", "{{P}}Patient{{/P}} of {{NAME:DOCTOR}}Ida Ames{{/NAME:DOCTOR}}")
    assert made == "******* of [NAME:DOCTOR]"


def test_the_outermost_of_nested_spans_is_replaced_and_crossing_ones_are_one() -> None:
    (one,) = redactor("label").redact(document("{{H}}St. {{P}}Luke{{/P}}'s{{/H}} called"))
    assert (one.text, one.inner) == ("[LOCATION:HOSPITAL] called", 1)
    crossing = (Find(0, 8, "LOCATION:HOSPITAL"), Find(4, 12, "NAME:PATIENT"))
    (one,) = redactor("label").redact(Document("x", (Part("1", "abc defg hij k", crossing),)))
    assert one.text == "[LOCATION:HOSPITAL] k"


def test_what_scores_too_low_is_left_alone() -> None:
    finds = (Find(0, 4, "NAME", 0.4), Find(5, 9, "NAME", 0.9), Find(10, 14, "NAME"))
    one = Document("x", (Part("1", "Ames Bond Cole", finds),))
    assert redactor("label", min_score=0.5).redact(one)[0].text == "Ames [NAME] [NAME]"


def test_a_kind_may_be_kept() -> None:
    table = Table({**TABLE.labels, "age": "keep"}, TABLE.propagation, TABLE.common, TABLE.never)
    text = "{{A}}{{P}}Ida{{/P}}, 50{{/A}}"
    (one,) = redactor("mask", table=table).redact(document(text))
    assert one.text == "***, 50"


def test_a_name_is_replaced_everywhere_in_its_document_and_only_there() -> None:
    texts = ("Seen: {{P}}Ida Ames{{/P}}. AMES,IDA; Amesbury", "Mrs. ames came with Ida's son")
    (first, second) = redactor("label").redact(document(*texts))
    label = "[NAME:PATIENT]"
    assert first.text == f"Seen: {label}. {label},{label}; Amesbury"
    assert second.text == f"Mrs. {label} came with {label}'s son"
    assert [change.old.by for change in first.replacements] == ["model", *["propagated"] * 2]
    (other,) = redactor("label").redact(document("Ida Ames", name="another"))
    assert other.text == "Ida Ames"
    alone = redactor("label", propagates=False).redact(document(*texts))
    assert alone[1].text == "Mrs. ames came with Ida's son"


def test_an_unknown_label_is_named_with_what_to_do() -> None:
    message = re.escape('under [labels], a line "PET" = "KIND"')
    with pytest.raises(OptionError, match=f"the label 'PET' stands for no kind.*{message}"):
        redacted("label", "{{PET}}Rex{{/PET}}")


def test_the_sample_corpus_is_redacted_whole() -> None:
    pairs = list(sample_pairs(120, seed=3))
    for name in dict.fromkeys(pair.document for pair in pairs):
        rows = [pair for pair in pairs if pair.document == name]
        one = document(*(pair.target for pair in rows), name=str(name))
        made = redactor().redact(one)
        check_rest(one, made)
        assert list(leftovers(one, made, TABLE)) == []
        assert any(after.replacements for after in made)
