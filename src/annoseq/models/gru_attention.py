"""A GRU encoder-decoder that looks at every source token at every step.

The attention is multiplicative ("general"), computed from the decoder's output and not fed back
into it: Luong et al. 2015, "Effective approaches to attention-based neural machine translation",
without input feeding. Additive attention (Bahdanau et al. 2015) is part of the recurrence, so it
must run step by step; this one takes a whole target in two matrix products.

Where source and target share their embeddings, three things make copying the first that it learns:

- A key holds the token before its own, and a query the token just written, so that attention
  finds where the text was left off (the smeared keys of Olsson et al. 2022, "In-context learning
  and induction heads", section on smeared keys).
- Keys and queries hold how many tokens came before, tags left out: in a copy the same number on
  both sides, which tells a token's repeats apart.
- A token's value holds its embedding, and the attended value goes straight to the output, which
  has the same weights.

Two minutes of one core on MEDDOCAN in pieces (200 to 340 steps): training loss 5.3 with neither,
2.9 with the last, 0.6 with the first and the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
from annoseq.models.interfaces import Seq2SeqNetwork
from annoseq.models.positional_encoding import position_increments, sinusoidal_encoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import AttentionConfig
    from annoseq.tokenization.batching import Batch


_SCALE = 8.0
"""Embeddings have a length of about 1: matching ones score 8 at first, and others about 0.5."""


class AttentionState(NamedTuple):
    """What was read, and where the decoder stands.

    `keys` (B, S, E, or 2 E and more) and `values` (B, S, E) belong to the source tokens, of which
    `is_padding` (B, S) are not to be looked at. `hidden` (L, B, E) is the decoder's memory, `place`
    (B,) how many tokens it was fed, tags left out, and `top` (B, E) the attentional vector.
    """

    keys: Tensor
    values: Tensor
    is_padding: Tensor
    hidden: Tensor
    place: Tensor
    top: Tensor


class GruWithAttention(Seq2SeqNetwork[AttentionState]):
    """Bidirectional encoder GRU, decoder GRU, attention over the encoder, tied output.

    The ids of `source_tags` and `target_tags` stand for nothing on the other side.
    """

    source_steps: Tensor
    target_steps: Tensor

    def __init__(
        self,
        config: AttentionConfig,
        *,
        source_size: int,
        target_size: int,
        copies: Sequence[int] | None = None,
        source_tags: Sequence[int] = (),
        target_tags: Sequence[int] = (),
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
        self.place_scale = None if copies is None else nn.Parameter(torch.tensor(_SCALE))
        self.register_buffer("source_steps", position_increments(source_size, source_tags), persistent=False)
        self.register_buffer("target_steps", position_increments(target_size, target_tags), persistent=False)

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
            place=torch.zeros_like(batch.source[:, 0]),
            top=hidden[-1],
        )

    def step(self, state: AttentionState, last: Tensor) -> AttentionState:
        """Feed the token `last` (B,) of every row to the decoder."""
        fed = last.unsqueeze(1)
        outputs, hidden = self._run(state, fed)
        top = self._attend(state, outputs, fed).squeeze(1)
        return state._replace(hidden=hidden, place=state.place + self.target_steps[last], top=top)

    def top(self, state: AttentionState) -> Tensor:
        """Return the attentional vector (B, E) after the last token fed."""
        return state.top

    def select(self, state: AttentionState, rows: Tensor) -> AttentionState:
        """Take the rows (B',) of a state."""
        return AttentionState(
            keys=state.keys[rows],
            values=state.values[rows],
            is_padding=state.is_padding[rows],
            hidden=state.hidden[:, rows],
            place=state.place[rows],
            top=state.top[rows],
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
        if self.match_scale is not None and self.place_scale is not None:
            places = state.place.unsqueeze(1) + self.target_steps[fed].cumsum(1)
            matches, near = self.match_scale * self.target(fed), self.place_scale * sinusoidal_encoding(places)
            queries = torch.cat([outputs, matches, near], dim=-1)
        scores = queries @ state.keys.transpose(1, 2)  # (B, T, S)
        return scores.masked_fill(state.is_padding.unsqueeze(1), -torch.inf).softmax(-1)

    def _keys(self, encoded: Tensor, source: Tensor) -> Tensor:
        """Return the keys of source tokens (B, S): what was encoded, the token before, the place.

        A tag, which nothing is written for, has no token before it; the token after it has the
        one before the tag.
        """
        keys: Tensor = self.key(encoded)
        if self.source.copies is None:
            return keys
        far = self.source_steps[source]
        fed = F.pad(self.source.copies[source[:, :-1]], (1, 0), value=BEGIN)
        numbers = torch.arange(source.shape[1], device=source.device)
        latest = (numbers * F.pad(far[:, :-1], (1, 0))).cummax(1).values  # that is no tag
        before = fed.gather(1, latest).masked_fill((far == 0) & (source != END), PAD)
        places = sinusoidal_encoding(far.cumsum(1) - far).to(keys.dtype)
        return torch.cat([keys, self.target(before), places], dim=-1)

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
