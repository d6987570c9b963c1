"""What stands around each token: the encoders that a tagger can have.

All read vectors (B, T, D) of rows of some lengths and return (B, T, 2 H). `docs/tagger.md` compares
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.config import TransformerConfig
from annoseq.models.crf import token_mask
from annoseq.models.positional_encoding import RotaryEmbedding
from annoseq.models.transformer_layers import EncoderLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import TaggerConfig

_KERNEL, _WIDEST = 3, 4
"""Tokens that a convolution reads, and after how many layers the distances begin again at 1."""
_HEADS = 4


class Encoder(nn.Module, ABC):
    """Reads vectors (B, T, D) of rows of some lengths."""

    @abstractmethod
    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return what is known of each token (B, T, 2 H)."""

    def read(self, words: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Do the same for rows (B, T) whose tokens are places in `words` (W, D).

        For reading alone: an encoder may do once for a word what else it does for each token.
        """
        read: Tensor = self(words[places], lengths)
        return read


def build_encoder(config: TaggerConfig, *, width: int) -> Encoder:
    """Build the encoder that is asked for, over vectors of some width."""
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


class SharedDropout(nn.Module):
    """Drop the same places of all tokens of a row (Gal and Ghahramani 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, vectors: Tensor) -> Tensor:
        """Drop from (B, T, D)."""
        if not self.training or not self.share:
            return vectors
        keeps = torch.rand_like(vectors[:, :1]) >= self.share
        return vectors * keeps / (1 - self.share)


class BiLstmEncoder(Encoder):
    """An LSTM in each direction (Graves and Schmidhuber 2005).

    The backward one reads each row turned around within its own length, so that neither meets
    padding before a token. torch's packed sequences do the same, but on a CPU their gradients take
    time that grows with the square of the length.
    """

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [width, *[2 * hidden] * (layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(one, hidden, batch_first=True) for one in widths)
        self.backwards = nn.ModuleList(nn.LSTM(one, hidden, batch_first=True) for one in widths)
        self.dropout = SharedDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read each row in both directions."""
        turned = _turned(vectors[:, :, 0], lengths).unsqueeze(2)
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            vectors = self.dropout(vectors)
            ahead, _ = forwards(vectors)
            behind, _ = backwards(_turn(vectors, turned))
            vectors = torch.cat([ahead, _turn(behind, turned)], 2)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    @torch.no_grad()
    def read(self, words: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Multiply the words' vectors with the first layer's weights, and only then spread them.

        Both directions then take their steps together. On MEDDOCAN, where a batch of 256 rows has
        a quarter as many words as tokens, this takes a third of the time of `forward`.
        """
        if len(self.forwards) > 1 or self.training or torch.is_autocast_enabled(words.device.type):
            return super().read(words, places, lengths)
        layers = [*self.forwards, *self.backwards]
        turned = _turned(places, lengths)
        read = _run(
            [_gates(layer, words) for layer in layers],
            [places, places.gather(1, turned)],
            torch.stack([_in_order(layer.get_parameter("weight_hh_l0")).T for layer in layers]),
        )  # (2, B, T, H)
        return torch.cat([read[0], _turn(read[1], turned.unsqueeze(2))], 2)


def _gates(layer: nn.Module, words: Tensor) -> Tensor:
    """Return what words (W, D) add to the gates (W, 4 H) of an LSTM's layer."""
    bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    return F.linear(words, _in_order(layer.get_parameter("weight_ih_l0")), _in_order(bias))


def _in_order(weights: Tensor) -> Tensor:
    """Put the gates that take a sigmoid side by side: input, forget, output, then the cell's."""
    into, forget, cell, out = weights.chunk(4)
    return torch.cat([into, forget, out, cell])


def _run(gates: Sequence[Tensor], places: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Take the steps of an LSTM in both directions at once.

    For each direction `gates` (W, 4 H) of the words, `places` (B, T) of the rows' words in them,
    and `weights` (2, H, 4 H). Returns (2, B, T, H).
    """
    rows, steps = places[0].shape
    width = weights.shape[1]
    by_step = [one.T.contiguous() for one in places]
    hidden = cell = weights.new_zeros(2, rows, width)
    read = weights.new_empty(2, rows, steps, width)
    both = weights.new_empty(2, rows, 4 * width)
    for step in range(steps):
        # Only this step's gates are spread, into the same memory: it stays in the cache.
        for direction in range(2):
            torch.index_select(gates[direction], 0, by_step[direction][step], out=both[direction])
        both.baddbmm_(hidden, weights)
        into, forget, out = both[..., : 3 * width].sigmoid_().chunk(3, 2)
        cell = forget * cell + into * both[..., 3 * width :].tanh_()
        hidden = out * cell.tanh()
        read[:, :, step] = hidden
    return read


def _turned(places: Tensor, lengths: Tensor) -> Tensor:
    """Return where each place (B, T) comes from when rows are turned around within their length."""
    steps = torch.arange(places.shape[1], device=places.device)
    return (lengths.to(places.device).unsqueeze(1) - 1 - steps).clamp(min=0)


def _turn(vectors: Tensor, places: Tensor) -> Tensor:
    return vectors.gather(1, places.expand(-1, -1, vectors.shape[2]))


class ConvolutionalEncoder(Encoder):
    """Gated convolutions at growing distances, each added to what it read.

    Dauphin et al. 2017 (gates), Strubell et al. 2017 (distances of 1, 2, 4, 8 for tagging).
    """

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * hidden
        self.inlet = nn.Linear(width, inner)
        self.norms = nn.ModuleList(nn.LayerNorm(inner) for _ in range(layers))
        far = [2 ** (layer % _WIDEST) for layer in range(layers)]
        self.layers = nn.ModuleList(
            nn.Conv1d(inner, 2 * inner, _KERNEL, padding="same", dilation=one) for one in far
        )
        self.dropout = SharedDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read each row, in which padding is zero."""
        is_token = token_mask(vectors, lengths).unsqueeze(2)
        vectors = self.inlet(self.dropout(vectors))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            read = layer((norm(vectors) * is_token).transpose(1, 2)).transpose(1, 2)
            vectors = vectors + self.dropout(F.glu(read, 2))
        return vectors


class TransformerEncoder(Encoder):
    """A transformer's encoder with rotary positions."""

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * hidden
        config = TransformerConfig(
            embedding=inner, heads=_HEADS, feed_forward=4 * inner, dropout=dropout / 2
        )
        self.head_width = inner // _HEADS
        self.inlet = nn.Linear(width, inner)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))
        self.norm = nn.LayerNorm(inner)
        self.dropout = SharedDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Let each token of a row look at all of them."""
        mask = token_mask(vectors, lengths)[:, None, None]
        places = torch.arange(vectors.shape[1], device=vectors.device)
        rotation = RotaryEmbedding.of(places, width=self.head_width)
        vectors = self.inlet(self.dropout(vectors))
        for layer in self.layers:
            vectors = layer(vectors, rotation, mask)
        dropped: Tensor = self.dropout(self.norm(vectors))
        return dropped
