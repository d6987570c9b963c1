"""Logits processors for sampling: temperature, top-k and top-p (nucleus).

Pure functions on scores (B, V) of the next token, log-probabilities or logits, that can be composed
in any order. Masked tokens have the score -inf and are never sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


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
