from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.propagation import (
    PropagatedValues,
    count_guarded,
    merge_overlapping,
    propagate,
    propagated_values,
    tokenize,
)
from annoseq.errors import OptionError
from tests.deid.documents import TABLE, document, redactor

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.deid.redaction import RedactionDocument


def propagated(original: RedactionDocument) -> tuple[RedactionDocument, PropagatedValues]:
    values = PropagatedValues.from_documents([original], TABLE)
    return propagate(original, values), values


def detected(*annotated: str) -> list[list[str]]:
    """Return the text of every detected span, by part, after propagation."""
    full, _ = propagated(document(*annotated))
    return [
        [part.text[find.start : find.end] for find in merge_overlapping(part.spans)]
        for part in full.parts
    ]


@pytest.mark.parametrize(
    ("annotated", "expected"),
    [
        ("{{P}}Ames{{/P}} AMES ames Amesbury xAmes", ["Ames", "AMES", "ames"]),
        ("{{P}}Ida de la Cruz{{/P}}: de la, CRUZ,IDA", ["Ida de la Cruz", "CRUZ", "IDA"]),
        ("{{P}}Ida Rose{{/P}} rose; Rose", ["Ida Rose", "Rose"]),
        ("{{P}}Mary Lee{{/P}} LEE, lee; Mr. lee", ["Mary Lee", "LEE", "lee"]),
        ("{{P}}LEE, MARY{{/P}} Lee lee", ["LEE, MARY", "Lee"]),
        ("{{P}}An Ng{{/P}} NG tube; Mrs. NG, Ng", ["An Ng", "NG", "Ng"]),
        ("{{P}}Dr. Will May{{/P}} will, may; Will; will may", ["Dr. Will May"]),
        (
            "{{P}}Will May{{/P}}: WILL MAY; Dr May. mr. may, Mrs\nMay",
            ["Will May", "WILL MAY", "May", "may", "May"],
        ),
        ("{{P}}Ida Parkinson{{/P}} has Parkinson's disease", ["Ida Parkinson"]),
        ("{{P}}Hodgkin{{/P}}: no Hodgkin lymphoma, says Prof. Hodgkin", ["Hodgkin", "Hodgkin"]),
        ("{{P}}Ana Mayo{{/P}} el 3 de mayo; la Sra. Mayo", ["Ana Mayo", "Mayo"]),
        ("{{C}}Head{{/C}}: head", ["Head"]),
        ("{{P}}Li Wu{{/P}} li Li WU Wu", ["Li Wu", "Li WU", "Wu"]),
        ("{{P}}Ann S.{{/P}}'s s S ANN", ["Ann S.", "ANN"]),
        ("{{P}}Ida\n Ames{{/P}} ida  AMES", ["Ida\n Ames", "ida  AMES"]),
        ("{{I}}0123456{{/I}} 0123456 10123456 0123456a", ["0123456"] * 3),
        ("{{I}}1234{{/I}} 1234", ["1234"]),
        ("{{D}}3/4/2010{{/D}} 3/4/2010, 13/4/2010", ["3/4/2010", "3/4/2010"]),
        ("{{D}}3/4{{/D}} pain 3/4", ["3/4"]),
        ("{{A}}62 years{{/A}} for 62 years", ["62 years"]),
        ("{{H}}General Hospital{{/H}}: the hospital, General", ["General Hospital"]),
        (
            "{{P}}Jose\u0301 Pen\u0303a{{/P}} Jos\xe9, PE\xd1A",
            ["Jose\u0301 Pen\u0303a", "Jos\xe9", "PE\xd1A"],
        ),
        ("{{P}}Pe\xf1a{{/P}} Pen\u0303a, Pena", ["Pe\xf1a", "Pen\u0303a"]),
        ("{{P}}Ames{{/P}} Ames\xb2, Ames\xbd", ["Ames"] * 3),
    ],
)
def test_what_propagates(annotated: str, expected: list[str]) -> None:
    assert detected(annotated) == [expected]


def test_the_edge_of_a_find_is_the_edge_of_a_word() -> None:
    assert detected("Ann{{I}}ex99999{{/I}}", "{{P}}Ann{{/P}}") == [["Ann", "ex99999"], ["Ann"]]


def test_tokens_are_letters_digits_and_signs() -> None:
    assert [token.text for token in tokenize("a1_é́ ½ 👩x")] == ["a", "1", "_", "é́", "½", "👩", "x"]
    assert [token.text for token in tokenize("abcd", [2])] == ["ab", "cd"]


def test_symbols_and_single_letters_are_not_looked_for() -> None:
    assert list(propagated_values("***", "NAME", TABLE)) == []
    assert list(propagated_values("J.", "NAME", TABLE)) == []
    assert list(propagated_values("Dr", "NAME", TABLE)) == []
    assert not PropagatedValues([]).occur_in("anything")


def test_guarded_words_outside_of_spans_are_counted() -> None:
    original = document("{{P}}May Parkinson{{/P}}, Parkinson's; Dr. May may. {{D}}May{{/D}}")
    full, values = propagated(original)
    assert [count_guarded(part, values) for part in full.parts] == [2]
    (text,) = redactor("label").redact(original)
    assert text.guarded_words == 2
    assert text.text == "[NAME:PATIENT], Parkinson's; Dr. [NAME:PATIENT] may. [DATE]"
    (text,) = redactor("label", propagates=False).redact(original)
    assert text.guarded_words == 0


def test_common_words_in_other_letters_are_counted_too() -> None:
    full, values = propagated(document("{{P}}Ida Green{{/P}} GREEN green; {{P}}Al Ng{{/P}} NG"))
    assert [count_guarded(part, values) for part in full.parts] == [2]


def test_other_words_are_guarded_instead(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# ours\nAmes\n\n")
    table = PhiTypeTable.load(None, guard_words=path)
    (text,) = redactor("label", table=table).redact(document("{{P}}Ida Ames{{/P}} Ames Ida"))
    assert text.text == "[NAME:PATIENT] Ames [NAME:PATIENT]"
    (text,) = redactor("label", table=table).redact(document("{{P}}Hodgkin{{/P}} Hodgkin"))
    assert text.text == "[NAME:PATIENT] [NAME:PATIENT]"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"May\nHodgkin disease\n", r"--guard-words .*: line 2: found several words. Write one in"),
        (b"May\n\xff", r"--guard-words .*: byte 4 is not UTF-8. Save the list as UTF-8"),
        (None, r"--guard-words .* cannot be read: No such file"),
    ],
)
def test_an_invalid_list_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=message):
        PhiTypeTable.load(None, guard_words=path)


def test_the_list_has_eponyms_and_common_words_in_two_languages() -> None:
    words = {"parkinson", "hodgkin", "párkinson", "may", "will", "mayo", "abril", "crohn", "cabeza"}
    assert words <= TABLE.guarded
    assert not TABLE.guarded & TABLE.common
