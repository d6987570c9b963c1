"""From settings to a search."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from annoseq.decoding.beam_search import beam_search
from annoseq.decoding.logits_processors import apply_temperature, apply_top_k, apply_top_p
from annoseq.decoding.sampling import TokenSampler, decode_hypotheses, select_most_likely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from annoseq.config import SearchConfig
    from annoseq.decoding.sampling import Hypothesis
    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


def generate(
    stepper: Stepper[State],
    batch: Batch,
    config: SearchConfig,
    *,
    limits: Tensor,
    names: Sequence[str],
) -> list[list[Hypothesis]]:
    """Search outputs for every row of a batch, the best (or first drawn) first.

    `limits` (B,) are the most symbols of each; `names` (B) seed what is drawn for a row.
    """
    if config.search == "beam":
        return beam_search(
            stepper,
            batch,
            limits=limits,
            beam_size=config.beam_size,
            n_best=config.n_best,
            alpha=config.length_penalty,
        )
    if config.search == "greedy":
        return [[one] for one in decode_hypotheses(stepper, batch, limits=limits, choose=select_most_likely)]
    drawn = []
    for sample in range(config.samples):
        seeds = [f"{config.seed}/{name}/{sample}" for name in names]
        choose = TokenSampler(seeds, steps=int(limits.max()), filters=_filters(config))
        drawn.append(decode_hypotheses(stepper, batch, limits=limits, choose=choose))
    return [list(row) for row in zip(*drawn, strict=True)]


def _filters(config: SearchConfig) -> list[Callable[[Tensor], Tensor]]:
    filters: list[Callable[[Tensor], Tensor]] = [partial(apply_temperature, temperature=config.temperature)]
    if config.search == "top-k":
        filters.append(partial(apply_top_k, k=config.k))
    if config.search == "nucleus":
        filters.append(partial(apply_top_p, p=config.p))
    return filters
