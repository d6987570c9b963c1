"""Generation of outputs by the configured search: greedy, beam search or sampling."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from annoseq.decoding.beam_search import beam_search
from annoseq.decoding.logits_processors import (
    TokenSampler,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    decode_hypotheses,
    select_most_likely,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from annoseq.config import SearchConfig
    from annoseq.decoding.logits_processors import Hypothesis
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
    """Return the outputs of every row of a batch, the best (or first sampled) first.

    `limits` (B,) are the maximum lengths of outputs; `names` (B) seed the sampling of a row.
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
        hypotheses = decode_hypotheses(stepper, batch, limits=limits, selector=select_most_likely)
        return [[hypothesis] for hypothesis in hypotheses]
    samples = []
    for sample in range(config.samples):
        seeds = [f"{config.seed}/{name}/{sample}" for name in names]
        sampler = TokenSampler(seeds, steps=int(limits.max()), processors=_processors(config))
        samples.append(decode_hypotheses(stepper, batch, limits=limits, selector=sampler))
    return [list(row) for row in zip(*samples, strict=True)]


def _processors(config: SearchConfig) -> list[Callable[[Tensor], Tensor]]:
    processors: list[Callable[[Tensor], Tensor]] = [
        partial(apply_temperature, temperature=config.temperature)
    ]
    if config.search == "top-k":
        processors.append(partial(apply_top_k, k=config.k))
    if config.search == "nucleus":
        processors.append(partial(apply_top_p, p=config.p))
    return processors
