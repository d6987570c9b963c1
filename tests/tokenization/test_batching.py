from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.config import BatchConfig
from annoseq.tokenization.batching import collate, length_sorted_batches, shuffled_batches
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import END, PAD

THOROUGH = settings(max_examples=100, deadline=None)


def examples_of(*lengths: int) -> list[Seq2SeqEncoding]:
    """Make examples whose longer side has these lengths."""
    return [
        Seq2SeqEncoding(
            [7] * (length if row % 2 else length // 2), [7] * (length // 2 if row % 2 else length)
        )
        for row, length in enumerate(lengths)
    ]


def width(example: Seq2SeqEncoding) -> int:
    return max(len(example.source), len(example.target)) + 1


many = st.lists(st.integers(0, 40), min_size=1, max_size=120).map(lambda n: examples_of(*n))
configs = st.builds(BatchConfig, batch_size=st.integers(1, 9), batch_tokens=st.integers(1, 90))


@THOROUGH
@given(many, configs, st.text(max_size=3))
def test_every_row_is_in_one_batch_within_the_limits(
    examples: list[Seq2SeqEncoding], config: BatchConfig, seed: str
) -> None:
    for batches in (
        shuffled_batches(examples, config, seed=seed),
        length_sorted_batches(examples, config),
    ):
        assert sorted(row for batch in batches for row in batch) == list(range(len(examples)))
        for batch in batches:
            assert len(batch) <= config.batch_size
            widest = max(width(examples[row]) for row in batch)
            assert len(batch) == 1 or len(batch) * widest <= config.batch_tokens


@THOROUGH
@given(many, configs, st.text(max_size=3))
def test_the_longest_row_comes_first(
    examples: list[Seq2SeqEncoding], config: BatchConfig, seed: str
) -> None:
    longest = max(map(width, examples))
    assert width(examples[shuffled_batches(examples, config, seed=seed)[0][0]]) == longest
    in_order = [
        width(examples[row]) for batch in length_sorted_batches(examples, config) for row in batch
    ]
    assert in_order == sorted(in_order, reverse=True)


def test_a_row_longer_than_the_limit_is_a_batch_of_its_own() -> None:
    config = BatchConfig(batch_size=64, batch_tokens=20)
    assert length_sorted_batches(examples_of(4, 99, 4, 4, 4), config) == [[1], [0, 2, 3, 4]]


@THOROUGH
@given(many, st.integers(1, 400), st.booleans())
def test_parts_hold_every_row_within_the_limit_as_wide_as_the_batch(
    examples: list[Seq2SeqEncoding], tokens: int, has_target: bool
) -> None:
    batch = collate(range(len(examples)), examples)
    if not has_target:
        batch = replace(batch, target=None)
    parts = batch.split(tokens)
    sides = [[one for one in (part.source, part.target) if one is not None] for part in parts]
    for part, tensors in zip(parts, sides, strict=True):
        assert len(part.rows) == 1 or all(one.numel() <= tokens for one in tensors)
    assert len({len(part.rows) for part in parts[:-1]}) <= 1
    assert [row for part in parts for row in part.rows] == batch.rows
    assert torch.equal(torch.cat([part.source for part in parts]), batch.source)
    assert torch.equal(torch.cat([part.source_lengths for part in parts]), batch.source_lengths)
    if batch.target is not None:
        assert torch.equal(torch.cat([tensors[1] for tensors in sides]), batch.target)


def test_without_a_limit_a_batch_is_whole() -> None:
    batch = collate(range(3), examples_of(1, 2, 3))
    assert batch.split(None) == [batch]


def test_rows_of_equal_length_keep_their_order() -> None:
    assert length_sorted_batches(examples_of(3, 5, 3, 5), BatchConfig(batch_size=3)) == [
        [1, 3, 0],
        [2],
    ]


def test_a_seed_repeats_and_another_seed_does_not() -> None:
    examples, config = examples_of(*range(100)), BatchConfig(batch_size=4)
    first = shuffled_batches(examples, config, seed="1")
    assert shuffled_batches(examples, config, seed="1") == first
    assert shuffled_batches(examples, config, seed="2") != first


def test_the_order_is_the_same_on_every_python_version() -> None:
    examples, config = examples_of(5, 1, 4, 1, 3, 9, 2, 6), BatchConfig(batch_size=3)
    assert shuffled_batches(examples, config, seed="42:0") == [[5, 7, 0], [3, 1], [2, 4, 6]]
    assert shuffled_batches(examples, config, seed="42:1") == [[5, 7, 0], [2, 4, 6], [1, 3]]


def test_rows_are_sorted_within_pools_not_over_the_whole_epoch() -> None:
    examples, config = examples_of(*[1, 2] * 100), BatchConfig(batch_size=2)
    pools = shuffled_batches(examples, config, seed="")
    mixed = [batch for batch in pools if len({width(examples[row]) for row in batch}) > 1]
    assert len(mixed) <= 2  # one at the seam within each of the two pools of 100 rows
    assert pools != length_sorted_batches(examples, config)


def test_rows_end_with_the_end_symbol_and_are_padded() -> None:
    batch = collate([1, 0], [Seq2SeqEncoding([5], [6, 7, 8]), Seq2SeqEncoding([5, 6], [])])
    assert batch.rows == [1, 0]
    assert batch.source.tolist() == [[5, 6, END], [5, END, PAD]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target is not None
    assert batch.target.tolist() == [[END, PAD, PAD, PAD], [6, 7, 8, END]]
    assert {batch.source.dtype, batch.target.dtype, batch.source_lengths.dtype} == {torch.int64}


def test_the_lengths_stay_on_the_cpu() -> None:
    batch = collate([0], [Seq2SeqEncoding([5], [6])])
    moved = batch.to(torch.device("meta"))
    assert moved.target is not None
    assert (moved.source.device.type, moved.target.device.type) == ("meta", "meta")
    assert moved.source_lengths is batch.source_lengths
    assert moved.rows == [0]
    assert batch.source.device.type == "cpu"


@pytest.mark.parametrize("examples", [examples_of(0), examples_of(0, 0)])
def test_empty_texts_are_rows_like_others(examples: list[Seq2SeqEncoding]) -> None:
    batch = collate(shuffled_batches(examples, BatchConfig(), seed="")[0], examples)
    assert batch.source.tolist() == [[END]] * len(examples)
