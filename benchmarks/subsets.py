"""Subsets of datasets: short rows, or rows drawn at random."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from annoseq.data.pairs import Pairs
from annoseq.errors import OptionError
from annoseq.tokenization.dataset import PreparedEncodings
from annoseq.tokenization.pretokenizer import build_pretokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.splits import TextPair
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

Row = TypeVar("Row")


def word_lengths(pairs: Sequence[TextPair]) -> list[int]:
    """Count the word tokens of every source."""
    rule = build_pretokenizer()
    return [len(rule.pre_tokenize_str(pair.source)) for pair in pairs]


def take(examples: Sequence[Row], rows: Sequence[int]) -> list[Row]:
    """Return rows by number, in the given order."""
    return [examples[row] for row in rows]


def keep_short(dataset: Dataset, *, max_tokens: int, at_least: int = 1) -> Dataset:
    """Leave out rows of more than `max_tokens` source words; the vocabularies stay those of all.

    Raises:
        OptionError: fewer than `at_least` training rows, or no dev row, are left.
    """
    train, valid = (
        take(part, [row for row, size in enumerate(word_lengths(part)) if size <= max_tokens])
        for part in (dataset.train, dataset.valid)
    )
    if len(train) < at_least or not len(valid):
        raise OptionError(
            f"{len(train)} training and {len(valid)} dev rows have up to {max_tokens} tokens; "
            f"{at_least} and 1 are needed. Raise --max-tokens or --rows."
        )
    encoded = PreparedEncodings(dataset.tokenizer)
    return replace(dataset, train=train, valid=valid, encoded=encoded)


def draw(size: int, rows: int, *, seed: int) -> list[int]:
    """Draw `rows` of `size` row numbers, or all if there are fewer, in ascending order."""
    return sorted(random.Random(seed).sample(range(size), min(rows, size)))


def draw_disjoint(
    pairs: Pairs, sizes: tuple[int, int], *, max_tokens: int, seed: int
) -> list[Pairs]:
    """Draw two disjoint sets of the pairs of 1 to `max_tokens` source words.

    Raises:
        OptionError: there are not two such rows.
    """
    kept = [row for row, size in enumerate(word_lengths(pairs)) if 0 < size <= max_tokens]
    if len(kept) < 2:
        raise OptionError(
            f"{len(kept)} dev rows have 1 to {max_tokens} tokens, and 2 are needed. "
            "Raise --max-tokens or --rows."
        )
    random.Random(seed).shuffle(kept)
    first = min(sizes[0], len(kept) - 1)
    chosen = sorted(kept[:first]), sorted(kept[first : first + sizes[1]])
    return [Pairs([pairs[row] for row in rows], name=pairs.name) for rows in chosen]


def target_tokens(encodings: Sequence[Seq2SeqEncoding]) -> int:
    """Count the target tokens of all rows, end symbols included."""
    return sum(len(encoding.target) + 1 for encoding in encodings)


def describe_rows(dataset: Dataset, train: Pairs, dev: Pairs, *, max_tokens: int) -> dict[str, str]:
    """Return the facts of a report about its rows."""
    parts = (("train", dataset.train, train), ("dev", dataset.valid, dev))
    return {
        f"{name} rows": f"{len(part):,} of {len(pairs):,}, of up to {max_tokens} source words "
        f"(SHA-256 of all: {pairs.fingerprint()[:12]})"
        for name, part, pairs in parts
    }
