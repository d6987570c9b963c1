"""Other directions than annotating: annotated texts back to the originals, numbers to words."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

import pytest
import torch

from annoseq.config import AttentionConfig, BatchConfig, DataConfig, TrainingConfig
from annoseq.data.pairs import Pair, Pairs
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner

if TYPE_CHECKING:
    from annoseq.inference.predictions import Predictions

SMALL = AttentionConfig(embedding=64, hidden=48, dropout=0)
SMALLEST = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def in_words(number: int) -> str:
    """Write a number below a million as the British say it."""
    if number < 20:
        return SMALLEST.split()[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS.split()[tens - 2] + (f" {in_words(ones)}" if ones else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    count, rest = divmod(number, size)
    between = " and " if rest < 100 else " "
    return f"{in_words(count)} {name}" + (between + in_words(rest) if rest else "")


def numbers(below: int, *, count: int, held_out: int) -> tuple[Pairs, Pairs]:
    """Draw numbers without repeats: pairs to learn from, and others."""
    drawn = Random(1).sample(range(below), count + held_out)
    pairs = Pairs(
        (Pair(str(one), in_words(one), row) for row, one in enumerate(drawn, 1)), name="numbers"
    )
    return pairs[:count], pairs[count:]


def backwards(rows: int) -> Pairs:
    """Turn the sample corpus round, as `--source annotated_text --target orig_text` does."""
    return Pairs(
        (
            Pair(pair.target, pair.source, pair.row, pair.document, pair.start)
            for pair in sample_pairs(rows, seed=42)
        ),
        name="backwards",
    )


def learn(
    dataset: Dataset,
    *,
    epochs: int,
    max_lr: float,
    batch_size: int = 16,
    model: AttentionConfig | None = None,
) -> Predictions:
    """Return what the attention model writes freely for the validation rows."""
    torch.set_num_threads(1)
    learner = Learner(
        dataset,
        model=model or AttentionConfig(),
        training=TrainingConfig(clip_norm=1.0),
        batching=BatchConfig(batch_size=batch_size),
    )
    learner.fit_one_cycle(epochs, max_lr, report=lambda line: None)
    return learner.predictions()


def exact(predictions: Predictions) -> float:
    return sum(one.is_exact for one in predictions) / len(predictions)


def test_it_takes_the_tags_out_of_texts() -> None:
    dataset = Dataset.from_pairs(
        backwards(240), config=DataConfig(task="translate", tokens="bpe", bpe_vocab=600)
    )
    assert exact(learn(dataset, epochs=2, max_lr=2e-2, batch_size=8, model=SMALL)) > 0.8


@pytest.mark.slow
def test_it_writes_small_numbers_in_words() -> None:
    train, valid = numbers(1_000, count=700, held_out=200)
    dataset = Dataset.from_pairs(train, valid=valid, config=DataConfig(task="translate"))
    assert exact(learn(dataset, epochs=12, max_lr=2e-2, batch_size=32, model=SMALL)) > 0.9


@pytest.mark.slow
def test_originals_come_back_from_annotated_texts() -> None:
    dataset = Dataset.from_pairs(
        backwards(2_000), config=DataConfig(task="translate", tokens="bpe", bpe_vocab=2_000)
    )
    assert dataset.tokenizer.task == "translate"
    assert not {pair.document for pair in dataset.train} & {pair.document for pair in dataset.valid}
    assert exact(learn(dataset, epochs=2, max_lr=4e-3)) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("tokens", ["word", "bpe"])
def test_numbers_it_has_not_seen_are_written_in_words(tokens: Literal["word", "bpe"]) -> None:
    train, valid = numbers(100_000, count=6_000, held_out=500)
    config = DataConfig(task="translate", tokens=tokens, bpe_vocab=600)
    dataset = Dataset.from_pairs(train, valid=valid, config=config)
    assert exact(learn(dataset, epochs=3, max_lr=2e-2, batch_size=32, model=SMALL)) > 0.9
