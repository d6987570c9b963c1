from __future__ import annotations

import pytest

from annoseq.deid.propagation import Values, cut, outermost, propagate, values_of
from tests.deid.documents import TABLE, document


def spread(*annotated: str) -> list[list[str]]:
    """Return the pieces of every text that are found in the end."""
    full, _ = propagate(document(*annotated), TABLE)
    return [
        [part.text[find.start : find.end] for find in outermost(part.finds)] for part in full.parts
    ]


@pytest.mark.parametrize(
    ("annotated", "found"),
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
def test_what_propagates(annotated: str, found: list[str]) -> None:
    assert spread(annotated) == [found]


def test_the_edge_of_a_find_is_the_edge_of_a_word() -> None:
    assert spread("Ann{{I}}ex99999{{/I}}", "{{P}}Ann{{/P}}") == [["Ann", "ex99999"], ["Ann"]]


def test_tokens_are_letters_digits_and_signs() -> None:
    assert [token.text for token in cut("a1_é́ ½ 👩x")] == ["a", "1", "_", "é́", "½", "👩", "x"]
    assert [token.text for token in cut("abcd", [2])] == ["ab", "cd"]


def test_symbols_and_single_letters_are_not_looked_for() -> None:
    assert list(values_of("***", "NAME", TABLE)) == []
    assert list(values_of("J.", "NAME", TABLE)) == []
    assert list(values_of("Dr", "NAME", TABLE)) == []
    assert not Values([]).are_in("anything")
