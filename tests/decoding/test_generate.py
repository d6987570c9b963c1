from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import SearchConfig
from annoseq.decoding.beam_search import beam_search
from annoseq.decoding.generate import generate
from annoseq.decoding.logits_processors import (
    TokenSampler,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    decode_hypotheses,
    select_most_likely,
)
from annoseq.tokenization.batching import collate
from tests.contracts.steppers import ROWS, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

BATCH = collate(range(len(ROWS)), ROWS)
LIMITS = 3 * BATCH.source_lengths
NAMES = [f"row {place}" for place in range(len(ROWS))]
TABLE = Table(9)


def test_greedy_search() -> None:
    expected = decode_hypotheses(TABLE, BATCH, limits=LIMITS, selector=select_most_likely)
    found = generate(TABLE, BATCH, SearchConfig(), limits=LIMITS, names=NAMES)
    assert found == [[one] for one in expected]


def test_beam_search_uses_its_settings() -> None:
    config = SearchConfig(search="beam", beam_size=4, n_best=3, length_penalty=2)
    found = generate(TABLE, BATCH, config, limits=LIMITS, names=NAMES)
    assert found == beam_search(TABLE, BATCH, limits=LIMITS, beam_size=4, n_best=3, alpha=2)
    other = generate(
        TABLE, BATCH, config.model_copy(update={"length_penalty": 0}), limits=LIMITS, names=NAMES
    )
    assert found != other


@pytest.mark.parametrize(
    ("config", "processors"),
    [
        (SearchConfig(search="sample", seed=3), []),
        (
            SearchConfig(search="sample", temperature=0.5, seed=3),
            [partial(apply_temperature, temperature=0.5)],
        ),
        (
            SearchConfig(search="top-k", k=2, temperature=4, seed=3),
            [partial(apply_temperature, temperature=4), partial(apply_top_k, k=2)],
        ),
        (
            SearchConfig(search="nucleus", p=0.4, temperature=4, seed=3),
            [partial(apply_temperature, temperature=4), partial(apply_top_p, p=0.4)],
        ),
    ],
)
def test_sampling_uses_its_settings(
    config: SearchConfig, processors: list[Callable[[Tensor], Tensor]]
) -> None:
    sampler = TokenSampler(
        [f"3/{name}/0" for name in NAMES], steps=int(LIMITS.max()), processors=processors
    )
    expected = decode_hypotheses(TABLE, BATCH, limits=LIMITS, selector=sampler)
    found = generate(TABLE, BATCH, config, limits=LIMITS, names=NAMES)
    assert [one.ids for (one,) in found] == [one.ids for one in expected]


def test_samples_differ_and_more_samples_keep_the_first() -> None:
    some, more = (
        generate(
            TABLE, BATCH, SearchConfig(search="sample", samples=count), limits=LIMITS, names=NAMES
        )
        for count in (2, 5)
    )
    assert [len(row) for row in more] == [5] * len(ROWS)
    assert [row[:2] for row in more] == some
    assert len({one.ids for one in more[0]}) > 2


def test_rows_of_the_same_source_are_sampled_independently() -> None:
    batch = collate([0] * 20, ROWS)
    limits = torch.full((20,), 6)
    config = SearchConfig(search="sample")
    found = generate(TABLE, batch, config, limits=limits, names=[str(place) for place in range(20)])
    assert len({one.ids for (one,) in found}) > 5
    named_alike = generate(TABLE, batch, config, limits=limits, names=["same"] * 20)
    assert len({one.ids for (one,) in named_alike}) == 1
