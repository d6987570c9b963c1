"""The notebook's network: two GRUs with a single vector a layer between them.

Sutskever et al. 2014, "Sequence to sequence learning with neural networks", with the GRU of Cho
et al. 2014 and the output weights tied to the decoder's embeddings (Press and Wolf 2017).
Where the notebook is plainly wrong, this is not: the encoder does not read the padding, so that
a row's result does not depend on its batch; begin has a symbol of its own; the tied weights are
one parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from annoseq.text.vocabulary import BEGIN, PAD

if TYPE_CHECKING:
    from annoseq.config import GruConfig
    from annoseq.text.batches import Batch


class GruState(NamedTuple):
    """The decoder's memory `hidden` (L, B, E) and what its top layer put out, `top` (B, E)."""

    hidden: Tensor
    top: Tensor


class Gru(nn.Module):
    """Encoder GRU, a bias-free projection of its last hidden states, decoder GRU, tied output."""

    def __init__(self, config: GruConfig, *, source_size: int, target_size: int) -> None:
        super().__init__()
        width, layers = config.embedding, config.layers
        self.source_embedding = nn.Embedding(source_size, width, padding_idx=PAD)
        self.source_dropout = nn.Dropout(config.embedding_dropout)
        self.encoder = nn.GRU(
            width,
            config.hidden,
            layers,
            batch_first=True,
            dropout=config.encoder_dropout if layers > 1 else 0.0,
        )
        self.bridge = nn.Linear(config.hidden, width, bias=False)
        self.target_embedding = nn.Embedding(target_size, width, padding_idx=PAD)
        self.decoder = nn.GRU(
            width,
            width,
            layers,
            batch_first=True,
            dropout=config.decoder_dropout if layers > 1 else 0.0,
        )
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(width, target_size)
        self.output.weight = self.target_embedding.weight
        # torch draws embeddings from N(0, 1), and tied output weights of that size start the
        # loss at 9.6 instead of log V = 6.2 on 200 MEDDOCAN rows.
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=width**-0.5)
            nn.init.zeros_(embedding.weight[PAD])

    def start(self, batch: Batch) -> GruState:
        """Read the sources (B, S), each to its own end."""
        embedded = self.source_dropout(self.source_embedding(batch.source))  # (B, S, E)
        packed = pack_padded_sequence(
            embedded, batch.source_lengths, batch_first=True, enforce_sorted=False
        )
        _, last = self.encoder(packed)  # (L, B, H)
        hidden = self.bridge(last)  # (L, B, E)
        return GruState(hidden, hidden[-1])

    def step(self, state: GruState, last: Tensor) -> GruState:
        """Feed the token `last` (B,) of every row to the decoder."""
        embedded = self.target_embedding(last).unsqueeze(1)  # (B, 1, E)
        top, hidden = self.decoder(embedded, state.hidden)
        return GruState(hidden, top.squeeze(1))

    def scores(self, state: GruState, columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, V) of the next token, or the logits of `columns`."""
        if columns is None:
            return self._logits(state.top).log_softmax(-1)
        # Rows ask for much the same tags: each column is taken out of the weights once.
        asked, places = torch.unique(columns, return_inverse=True)  # (U,), (B, K)
        weight, bias = self.output.weight[asked], self.output.bias[asked]
        return F.linear(self.output_dropout(state.top), weight, bias).gather(1, places)

    def select(self, state: GruState, rows: Tensor) -> GruState:
        """Take the rows (B',) of a state."""
        return GruState(state.hidden[:, rows], state.top[rows])

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits (B, T, V) of a decoder fed its own best tokens, as in training.

        No gradient passes through the choice of a token. So a first run without gradients finds
        what to feed, and a second takes all of it in one call: faster than learning step by
        step, with the same gradients for the same tokens.
        """
        assert batch.target is not None
        state = self.start(batch)
        fed = self._best_tokens(state, length=batch.target.shape[1])
        top, _ = self.decoder(self.target_embedding(fed), state.hidden)
        return self._logits(top)

    @torch.no_grad()
    def _best_tokens(self, state: GruState, *, length: int) -> Tensor:
        """Return the begin symbol and the best tokens after it, (B, `length`) in all."""
        fed = [torch.full_like(state.top[:, 0], BEGIN, dtype=torch.long)]
        while len(fed) < length:
            state = self.step(state, fed[-1])
            fed.append(self._logits(state.top).argmax(-1))
        return torch.stack(fed, dim=1)

    def _logits(self, top: Tensor) -> Tensor:
        logits: Tensor = self.output(self.output_dropout(top))
        return logits
