from __future__ import annotations

from random import Random

import pytest

from annoseq.data.markup import Span
from annoseq.sample.generator import (
    EDITS,
    add_noise,
    double_space,
    drop_letter,
    drop_space,
    lower_names,
    mumble,
    shout,
    swap_letters,
)
from annoseq.tokenization.pretokenizer import cut_spans

TEXT = "Seen by Dr. Roberta Stone, who agrees. Discharged Monday."
SPANS = [Span(12, 25, "NAME:DOCTOR"), Span(50, 56, "DATE")]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_keeps_the_spans_on_their_words(edit: object) -> None:
    assert callable(edit)
    for seed in range(200):
        text, spans = edit(TEXT, SPANS, Random(seed))
        assert cut_spans(text, spans) == []
        name, day = (text[span.start : span.end] for span in spans)
        assert name == name.strip()
        assert name[0] in "Rr"
        assert name[-1] in "Ee"
        assert (day[0] + day[-1]).lower() == "my"


def test_each_edit_does_what_it_says() -> None:
    rng = Random(1)
    assert len(drop_letter(TEXT, SPANS, rng)[0]) == len(TEXT) - 1
    assert sorted(swap_letters(TEXT, SPANS, rng)[0]) == sorted(TEXT)
    assert double_space(TEXT, SPANS, rng)[0].count("  ") == 1
    assert len(drop_space("It is so. Yes", [], rng)[0]) == len("It is so.Yes")
    assert shout(TEXT, SPANS, rng) == (TEXT.upper(), SPANS)
    assert mumble(TEXT, SPANS, rng) == (TEXT.lower(), SPANS)
    lowered = lower_names(TEXT, SPANS, rng)[0]
    assert lowered == "Seen by Dr. roberta stone, who agrees. Discharged Monday."


@pytest.mark.parametrize("edit", [drop_letter, swap_letters, double_space, drop_space])
def test_a_text_without_a_place_for_the_error_is_left_alone(edit: object) -> None:
    assert callable(edit)
    assert edit("O:", [], Random(0)) == ("O:", [])


def test_about_one_row_in_eight_is_damaged() -> None:
    rng = Random(0)
    damaged = sum(add_noise(TEXT, SPANS, rng)[0] != TEXT for _ in range(2000))
    assert 160 < damaged < 300
