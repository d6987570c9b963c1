"""What the decoder is fed while it learns: the target's tokens, its own, or some of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.text.vocabulary import BEGIN

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.config import TrainingConfig
    from annoseq.models.network import AnyNetwork


def forcing_in(epoch: int, config: TrainingConfig, *, epochs: int) -> float:
    """Return how likely the target's token is fed in an epoch of a run, counted from 0.

    Falling, it goes linearly from 1 in the first epoch to 0 in `forcing_end_epoch`, by default
    the last of the `epochs`: the notebook's `TeacherForcing`, and the linear schedule of Bengio et
    al. 2015, "Scheduled sampling for sequence prediction with recurrent neural networks".
    """
    if config.teacher_forcing == "falling":
        end = (config.forcing_end_epoch or epochs) - 1
        return max(0.0, 1 - epoch / end) if end else float(epoch == 0)
    assert config.teacher_forcing != "auto"
    return config.teacher_forcing


def tokens_to_feed(network: AnyNetwork, state: object, target: Tensor, *, forcing: float) -> Tensor:
    """Return what to feed the decoder (B, T) for it to learn `target` (B, T): the begin symbol
    first, and then each target token with the probability `forcing`, or else its own best.

    No gradient passes through the choice of a token. So its own tokens are found first, without
    gradients, and then all are fed in one call: faster than learning step by step, with the same
    gradients for the same tokens.
    """
    begin = torch.full_like(target[:, :1], BEGIN)
    if forcing == 1:
        return torch.cat([begin, target[:, :-1]], dim=1)
    fed, _ = run_freely(network, state, target, forcing=forcing)
    return fed[:, :-1]


@torch.no_grad()
def run_freely(
    network: AnyNetwork, state: object, target: Tensor, *, forcing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Feed the decoder its own best tokens, step by step to the width of `target` (B, T).

    Returns the begin symbol and the tokens that it was fed after it or would be fed next,
    (B, 1 + T), and what it put out (B, T, E).
    """
    is_forced = torch.zeros_like(target, dtype=torch.bool)
    if forcing:  # validation draws nothing, so that it disturbs nobody's randomness
        is_forced = torch.rand(target.shape, device=target.device) < forcing
    fed, tops = [torch.full_like(target[:, 0], BEGIN)], []
    for place in range(target.shape[1]):
        state = network.step(state, fed[-1])
        tops.append(network.top(state))
        best = network.target.logits(tops[-1]).argmax(-1)
        fed.append(torch.where(is_forced[:, place], target[:, place], best))
    return torch.stack(fed, dim=1), torch.stack(tops, dim=1)
