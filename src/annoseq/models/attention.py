"""A GRU encoder-decoder that looks at every source token at every step.

The attention is multiplicative ("general"), computed from the decoder's output and not fed back
into it: Luong et al. 2015, "Effective approaches to attention-based neural machine translation",
without input feeding. Additive attention (Bahdanau et al. 2015) is part of the recurrence, so it
must run step by step; this one takes a whole target in two matrix products.

Where source and target share their embeddings, two things make copying the first that it learns:

- A key holds the token before its own, and a query the token just written, so that attention
  finds where the text was left off (the smeared keys of Olsson et al. 2022, "In-context learning
  and induction heads", section on smeared keys).
- A token's value holds its embedding, and the attended value goes straight to the output, which
  has the same weights.

Two minutes of one core on MEDDOCAN in pieces (200 to 340 steps): training loss 5.3 with neither,
2.9 with the second, 0.6 with both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
from annoseq.models.network import Network
from annoseq.text.vocabulary import BEGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import AttentionConfig
    from annoseq.text.batches import Batch


_SCALE = 8.0
"""Embeddings have a length of about 1: matching ones score 8 at first, and others about 0.5."""


class AttentionState(NamedTuple):
    """What was read, and where the decoder stands.

    `keys` (B, S, E or 2 E) and `values` (B, S, E) belong to the source tokens, of which
    `is_padding` (B, S) are not to be looked at. `hidden` (L, B, E) is the decoder's memory, `top`
    (B, E) the attentional vector.
    """

    keys: Tensor
    values: Tensor
    is_padding: Tensor
    hidden: Tensor
    top: Tensor


class Attention(Network[AttentionState]):
    """Bidirectional encoder GRU, decoder GRU, attention over the encoder, tied output."""

    def __init__(
        self,
        config: AttentionConfig,
        *,
        source_size: int,
        target_size: int,
        copies: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        width, hidden, layers = config.embedding, config.hidden, config.layers
        between = config.dropout if layers > 1 else 0.0
        self.target = TargetEmbedding(target_size, width, dropout=config.dropout)
        self.source = SourceEmbedding(
            source_size, self.target, dropout=config.dropout, copies=copies
        )
        self.input_dropout = nn.Dropout(config.dropout)
        self.encoder = nn.GRU(
            width, hidden, layers, batch_first=True, dropout=between, bidirectional=True
        )
        self.bridge = nn.Linear(2 * hidden, width)
        self.key = nn.Linear(2 * hidden, width, bias=False)
        self.value = nn.Linear(2 * hidden, width, bias=False)
        self.decoder = nn.GRU(width, width, layers, batch_first=True, dropout=between)
        self.combine = nn.Linear(2 * width, width)
        self.copy_scale = nn.Parameter(torch.tensor(_SCALE))
        self.match_scale = None if copies is None else nn.Parameter(torch.tensor(_SCALE))

    def start(self, batch: Batch) -> AttentionState:
        """Read the sources (B, S), each to its own end and back."""
        embedded = self.source(batch.source)  # (B, S, E)
        packed = pack_padded_sequence(
            embedded, batch.source_lengths, batch_first=True, enforce_sorted=False
        )
        packed, last = self.encoder(packed)  # last (2 L, B, H)
        encoded, _ = pad_packed_sequence(
            packed, batch_first=True, total_length=batch.source.shape[1]
        )  # (B, S, 2 H)
        places = torch.arange(batch.source.shape[1], device=embedded.device)
        lengths = batch.source_lengths.to(embedded.device).unsqueeze(1)
        both = torch.cat([last[0::2], last[1::2]], dim=-1)  # (L, B, 2 H)
        hidden = self.bridge(both).tanh()
        return AttentionState(
            keys=self._keys(encoded, batch.source),
            values=self.value(encoded) + embedded,
            is_padding=places >= lengths,
            hidden=hidden,
            top=hidden[-1],
        )

    def step(self, state: AttentionState, last: Tensor) -> AttentionState:
        """Feed the token `last` (B,) of every row to the decoder."""
        fed = last.unsqueeze(1)
        outputs, hidden = self._run(state, fed)
        return state._replace(hidden=hidden, top=self._attend(state, outputs, fed).squeeze(1))

    def top(self, state: AttentionState) -> Tensor:
        """Return the attentional vector (B, E) after the last token fed."""
        return state.top

    def select(self, state: AttentionState, rows: Tensor) -> AttentionState:
        """Take the rows (B',) of a state."""
        keys, values, is_padding, hidden, top = state
        return AttentionState(
            keys[rows], values[rows], is_padding[rows], hidden[:, rows], top[rows]
        )

    def decode(self, state: AttentionState, fed: Tensor) -> Tensor:
        """Feed whole rows of tokens (B, T) to the decoder; return its tops (B, T, E)."""
        outputs, _ = self._run(state, fed)
        return self._attend(state, outputs, fed)

    def weights(self, state: AttentionState, outputs: Tensor, fed: Tensor) -> Tensor:
        """Return how much the decoder looks at each source token, (B, T, S).

        `outputs` (B, T, E) are those of the decoder's GRU for the tokens `fed` (B, T).
        """
        queries = outputs
        if self.match_scale is not None:
            queries = torch.cat([outputs, self.match_scale * self.target(fed)], dim=-1)
        scores = queries @ state.keys.transpose(1, 2)  # (B, T, S)
        return scores.masked_fill(state.is_padding.unsqueeze(1), -torch.inf).softmax(-1)

    def _keys(self, encoded: Tensor, source: Tensor) -> Tensor:
        """Return the keys of source tokens (B, S): what was encoded, and the token before."""
        keys: Tensor = self.key(encoded)
        if self.source.copies is None:
            return keys
        before = F.pad(self.source.copies[source[:, :-1]], (1, 0), value=BEGIN)
        return torch.cat([keys, self.target(before)], dim=-1)

    def _run(self, state: AttentionState, fed: Tensor) -> tuple[Tensor, Tensor]:
        """Run the decoder's GRU over tokens (B, T); return outputs (B, T, E) and its memory."""
        outputs, hidden = self.decoder(self.input_dropout(self.target(fed)), state.hidden)
        return outputs, hidden

    def _attend(self, state: AttentionState, outputs: Tensor, fed: Tensor) -> Tensor:
        """Return the attentional vectors (B, T, E): equation 5 of Luong et al., but linear, and
        with a way past it for what is copied.
        """
        context = self.weights(state, outputs, fed) @ state.values  # (B, T, E)
        attended: Tensor = self.combine(torch.cat([context, outputs], dim=-1))
        return attended + self.copy_scale * context
