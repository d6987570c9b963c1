"""Logits processors for sampling: temperature, top-k and top-p (nucleus).

Pure functions on scores (B, V) of the next token, log-probabilities or logits, that can be composed
in any order. Masked tokens have the score -inf and are never sampled.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


def apply_temperature(scores: Tensor, temperature: float) -> Tensor:
    """Divide scores by a temperature: below 1 sharpens, above 1 flattens the distribution.

    >>> apply_temperature(torch.tensor([[0.8, 0.2]]).log(), 0.5).softmax(-1)
    tensor([[0.9412, 0.0588]])
    """
    # Shifted so that the best is 0 and stays finite at any temperature.
    return (scores - scores.amax(-1, keepdim=True)) / temperature


def apply_top_k(scores: Tensor, k: int) -> Tensor:
    """Mask all but the `k` most likely tokens (Fan et al. 2018, arXiv:1805.04833).

    >>> apply_top_k(torch.tensor([[0.5, 0.3, 0.2]]).log(), k=2).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """
    top = scores.topk(min(k, scores.shape[-1]), dim=-1).indices
    return torch.full_like(scores, -torch.inf).scatter(-1, top, scores.gather(-1, top))


def apply_top_p(scores: Tensor, p: float) -> Tensor:
    """Mask all but the fewest most likely tokens whose probabilities sum to at least `p`.

    Nucleus sampling, Holtzman et al. 2020 (arXiv:1904.09751). `p` is in (0, 1]. The most likely
    token is always kept, so a small `p` is greedy search; 1 keeps all tokens.

    >>> apply_top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), p=0.6).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """
    if p >= 1:
        return scores
    ranked, order = scores.softmax(-1).sort(-1, descending=True)  # (B, V)
    # Mass *before* each token: the token that crosses `p` is kept.
    is_masked = ranked.cumsum(-1) - ranked >= p
    return scores.masked_fill(is_masked.scatter(-1, order, is_masked), -torch.inf)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A decoded output and the log-probability of each of its symbols.

    `ids` exclude the end symbol, whose log-probability is the last of `log_probs`. `has_ended` is
    False for an output that was cut at its limit.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    has_ended: bool

    @property
    def score(self) -> float:
        """Log-probability of the output: the sum over its symbols."""
        return sum(self.log_probs)


class TokenSelector(Protocol):
    """Selects the next symbol (B,) of the open `rows` from scores (B, V), at step `length`."""

    def __call__(self, scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
        """Select one symbol for every open row."""
        ...


def select_most_likely(scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
    """Select the most likely symbol (greedy search)."""
    del rows, length
    return scores.argmax(-1)


class TokenSampler:
    """Samples symbols after logits processors, with a random stream for each row.

    A stream depends on its seed in `seeds` (B) only, so that the samples of a row depend neither on
    its batch nor on the number of rows. Sampling inverts the cumulative distribution with one
    uniform number a step.
    """

    def __init__(
        self, seeds: Sequence[str], *, steps: int, processors: Sequence[Callable[[Tensor], Tensor]]
    ) -> None:
        self._processors = processors
        self._uniform = torch.stack([_uniform(seed, steps) for seed in seeds])  # (B, steps)

    def __call__(self, scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
        """Sample a symbol (B,) for the open `rows`."""
        scores = scores.double()
        for process in self._processors:
            scores = process(scores)
        mass = scores.softmax(-1).cumsum(-1)  # (B, V)
        threshold = self._uniform[rows.cpu(), length].to(mass).unsqueeze(1) * mass[:, -1:]
        # The first symbol whose cumulative mass exceeds the threshold has a mass itself.
        return torch.searchsorted(mass, threshold, right=True).squeeze(1)


def _uniform(seed: str, steps: int) -> Tensor:
    digest = hashlib.sha256(seed.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.rand(steps, generator=generator, dtype=torch.double)


def decode_hypotheses(
    stepper: Stepper[State], batch: Batch, *, limits: Tensor, selector: TokenSelector
) -> list[Hypothesis]:
    """Decode one output for every row; see `decode_ids`."""
    ids, log_probs = decode_ids(stepper, batch, limits=limits, selector=selector)
    # Beyond a limit there is padding, which was not selected.
    return [
        to_hypothesis(row_ids[:limit], row_log_probs[:limit])
        for row_ids, row_log_probs, limit in zip(
            ids.tolist(), log_probs.tolist(), limits.tolist(), strict=True
        )
    ]


@torch.inference_mode()
def decode_ids(
    stepper: Stepper[State], batch: Batch, *, limits: Tensor, selector: TokenSelector
) -> tuple[Tensor, Tensor]:
    """Decode until every row has ended; return ids and log-probabilities, both (B, O).

    A row ends with the end symbol, with padding, which the notebook's loss teaches as an end too,
    or at its limit (B,) of symbols, and is padded from there on. Rows that have ended are removed
    from the batch.
    """
    count, device = len(batch.rows), batch.source.device
    longest = int(limits.max())
    ids = torch.full((count, longest), PAD, device=device)
    log_probs = torch.zeros((count, longest), device=device)
    rows = torch.arange(count, device=device)
    limits = limits.to(device)
    state = stepper.start(batch)
    last = torch.full((count,), BEGIN, device=device)
    length = 0
    while len(rows):
        state = stepper.step(state, last)
        scores = stepper.scores(state)
        last = selector(scores, rows=rows, length=length)
        ids[rows, length] = last
        log_probs[rows, length] = scores.gather(1, last.unsqueeze(1)).squeeze(1).float()
        length += 1
        is_open = (last != END) & (last != PAD) & (limits[rows] > length)
        if not is_open.all():
            kept = is_open.nonzero().squeeze(1)
            rows, last, state = rows[kept], last[kept], stepper.select(state, kept)
    return ids[:, :length], log_probs[:, :length]


def to_hypothesis(ids: Sequence[int], log_probs: Sequence[float]) -> Hypothesis:
    """Return the hypothesis of a padded row of symbols, cut at its end."""
    for length, id_ in enumerate(ids):
        if id_ in {END, PAD}:
            return Hypothesis(tuple(ids[:length]), tuple(log_probs[: length + 1]), has_ended=True)
    return Hypothesis(tuple(ids), tuple(log_probs), has_ended=False)
