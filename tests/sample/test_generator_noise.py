from __future__ import annotations

from random import Random

import pytest

from annoseq.data.markup import Span
from annoseq.sample.generator import (
    NOISE_EDITS,
    add_noise,
    double_space,
    drop_letter,
    drop_space,
    lower_names,
    swap_letters,
    to_lowercase,
    to_uppercase,
)
from annoseq.tokenization.pretokenizer import find_misaligned_spans

TEXT = "Seen by Dr. Roberta Stone, who agrees. Discharged Monday."
SPANS = [Span(12, 25, "NAME:DOCTOR"), Span(50, 56, "DATE")]


@pytest.mark.parametrize("edit", NOISE_EDITS)
def test_an_edit_keeps_the_spans_on_their_words(edit: object) -> None:
    assert callable(edit)
    for seed in range(200):
        text, spans = edit(TEXT, SPANS, Random(seed))
        assert find_misaligned_spans(text, spans) == []
        name, day = (text[span.start : span.end] for span in spans)
        assert name == name.strip()
        assert name[0] in "Rr"
        assert name[-1] in "Ee"
        assert (day[0] + day[-1]).lower() == "my"


def test_each_edit_changes_the_text_as_named() -> None:
    rng = Random(1)
    assert len(drop_letter(TEXT, SPANS, rng)[0]) == len(TEXT) - 1
    assert sorted(swap_letters(TEXT, SPANS, rng)[0]) == sorted(TEXT)
    assert double_space(TEXT, SPANS, rng)[0].count("  ") == 1
    assert len(drop_space("It is so. Yes", [], rng)[0]) == len("It is so.Yes")
    assert to_uppercase(TEXT, SPANS, rng) == (TEXT.upper(), SPANS)
    assert to_lowercase(TEXT, SPANS, rng) == (TEXT.lower(), SPANS)
    lowered = lower_names(TEXT, SPANS, rng)[0]
    assert lowered == "Seen by Dr. roberta stone, who agrees. Discharged Monday."


@pytest.mark.parametrize("edit", [drop_letter, swap_letters, double_space, drop_space])
def test_a_text_without_a_place_for_the_edit_is_unchanged(edit: object) -> None:
    assert callable(edit)
    assert edit("O:", [], Random(0)) == ("O:", [])


def test_about_one_row_in_eight_is_edited() -> None:
    rng = Random(0)
    edited = sum(add_noise(TEXT, SPANS, rng)[0] != TEXT for _ in range(2000))
    assert 160 < edited < 300
