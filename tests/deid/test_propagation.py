from __future__ import annotations

import pytest

from annoseq.deid.propagation import (
    PropagatedValues,
    merge_overlapping,
    propagate,
    propagated_values,
    tokenize,
)
from tests.deid.documents import TABLE, document


def detected(*annotated: str) -> list[list[str]]:
    """Return the text of every detected span, by part, after propagation."""
    full, _ = propagate(document(*annotated), TABLE)
    return [
        [part.text[find.start : find.end] for find in merge_overlapping(part.spans)]
        for part in full.parts
    ]


@pytest.mark.parametrize(
    ("annotated", "expected"),
    [
        ("{{P}}Ames{{/P}} AMES ames Amesbury xAmes", ["Ames", "AMES", "ames"]),
        ("{{P}}Ida de la Cruz{{/P}}: de la, CRUZ,IDA", ["Ida de la Cruz", "CRUZ", "IDA"]),
        ("{{P}}Dr. Will May{{/P}} will, may; Will", ["Dr. Will May", "Will"]),
        ("{{P}}Li Wu{{/P}} li Li WU Wu", ["Li Wu", "Li WU", "Wu"]),
        ("{{P}}Ann S.{{/P}}'s s S ANN", ["Ann S.", "ANN"]),
        ("{{P}}Ida\n Ames{{/P}} ida  AMES", ["Ida\n Ames", "ida  AMES"]),
        ("{{I}}0123456{{/I}} 0123456 10123456 0123456a", ["0123456"] * 3),
        ("{{I}}1234{{/I}} 1234", ["1234"]),
        ("{{D}}3/4/2010{{/D}} 3/4/2010, 13/4/2010", ["3/4/2010", "3/4/2010"]),
        ("{{D}}3/4{{/D}} pain 3/4", ["3/4"]),
        ("{{A}}62 years{{/A}} for 62 years", ["62 years"]),
        ("{{H}}General Hospital{{/H}}: the hospital, General", ["General Hospital"]),
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
