"""Attention maps: attention weights of output tokens over source tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from annoseq.data.examples import Example
from annoseq.tokenization.batching import collate
from annoseq.tokenization.vocabulary import BEGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.markup import Span
    from annoseq.devices import ComputeDevice
    from annoseq.models.gru_attention import GruWithAttention
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

_END = "(end)"
_MAX_CELLS = 6400
"""Cells of the largest map that is still readable."""


class AttentionMap(NamedTuple):
    """Attention weights of each output token over the source tokens.

    `weights[t][s]` is a digit: tenths of the weight, rounded down, with 9 for a weight of 1.
    """

    source: list[str]
    written: list[str]
    weights: list[str]


@torch.no_grad()
def attention_map(
    network: GruWithAttention,
    tokenizer: Seq2SeqTokenizer,
    text: str,
    spans: Sequence[Span],
    *,
    compute: ComputeDevice,
) -> AttentionMap | None:
    """Return the attention weights while a model writes a text with its predicted spans.

    Returns None for an empty text, or if the map would be too large to be readable.
    """
    row = tokenizer.tokenize(Example(text, text, tuple(spans), row=1))
    if not row.source or (len(row.source) + 1) * (len(row.target) + 1) > _MAX_CELLS:
        return None
    batch = collate([0], [tokenizer.encode(row)])
    assert batch.target is not None
    fed = torch.cat([torch.full_like(batch.target[:, :1], BEGIN), batch.target[:, :-1]], dim=1)
    batch, fed = batch.to(compute.device), fed.to(compute.device)
    network.eval()  # without dropout in the decoder below
    state = network.start(batch)
    outputs, _ = network.decoder(network.target(fed), state.hidden)
    weights = network.attention_weights(state, outputs, fed)[0].float().cpu()  # (T, S)
    digits = (weights * 10).long().clamp(max=9)
    source, written = ([*tokens, _END] for tokens in (row.source, row.target))
    return AttentionMap(
        source[: weights.shape[1]], written, ["".join(map(str, row)) for row in digits.tolist()]
    )
