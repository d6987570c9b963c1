"""Where a model with attention looks while it writes."""

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
_LARGEST = 6400
"""Cells of a map that can still be read."""


class AttentionMap(NamedTuple):
    """How much a model looked at each source token while it wrote each token.

    `weights[t][s]` is a digit: tenths of the attention, rounded down, a share of 1 being 9.
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
    """Let a model write a text with the spans that it found, and tell where it looks.

    There is no map of an empty text, or where it would be too large to be read.
    """
    row = tokenizer.tokenize(Example(text, text, tuple(spans), row=1))
    if not row.source or (len(row.source) + 1) * (len(row.target) + 1) > _LARGEST:
        return None
    batch = collate([0], [tokenizer.encode(row)])
    assert batch.target is not None
    fed = torch.cat([torch.full_like(batch.target[:, :1], BEGIN), batch.target[:, :-1]], dim=1)
    batch, fed = batch.to(compute.device), fed.to(compute.device)
    network.eval()  # the decoder below must not drop what training drops
    state = network.start(batch)
    outputs, _ = network.decoder(network.target(fed), state.hidden)
    weights = network.attention_weights(state, outputs, fed)[0].float().cpu()  # (T, S)
    digits = (weights * 10).long().clamp(max=9)
    source, written = ([*tokens, _END] for tokens in (row.source, row.target))
    return AttentionMap(
        source[: weights.shape[1]], written, ["".join(map(str, one)) for one in digits.tolist()]
    )
