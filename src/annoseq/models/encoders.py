"""Contextual encoders of the tagger: BiLSTM, gated convolutions and transformer.

All encode vectors (B, T, D) of padded rows as (B, T, 2 H). `docs/tagger.md` compares them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.config import TransformerConfig
from annoseq.models.crf import token_mask
from annoseq.models.embeddings import RotaryEmbedding
from annoseq.models.transformer import EncoderLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import TaggerConfig

_KERNEL, _DILATION_CYCLE = 3, 4
"""Kernel width of convolutions, and number of layers after which dilation starts at 1 again."""
_HEADS = 4


class Encoder(nn.Module, ABC):
    """Contextual encoder of vectors (B, T, D) of padded rows."""

    @abstractmethod
    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the encodings (B, T, 2 H)."""

    def encode_distinct(self, vectors: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Encode rows (B, T) of `places` in the vectors (W, D) of distinct tokens.

        For inference only: an encoder may compute once for a distinct token what `forward` computes
        for each occurrence.
        """
        encoded: Tensor = self(vectors[places], lengths)
        return encoded


def build_encoder(config: TaggerConfig, *, width: int) -> Encoder:
    """Build the configured encoder for vectors of a width D."""
    hidden, dropout = config.hidden, config.dropout
    match config.encoder:
        case "lstm":
            layers = config.layers or 1
            return BiLstmEncoder(width=width, hidden=hidden, layers=layers, dropout=dropout)
        case "convolution":
            layers = config.layers or 4
            return ConvolutionalEncoder(width=width, hidden=hidden, layers=layers, dropout=dropout)
        case "transformer":
            layers = config.layers or 2
            return TransformerEncoder(width=width, hidden=hidden, layers=layers, dropout=dropout)


class VariationalDropout(nn.Module):
    """Dropout with the same mask for all tokens of a row (Gal and Ghahramani 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, vectors: Tensor) -> Tensor:
        """Drop components of (B, T, D)."""
        if not self.training or not self.share:
            return vectors
        is_kept = torch.rand_like(vectors[:, :1]) >= self.share
        return vectors * is_kept / (1 - self.share)


class BiLstmEncoder(Encoder):
    """Bidirectional LSTM (Graves and Schmidhuber 2005).

    The backward LSTM reads each row reversed within its own length, so that neither direction meets
    padding before a token. torch's packed sequences do the same, but on a CPU the time of their
    gradients grows with the square of the length.
    """

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [width, *[2 * hidden] * (layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.dropout = VariationalDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Encode each row in both directions."""
        reversed_places = _reversed_places(vectors[:, :, 0], lengths).unsqueeze(2)
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            vectors = self.dropout(vectors)
            ahead, _ = forwards(vectors)
            behind, _ = backwards(_gather_tokens(vectors, reversed_places))
            vectors = torch.cat([ahead, _gather_tokens(behind, reversed_places)], 2)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    @torch.no_grad()
    def encode_distinct(self, vectors: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Compute the input gates of the first layer once for each distinct token.

        Both directions then take their steps together. On MEDDOCAN, where a batch of 256 rows has
        four tokens for each distinct one, this takes a third of the time of `forward`.
        """
        is_autocast = torch.is_autocast_enabled(vectors.device.type)
        if len(self.forwards) > 1 or self.training or is_autocast:
            return super().encode_distinct(vectors, places, lengths)
        layers = [*self.forwards, *self.backwards]
        reversed_places = _reversed_places(places, lengths)
        outputs = _run_lstms(
            [_input_gates(layer, vectors) for layer in layers],
            [places, places.gather(1, reversed_places)],
            torch.stack(
                [_reorder_gates(layer.get_parameter("weight_hh_l0")).T for layer in layers]
            ),
        )  # (2, B, T, H)
        return torch.cat([outputs[0], _gather_tokens(outputs[1], reversed_places.unsqueeze(2))], 2)


def _input_gates(layer: nn.Module, vectors: Tensor) -> Tensor:
    """Return the contribution (W, 4 H) of vectors (W, D) to the gates of an LSTM layer."""
    bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    return F.linear(
        vectors, _reorder_gates(layer.get_parameter("weight_ih_l0")), _reorder_gates(bias)
    )


def _reorder_gates(weights: Tensor) -> Tensor:
    """Put the gates with a sigmoid side by side: input, forget, output, and then the cell."""
    input_, forget, cell, output = weights.chunk(4)
    return torch.cat([input_, forget, output, cell])


def _run_lstms(gates: Sequence[Tensor], places: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Run the LSTMs of both directions in parallel; return their outputs (2, B, T, H).

    For each direction, `gates` (W, 4 H) are the input gates of distinct tokens, `places` (B, T) the
    tokens of the rows, and `weights` (2, H, 4 H) the recurrent weights.
    """
    rows, steps = places[0].shape
    width = weights.shape[1]
    by_step = [direction_places.T.contiguous() for direction_places in places]
    hidden = cell = weights.new_zeros(2, rows, width)
    outputs = weights.new_empty(2, rows, steps, width)
    both = weights.new_empty(2, rows, 4 * width)
    for step in range(steps):
        # Only this step's gates are gathered, into the same memory, which stays in the cache.
        for direction in range(2):
            torch.index_select(gates[direction], 0, by_step[direction][step], out=both[direction])
        both.baddbmm_(hidden, weights)
        input_, forget, output = both[..., : 3 * width].sigmoid_().chunk(3, 2)
        cell = forget * cell + input_ * both[..., 3 * width :].tanh_()
        hidden = output * cell.tanh()
        outputs[:, :, step] = hidden
    return outputs


def _reversed_places(places: Tensor, lengths: Tensor) -> Tensor:
    """Return the places (B, T) that reverse each row within its length."""
    steps = torch.arange(places.shape[1], device=places.device)
    return (lengths.to(places.device).unsqueeze(1) - 1 - steps).clamp(min=0)


def _gather_tokens(vectors: Tensor, places: Tensor) -> Tensor:
    return vectors.gather(1, places.expand(-1, -1, vectors.shape[2]))


class ConvolutionalEncoder(Encoder):
    """Gated dilated convolutions with residual connections.

    Dauphin et al. 2017 (gates), Strubell et al. 2017 (dilations 1, 2, 4, 8 for tagging).
    """

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * hidden
        self.input = nn.Linear(width, inner)
        self.norms = nn.ModuleList(nn.LayerNorm(inner) for _ in range(layers))
        dilations = [2 ** (layer % _DILATION_CYCLE) for layer in range(layers)]
        self.layers = nn.ModuleList(
            nn.Conv1d(inner, 2 * inner, _KERNEL, padding="same", dilation=dilation)
            for dilation in dilations
        )
        self.dropout = VariationalDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Encode each row; padding is set to zero."""
        is_token = token_mask(vectors, lengths).unsqueeze(2)
        vectors = self.input(self.dropout(vectors))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            convolved = layer((norm(vectors) * is_token).transpose(1, 2)).transpose(1, 2)
            vectors = vectors + self.dropout(F.glu(convolved, 2))
        return vectors


class TransformerEncoder(Encoder):
    """Transformer encoder with rotary positions."""

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * hidden
        config = TransformerConfig(
            embedding=inner, heads=_HEADS, feed_forward=4 * inner, dropout=dropout / 2
        )
        self.head_width = inner // _HEADS
        self.input = nn.Linear(width, inner)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))
        self.norm = nn.LayerNorm(inner)
        self.dropout = VariationalDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Encode each row by self-attention."""
        mask = token_mask(vectors, lengths)[:, None, None]
        places = torch.arange(vectors.shape[1], device=vectors.device)
        rotary = RotaryEmbedding.of(places, width=self.head_width)
        vectors = self.input(self.dropout(vectors))
        for layer in self.layers:
            vectors = layer(vectors, rotary, mask)
        dropped: Tensor = self.dropout(self.norm(vectors))
        return dropped
