"""Forward-backward algorithm of a linear-chain CRF, in numpy (Rabiner 1989).

`annoseq.models.crf` has the same messages in torch, on any device, because they are the gradient of
its loss; everything else reads these.

Shapes: B rows, T tokens, K tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.models.span_decoder import token_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_EMISSION = -60.0
"""Lower bound of emissions relative to a token's best: no product of two underflows."""
MAX_MESSAGE = 1e30
"""Upper bound of backward messages: where one overflows, the forward message underflows."""


class ForwardBackward(NamedTuple):
    """Messages of the forward-backward algorithm, scaled so that products are probabilities.

    `forward * backward` (B, T, K) are the marginals of the tags, 0 after the end of a row;
    `emissions` (B, T, K) are the exponentials of the emissions divided by the same scale as
    `forward`; `log_partition` (B,).
    """

    forward: NDArray[Any]
    backward: NDArray[Any]
    emissions: NDArray[Any]
    log_partition: NDArray[Any]

    @property
    def marginals(self) -> NDArray[Any]:
        """Probabilities (B, T, K) of the tags."""
        product: NDArray[Any] = self.forward * self.backward
        return product


def forward_backward(
    emissions: NDArray[Any],
    lengths: NDArray[np.int64],
    *,
    transitions: NDArray[Any],
    end_scores: NDArray[Any],
) -> ForwardBackward:
    """Run the algorithm over finite emissions (B, T, K), with messages scaled at every token.

    `transitions` (K, K) are the scores of each tag (column) after each tag (row), `end_scores` (K,)
    those of the last tag of a row; the tag before the first is tag 0. Both directions take their
    steps together: the backward messages walk over reversed rows. They are scaled by themselves,
    and at the end so that products with the forward ones sum to 1.
    """
    moves, ending = np.exp(transitions), np.exp(end_scores)
    rows, width, _ = emissions.shape
    is_padding = ~token_mask(lengths, width)
    reversed_places = (lengths[:, None] - 1 - np.arange(width)).clip(min=0)
    highest = emissions.max(2)
    scores = emissions - highest[..., None]
    np.exp(np.maximum(scores, MIN_EMISSION, out=scores), out=scores)
    reaching = _pass_messages(
        np.stack([scores, _select_tokens(scores, reversed_places)]),
        np.stack([moves, moves.T]),
        np.stack([moves[:1], ending[None]]),
        _active_rows(lengths, width),
    )
    forward, backward = reaching[0] * scores, _select_tokens(reaching[1], reversed_places)
    scale = forward.sum(2)
    scale[is_padding] = 1.0
    forward /= scale[..., None]
    scores /= scale[..., None]
    products = np.einsum("btk,btk->bt", forward, backward)
    backward /= np.maximum(products, 1 / MAX_MESSAGE)[..., None]
    np.minimum(backward, MAX_MESSAGE, out=backward)
    backward[is_padding] = 0.0
    at_end = np.log((forward[np.arange(rows), lengths - 1] * ending).sum(1))
    steps = np.log(scale) + highest
    steps[is_padding] = 0.0
    return ForwardBackward(forward, backward, scores, steps.sum(1, dtype=np.float64) + at_end)


def _pass_messages(
    scores: NDArray[Any], moves: NDArray[Any], first: NDArray[Any], active_rows: list[int]
) -> NDArray[Any]:
    """Return the messages (2, B, T, K) that reach each token, before its own score.

    `scores` (2, B, T, K) and `moves` (2, K, K) are those of both directions, `first` (2, 1, K) the
    messages that reach the first token.
    """
    reaching, message = np.zeros_like(scores), first
    for place, active in enumerate(active_rows):
        if place:
            message = message[:, :active] @ moves
        reaching[:, :active, place] = message
        message = message * scores[:, :active, place]
        message /= message.sum(2, keepdims=True)
    return reaching


def _select_tokens(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Return values (B, T, K) of the tokens of the same rows at `places` (B, T)."""
    rows, width, _ = values.shape
    starts = np.arange(0, rows * width, width)[:, None]
    return values.reshape(rows * width, -1)[starts + places]


def _active_rows(lengths: NDArray[np.int64], steps: int) -> list[int]:
    """Return the number of first rows that reach to the last with a token, for each step."""
    longest = np.maximum.accumulate(lengths[::-1])[::-1]  # from each row on
    active: list[int] = (longest > np.arange(steps)[:, None]).sum(1).tolist()
    return active
