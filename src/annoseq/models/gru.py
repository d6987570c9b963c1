"""GRU encoder-decoder without attention, the network of the original notebook.

Sutskever et al. 2014, "Sequence to sequence learning with neural networks", with the GRU of Cho
et al. 2014 and the output weights tied to the decoder's embeddings (Press and Wolf 2017).
Faults of the notebook are corrected: the encoder does not read padding, so that the result of a row
does not depend on its batch; the begin symbol is a token of its own; the tied weights are one
parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding
from annoseq.models.interfaces import Seq2SeqNetwork

if TYPE_CHECKING:
    from annoseq.config import GruConfig
    from annoseq.tokenization.batching import Batch


class GruState(NamedTuple):
    """Hidden state of the decoder (L, B, E), and the output (B, E) of its top layer."""

    hidden: Tensor
    output: Tensor


class Gru(Seq2SeqNetwork[GruState]):
    """Encoder GRU, bias-free projection of its last hidden states, decoder GRU, tied output."""

    def __init__(self, config: GruConfig, *, source_size: int, target_size: int) -> None:
        super().__init__()
        width, layers = config.embedding, config.layers
        self.target = TargetEmbedding(target_size, width, dropout=config.output_dropout)
        self.source = SourceEmbedding(source_size, self.target, dropout=config.embedding_dropout)
        self.encoder = nn.GRU(
            width,
            config.hidden,
            layers,
            batch_first=True,
            dropout=config.encoder_dropout if layers > 1 else 0.0,
        )
        self.bridge = nn.Linear(config.hidden, width, bias=False)
        self.decoder = nn.GRU(
            width,
            width,
            layers,
            batch_first=True,
            dropout=config.decoder_dropout if layers > 1 else 0.0,
        )

    def start(self, batch: Batch) -> GruState:
        """Encode the sources (B, S), each up to its own length."""
        packed = pack_padded_sequence(
            self.source(batch.source), batch.source_lengths, batch_first=True, enforce_sorted=False
        )
        _, last = self.encoder(packed)  # (L, B, H)
        hidden = self.bridge(last)  # (L, B, E)
        return GruState(hidden, hidden[-1])

    def step(self, state: GruState, last: Tensor) -> GruState:
        """Feed the token `last` (B,) of every row to the decoder."""
        output, hidden = self.decoder(self.target(last.unsqueeze(1)), state.hidden)
        return GruState(hidden, output.squeeze(1))

    def decoder_output(self, state: GruState) -> Tensor:
        """Return the output (B, E) of the top layer for the last token fed."""
        return state.output

    def select(self, state: GruState, rows: Tensor) -> GruState:
        """Select the rows (B',) of a state."""
        return GruState(state.hidden[:, rows], state.output[rows])

    def decode(self, state: GruState, fed: Tensor) -> Tensor:
        """Feed targets (B, T) to the decoder; return its outputs (B, T, E)."""
        outputs: Tensor = self.decoder(self.target(fed), state.hidden)[0]
        return outputs
