from __future__ import annotations

import pytest

from annoseq.tokenization.length_stats import LengthStats, is_line_break
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from tests.tokenization.tables import EVERYTHING, pairs_of, parsed


def measured(*rows: tuple[str, str]) -> LengthStats:
    return Seq2SeqTokenizer.fit(
        parsed(pairs_of(*rows)), task="annotate", config=EVERYTHING
    ).length_stats


def test_plain_texts_grow_by_nothing() -> None:
    assert measured(("a b", "a b"), ("c", "c")) == LengthStats(growth=1.0, longest_source=2)


def test_the_largest_of_every_measure_is_kept() -> None:
    length_stats = measured(("a b c d\n", "{{A}}a b c{{/A}} d\n"), ("a", "{{B}}a{{/B}}"))
    assert length_stats == LengthStats(
        growth=2.0, longest_source=5, has_line_breaks=True, longest_span=3, depth=1
    )


@pytest.mark.parametrize(
    ("annotated", "depth", "self_nested"),
    [
        ("{{A}}a{{/A}} {{A}}b{{/A}}", 1, ()),
        ("{{A}}a {{B}}b{{/B}}{{/A}}", 2, ()),
        ("{{A}}{{B}}a{{/B}} {{B}}b{{/B}}{{/A}}", 2, ()),
        ("{{A}}a {{A}}b{{/A}}{{/A}}", 2, ("A",)),
        ("{{B}}{{A}}{{B}}{{A}}a b{{/A}}{{/B}}{{/A}}{{/B}}", 4, ("A", "B")),
    ],
)
def test_how_spans_lie_in_one_another(
    annotated: str, depth: int, self_nested: tuple[str, ...]
) -> None:
    length_stats = measured(("a b", annotated))
    assert (length_stats.depth, length_stats.self_nested) == (depth, self_nested)


def test_line_breaks_are_tokens_of_their_own() -> None:
    assert [token for token in ["\n", "\r", " ", "a", "\t"] if is_line_break(token)] == ["\n", "\r"]


def test_lengths_are_counted_in_pieces() -> None:
    pairs = pairs_of(("Ames said:\n", "{{A}}Ames{{/A}} said:\n"))
    config = EVERYTHING.model_copy(update={"tokens": "bpe", "min_frequency": 9})
    length_stats = Seq2SeqTokenizer.fit(parsed(pairs), task="annotate", config=config).length_stats
    assert length_stats == LengthStats(
        growth=16 / 14, longest_source=13, has_line_breaks=True, longest_span=5, depth=1
    )
