"""Pure functions on the scores of the next token; they compose in any order.

Scores (B, V) are log-probabilities or logits; what is masked has -inf and is never drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def apply_temperature(scores: Tensor, temperature: float) -> Tensor:
    """Divide by `temperature`: below 1 the likely gets likelier, towards 0 it is greedy search.

    >>> soften(torch.tensor([[0.8, 0.2]]).log(), 0.5).softmax(-1)
    tensor([[0.9412, 0.0588]])
    """
    # The best becomes 0, so that however small a temperature makes not all of them infinite.
    return (scores - scores.amax(-1, keepdim=True)) / temperature


def apply_top_k(scores: Tensor, k: int) -> Tensor:
    """Mask all but the `k` most likely tokens (Fan et al. 2018, arXiv:1805.04833).

    >>> apply_top_k(torch.tensor([[0.5, 0.3, 0.2]]).log(), k=2).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """
    kept = scores.topk(min(k, scores.shape[-1]), dim=-1).indices
    return torch.full_like(scores, -torch.inf).scatter(-1, kept, scores.gather(-1, kept))


def apply_top_p(scores: Tensor, p: float) -> Tensor:
    """Mask all but the fewest most likely tokens whose probabilities sum to at least `p`.

    Holtzman et al. 2020 (arXiv:1904.09751). `p` is in (0, 1]. The most likely token is always
    kept, so a small `p` is greedy search; 1 keeps everything.

    >>> apply_top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), p=0.6).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """
    if p >= 1:
        return scores
    ranked, order = scores.softmax(-1).sort(-1, descending=True)  # (B, V)
    # Mass *before* each token: the token that crosses `p` itself stays.
    dropped = ranked.cumsum(-1) - ranked >= p
    return scores.masked_fill(dropped.scatter(-1, order, dropped), -torch.inf)
