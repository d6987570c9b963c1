from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span, strip_tags
from annoseq.data.pairs import Pair
from annoseq.inference.reading import Reading
from annoseq.tokenization.bioes import ScoredTokenSpans, TokenSpan
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from annoseq.inference.annotation import Annotation

LABELS = ["A", "B"]


@pytest.fixture(scope="module")
def tokenizer() -> TaggerTokenizer:
    targets = ["{{A}}Dr. {{B}}Ames{{/B}}{{/A}}", "x"]
    pairs = [Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 1)]
    examples = parse_pairs(pairs).examples
    return TaggerTokenizer.fit(examples, buckets=1024, lexicon_features=LexiconFeatures())


def assembled(reading: Reading, *found: list[ScoredTokenSpans]) -> list[Annotation]:
    return list(reading.assemble(found, labels=LABELS))


def test_a_text_is_cut_into_tokens_and_windows(tokenizer: TaggerTokenizer) -> None:
    reading = Reading.of("Dr. Ames\n" + "x y " * 30, tokenizer)
    assert reading.offsets[:4] == [(0, 2), (2, 3), (3, 8), (8, 9)]
    assert [len(reading.window(index)) for index in range(len(reading.windows))] == [3, 32, 32, 9]
    assert reading.window(0) == tokenizer.read("Dr. Ames")[1]


def test_what_the_windows_hold_is_joined(tokenizer: TaggerTokenizer) -> None:
    reading = Reading.of("Dr. Ames\nx Ames", tokenizer)
    (found,) = assembled(
        reading,
        [ScoredTokenSpans([TokenSpan(0, 3, 0, -0.5), TokenSpan(2, 3, 1, 0.0)], -1.0)],
        [ScoredTokenSpans([TokenSpan(1, 2, 1, 0.0)], -0.25)],
    )
    assert found.spans == (Span(0, 8, "A"), Span(4, 8, "B"), Span(11, 15, "B"))
    assert found.annotated == "{{A}}Dr. {{B}}Ames{{/B}}{{/A}}\nx {{B}}Ames{{/B}}"
    assert (found.score, found.windows) == (-1.25, 2)


def test_a_window_with_fewer_outputs_takes_part_with_its_last(tokenizer: TaggerTokenizer) -> None:
    reading = Reading.of("Ames\nx", tokenizer)
    name = [TokenSpan(0, 1, 0, 0.0)]
    first, second = assembled(
        reading,
        [ScoredTokenSpans(name, -1.0)],
        [ScoredTokenSpans([], -2.0), ScoredTokenSpans(name, -3.0)],
    )
    assert (first.annotated, first.score) == ("{{A}}Ames{{/A}}\nx", -3.0)
    assert (second.annotated, second.score) == ("{{A}}Ames{{/A}}\n{{A}}x{{/A}}", -4.0)


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n"])
def test_a_text_without_a_window_is_kept(tokenizer: TaggerTokenizer, text: str) -> None:
    reading = Reading.of(text, tokenizer)
    assert reading.windows == []
    (found,) = assembled(reading)
    assert (found.annotated, found.spans, found.score, found.windows) == (text, (), 0.0, 0)
