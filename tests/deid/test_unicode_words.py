"""Values in all their Unicode forms and letters: found at exact offsets, with one surrogate."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from unicodedata import category, normalize

import pytest
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st

from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.propagation import PropagatedValues, propagated_values, tokenize
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.unicode_words import IGNORABLE, compose, fold
from tests.deid.documents import TABLE, Style, leaked_values, redactor
from tests.deid.test_surrogates import SCOPES

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "\u0391\u03b3\u03bb\u03b1\u0390\u03b1",  # Greek; its case folding is decomposed
    "\u0396\u03b1\u0390\u03bc\u03b7\u03c2",
    "\u0391\u03c7\u03b9\u03bb\u03bb\u1fb6\u03c2",
    "\u1fb3\u03b4\u03b7\u03c2",  # iota subscript, in capitals a letter of its own
    "\u099c\u09df\u09a8\u09cd\u09a4",  # Bengali, a letter that NFC decomposes
    "\u095b\u093e\u0915\u093f\u0930",  # Hindi, too
    "\u0930\u093e\u091c\u0947\u0936",  # with vowel signs
    "\ufb2a\u05de\u05d5\u05d0\u05dc",  # Hebrew, too
    "\u0623\u062d\u0645\u062f",  # Arabic
    "\u30ac\u30d6\u30ea\u30a8\u30eb",  # Japanese
    "\uae40\uc601\ud76c",  # Korean
    "Nguy\u1ec5n",
    "Jos\xe9",
    "\u01f0an",
    "\u1e9eorg",
    "Preu\xdf",
    "\u0130lkay",
)
"""Names whose letters have several Unicode forms or cases, or marks."""


_FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters of Korean that are not displayed."""


def caseless(text: str) -> str:
    """Fold a text as definition D145 of the Unicode Standard has it."""
    return normalize("NFD", normalize("NFD", text).casefold())


def forms(name: str) -> set[str]:
    """Return what is the same name in other letters and Unicode forms."""
    letters = {name, name.upper(), name.lower(), name.title(), name.casefold(), name.swapcase()}
    letters |= {normalize("NFD", name).upper(), normalize("NFD", name).casefold()}
    found = {normalize(form, one) for one in letters for form in ("NFC", "NFD")} | letters
    return {one for one in found if caseless(one) == caseless(name)}


def values_of(name: str, label: str = "NAME:PATIENT") -> PropagatedValues:
    return PropagatedValues(propagated_values(name, label, TABLE))


def places(values: PropagatedValues, text: str) -> set[tuple[int, int]]:
    return {(span.start, span.end) for span in values.find_all(text)}


def detected(text: str, *names: str) -> RedactionDocument:
    """Return a document in which the first occurrence of each name is marked."""
    spans = (
        DetectedSpan(text.index(name), text.index(name) + len(name), "NAME:PATIENT")
        for name in names
    )
    return RedactionDocument("note", (DocumentPart("1", text, tuple(spans), patient="p"),))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_in_all_its_forms(name: str) -> None:
    for written in forms(name):
        values = values_of(written)
        for other in forms(name):
            assert places(values, f"x {other}, y") == {(2, 2 + len(other))}
            assert values.occur_in(f"{name} {other}")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_within_another_word_is_not_found(name: str) -> None:
    letter = normalize("NFC", name)[-1]
    for other in forms(name):
        assert not values_of(name).occur_in(f"{other}{letter} x{other} {other}\u0308")


@pytest.mark.parametrize("style", ["label", "surrogate", "mask"])
@pytest.mark.parametrize("name", NAMES)
def test_redaction_leaves_no_form_of_a_name(name: str, style: Style) -> None:
    for written in forms(name):
        others = sorted(forms(name))
        original = detected(f"Mr {written} saw {', '.join(others)}.", written)
        (text,) = redactor(style).redact(original)
        assert len(text.replacements) == 1 + len(others)
        assert [one.original for one in text.replacements] == [written, *others]
        assert leaked_values(original, [text]) == []
        kept = text.text
        for one in reversed(text.replacements):
            kept = kept[: one.start] + one.original + kept[one.end :]
        assert kept == original.parts[0].text


@pytest.mark.parametrize("name", NAMES)
def test_all_forms_of_a_name_have_one_surrogate(name: str) -> None:
    for scope in SCOPES:
        own = redactor(scope=scope)
        made = set()
        for written in forms(name):
            (text,) = own.redact(detected(f"{written} was seen", written))
            made.add(text.replacements[0].text.casefold())
        assert len(made) == 1, scope
        assert next(iter(made)).isascii()


@pytest.mark.parametrize("label", ["LOCATION:CITY", "LOCATION:HOSPITAL", "PROFESSION"])
@pytest.mark.parametrize("name", NAMES)
def test_other_values_have_one_surrogate_in_all_forms(name: str, label: str) -> None:
    text = ", ".join(sorted(forms(name)))
    spans = [
        DetectedSpan(text.index(one), text.index(one) + len(one), label) for one in text.split(", ")
    ]
    (made,) = redactor().redact(RedactionDocument("note", (DocumentPart("1", text, tuple(spans)),)))
    assert len({one.text.casefold() for one in made.replacements}) == 1


def test_common_words_and_words_of_two_letters_are_guarded_in_all_forms() -> None:
    table = replace(TABLE, never=frozenset(), guarded=frozenset({fold("J\u030cAN")}))
    for written in ("\u01f0an", "J\u030cAN"):
        values = PropagatedValues(propagated_values(written, "NAME:PATIENT", table))
        for other in ("\u01f0an", "J\u030cAN"):
            assert list(values.find(other)) == []
            assert places(values, f"Dr. {other}") == {(4, 4 + len(other))}
    two = values_of("\xc9\u01f0")
    assert [(span.start, span.end) for span in two.find("E\u0301j\u030c, \xe9\u01f0")] == [(0, 4)]


def test_lists_of_words_are_read_in_either_unicode_form(tmp_path: Path) -> None:
    words, types = tmp_path / "words.txt", tmp_path / "types.toml"
    words.write_text("Pen\u0303a\n", encoding="utf-8")
    types.write_text('[words]\nnever = ["Jose\u0301"]\ncommon = ["Ruiz\u0302"]\n', encoding="utf-8")
    table = PhiTypeTable.load(types, guard_words=words)
    assert table.guarded == {"pe\xf1a"}
    assert "jos\xe9" in table.never
    assert "rui\u1e91" in table.common


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("\u0623\u062d\u0645\u062f", "\u0623\u064e\u062d\u0652\u0645\u064e\u062f\u064c"),
        (
            "\u05e9\u05de\u05d5\u05d0\u05dc",
            "\u05e9\u05c1\u05b0\u05de\u05d5\u05bc\u05d0\u05b5\u05dc",
        ),
        ("\u845b\u57ce", "\u845b\U000e0100\u57ce"),
        ("Ames", "Ames\ufe0f"),
    ],
)
def test_marks_that_are_optional_in_writing_do_not_count(name: str, text: str) -> None:
    assert places(values_of(name), f"x {text}") == {(2, 2 + len(text))}
    assert places(values_of(text), f"x {name}") == {(2, 2 + len(name))}


def test_marks_after_digits_are_no_part_of_a_number() -> None:
    values = values_of("0123456", "ID:MEDICALRECORD")
    assert places(values, "0123456\ufe0f\u20e3 0123456\u0301") == {(0, 7), (10, 17)}
    assert places(values_of("0123456\ufe0f", "ID:MEDICALRECORD"), "0123456") == {(0, 7)}


def test_a_number_is_found_with_any_hyphen() -> None:
    text = "78-05-1120 or 78\u201105\u20111120 or 78\u201005\u20101120, not 78 05 1120"
    assert places(values_of("78-05-1120", "SSN"), text) == {(0, 10), (14, 24), (28, 38)}
    (made,) = redactor().redact(
        RedactionDocument("note", (DocumentPart("1", text, (DetectedSpan(0, 10, "SSN"),)),))
    )
    assert len({fold(one.text) for one in made.replacements}) == 1
    assert len(made.replacements) == 3


def test_symbols_have_their_marks() -> None:
    assert [token.text for token in tokenize("\u2260=\u0338\u0385 \u0301\u0323")] == [
        "\u2260",
        "=\u0338",
        "\u0385",
        "\u0301\u0323",
    ]
    assert fold("=\u0338") == "\u2260"


def test_white_space_separates_words_and_what_is_not_displayed_does_not() -> None:
    assert [token.text for token in tokenize("a\x1cb\u200bc\u200cd\u200de\xadf\u200f \ufeffg")] == [
        *("a", "b", "c\u200cd\u200de\xadf", "g")
    ]
    assert [token.text for token in tokenize("1\xad2\u200b3\xad")] == ["1\xad2", "3"]
    assert list(tokenize("\u200b\xad\ufeff")) == []


def test_what_is_not_displayed_is_the_property_of_unicode() -> None:
    expected = regex.compile(r"\p{Default_Ignorable_Code_Point}")
    own = regex.compile(f"[{IGNORABLE}]")
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        assert bool(own.match(letter)) == bool(expected.match(letter)), hex(code)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Garc\xeda", "Gar\xadc\xeda"),
        ("Garc\xeda", "G\u2060arci\u0301a"),
        (
            "\u0639\u0628\u062f\u0627\u0644\u0644\u0647",
            "\u0639\u0628\u062f\u200c\u0627\u0644\u0644\u0647",
        ),
        ("Ana-Ruiz", "Ana\u2011Ruiz"),
        ("Ida O'Hara", "Ida O\u2019Hara"),
        ("Ana Ruiz", "Ana \u200eRuiz"),
        ("Ana Ruiz", "Ana\u200bRuiz"),
        ("\u0130smail I\u015f\u0131k", "ismail \u0131\u015f\u0131k"),
        ("\u0130smail I\u015f\u0131k", "ISMAIL I\u015eIK"),
        ("ismail", "\u0130SMA\u0130L"),
    ],
)
def test_names_with_signs_that_are_not_displayed_and_turkish_names_are_found(
    name: str, text: str
) -> None:
    for written, other in ((name, text), (text, name)):
        assert (2, 2 + len(other)) in places(values_of(written), f"x {other}, y")
        (made,) = redactor().redact(detected(f"{written} saw {other}.", written))
        first, second = made.replacements
        assert (first.original, second.original) == (written, other)
        assert first.text.casefold() == second.text.casefold()


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("NAME:PATIENT", ["G\xfcl", "G\xdcL", "GU\u0308L"]),
        ("NAME:PATIENT", ["B\u0130R", "Bir", "BIR"]),
        ("NAME:PATIENT", ["\u041b\u0435\u0432", "\u041b\u0415\u0412"]),
        ("NAME:PATIENT", ["\u0396\u03c9\u03ae", "\u0396\u03a9\u0389"]),
        ("ID:MEDICALRECORD", ["ID-1234567", "\u0130D-1234567", "ID\xad-1234\u2060567"]),
        ("ID:MEDICALRECORD", ["id-1234567", "\u0131d-1234567", "i\u0307d-1234567"]),
    ],
)
def test_a_value_has_one_surrogate_in_all_documents(label: str, written: list[str]) -> None:
    for scope in SCOPES:
        made = set()
        for one in written:
            spans = (DetectedSpan(0, len(one), label),)
            part = DocumentPart("1", one, spans, patient="p")
            (text,) = redactor(scope=scope).redact(RedactionDocument("note", (part,)))
            made.add(fold(text.text))
        assert len(made) == 1, scope


@pytest.mark.parametrize("style", ["label", "surrogate", "mask"])
def test_a_value_that_is_not_displayed_is_replaced_alone(style: Style) -> None:
    (made,) = redactor(style).redact(detected("Seen \u200b\xad by \u200b\xad.", "\u200b\xad"))
    assert [one.original for one in made.replacements] == ["\u200b\xad"]


def test_every_letter_is_one_token_in_all_its_forms() -> None:
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if category(letter)[0] != "L" or letter in _FILLERS:
            continue
        for form in forms(letter):
            assert [token.text for token in tokenize(form)] == [form], hex(code)
            assert fold(form) == fold(letter) == fold(fold(form)), hex(code)
            assert normalize("NFC", fold(form)) == fold(form), hex(code)
            assert compose(form) == compose(normalize("NFD", form)), hex(code)


_LETTERS = st.characters(categories=["L"], exclude_characters=_FILLERS)
_MARKS = st.characters(categories=["M"])
_NAMES = st.builds(
    str.__add__, _LETTERS, st.text(st.one_of(_LETTERS, _LETTERS, _MARKS), min_size=1, max_size=9)
)


@given(name=_NAMES, data=st.data())
@example(name="\u1fb3\u0301\u0345\u0327", data=None)
def test_any_name_is_found_in_any_form(name: str, data: st.DataObject | None) -> None:
    found_in = list(propagated_values(name, "NAME:PATIENT", TABLE))
    assume(found_in)  # not too short, and no title
    values = PropagatedValues(found_in)
    every = sorted(forms(name))
    for other in every if data is None else [data.draw(st.sampled_from(every))]:
        text = f"Mx. {other}'s x{other} {other}x (\u0390 {other})"
        first, last = text.index(other), text.rindex(other)
        found = {(first, first + len(other)), (last, last + len(other))}
        assert places(values, text) == found


@given(name=_NAMES, other=_NAMES)
def test_other_names_are_not_found(name: str, other: str) -> None:
    assume(fold(name) != fold(other))
    assert not places(values_of(name), f"x {other}")


@given(text=st.text(st.one_of(_LETTERS, _MARKS, st.characters()), max_size=30))
def test_the_tokens_of_a_text_are_the_same_in_either_form(text: str) -> None:
    composed, decomposed = (
        [fold(token.text) for token in tokenize(normalize(form, text))] for form in ("NFC", "NFD")
    )
    assert composed == decomposed == [fold(token.text) for token in tokenize(text)]
