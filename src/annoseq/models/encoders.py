"""Contextual encoders of the tagger: BiLSTM, gated convolutions, transformer, and projection.

All encode vectors (B, T, D) of padded rows as (B, T, 2 H). `docs/tagger.md` compares them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.config import TransformerConfig
from annoseq.kernels import selection as kernels
from annoseq.models.concurrent_branches import Branch, run_branches
from annoseq.models.embeddings import RotaryEmbedding
from annoseq.models.padding import (
    active_rows,
    reverse_rows,
    reversed_tokens,
    select_tokens,
    token_mask,
)
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

    def project(self, vectors: Tensor) -> Tensor:
        """Return what `encode_projected` needs of the vectors (W, D) of distinct tokens.

        For inference only: what depends on one token alone is computed once, for all occurrences.
        """
        return vectors

    def encode_projected(self, projected: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Encode rows of `places` (B, T) in the projections (W, ...) of distinct tokens."""
        encoded: Tensor = self(projected[places], lengths)
        return encoded

    def score_projected(
        self, projected: Tensor, places: Tensor, lengths: Tensor, output: nn.Linear
    ) -> Tensor | None:
        """Return the outputs (B, T, K) of a layer after the encoder, if one pass computes both."""
        del projected, places, lengths, output
        return None


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
        case "linear":
            return LinearEncoder(width=width, hidden=hidden, dropout=dropout)


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
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead, behind = run_branches(
                Branch.of(partial(_run_lstm, forwards), forwards),
                Branch.of(partial(_run_reversed, backwards, lengths), backwards),
                self.dropout(vectors),
            )
            vectors = torch.cat([*ahead, *behind], 2)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    @torch.no_grad()
    def project(self, vectors: Tensor) -> Tensor:
        """Return the input gates (W, 2, 4 H) of both directions of the only layer."""
        if not self._takes_steps(vectors):
            return vectors
        layers = [*self.forwards, *self.backwards]
        weights = torch.cat(
            [_prepare_gates(layer.get_parameter("weight_ih_l0")) for layer in layers]
        )
        gates = F.linear(vectors, weights, torch.cat([_gate_bias(layer) for layer in layers]))
        return gates.view(len(vectors), 2, -1)

    @torch.no_grad()
    def encode_projected(self, projected: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Take the steps of both directions together, without a product of inputs and weights.

        On MEDDOCAN, where a batch of 256 rows has four tokens for each distinct one, this takes a
        fifth of the time of `forward`.
        """
        if not self._takes_steps(projected):
            return super().encode_projected(projected, places, lengths)
        if self._fits_kernel(projected):
            return self._run_kernel(projected, places, lengths)
        reversed_places = reversed_tokens(places, lengths)
        outputs = _run_lstms(
            projected,
            torch.stack([places, places.gather(1, reversed_places)]),
            self._recurrent_weights(),
            active_rows(lengths, places.shape[1]),
        )  # (2, B, T, H)
        return torch.cat([outputs[0], select_tokens(outputs[1], reversed_places)], 2)

    @torch.no_grad()
    def score_projected(
        self, projected: Tensor, places: Tensor, lengths: Tensor, output: nn.Linear
    ) -> Tensor | None:
        """Return the outputs of a layer after the LSTMs, if the compiled kernel computes both.

        The encodings, three times as large, are then never in memory.
        """
        if not self._takes_steps(projected) or not self._fits_kernel(projected):
            return None
        return self._run_kernel(projected, places, lengths, output)

    def _run_kernel(
        self, projected: Tensor, places: Tensor, lengths: Tensor, output: nn.Linear | None = None
    ) -> Tensor:
        from annoseq.kernels.lstm_kernel import LstmWeights, run_lstms

        recurrent = self._recurrent_weights().numpy()
        if output is None:
            weights, size = LstmWeights.of(recurrent), 2 * recurrent.shape[1]
        else:
            layer = (output.weight.T.numpy(), output.bias.numpy())
            weights, size = LstmWeights.of(recurrent, *layer), output.out_features
        gates, tokens = projected.numpy(), places.numpy()
        return torch.from_numpy(run_lstms(gates, tokens, lengths.numpy(), weights, size=size))

    def _recurrent_weights(self) -> Tensor:
        """Return the recurrent weights (2, H, 4 H) of both directions."""
        layers = [*self.forwards, *self.backwards]
        return torch.stack(
            [_prepare_gates(layer.get_parameter("weight_hh_l0")).T for layer in layers]
        )

    def _fits_kernel(self, projected: Tensor) -> bool:
        """Return True if compiled kernels are used, and have a step for these numbers."""
        is_single = projected.device.type == "cpu" and projected.dtype == torch.float32
        return is_single and projected.shape[2] % 32 == 0 and kernels.are_used()

    def _takes_steps(self, values: Tensor) -> bool:
        return len(self.forwards) == 1 and not (
            self.training or torch.is_autocast_enabled(values.device.type)
        )


def _gate_bias(layer: nn.Module) -> Tensor:
    """Return the bias (4 H,) of the gates of an LSTM layer."""
    return _prepare_gates(layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0"))


def _prepare_gates(weights: Tensor) -> Tensor:
    """Reorder gates: input, forget, output, and the cell; double that of the cell.

    As tanh(x) = 2 sigmoid(2 x) - 1, all then take one sigmoid, which torch computes four times as
    fast as tanh.
    """
    input_, forget, cell, output = weights.chunk(4)
    return torch.cat([input_, forget, output, 2 * cell])


def _run_lstms(gates: Tensor, places: Tensor, weights: Tensor, active: Sequence[int]) -> Tensor:
    """Run the LSTMs of both directions in parallel; return their outputs (2, B, T, H).

    `gates` (W, 2, 4 H) are the input gates of distinct tokens, `places` (2, B, T) the tokens of the
    rows, `weights` (2, H, 4 H) the recurrent weights, `active` (T,) the rows that take each step.
    """
    _, rows, steps = places.shape
    width = weights.shape[1]
    by_direction = gates.flatten(0, 1)  # (2 W, 4 H)
    by_step = (2 * places + torch.arange(2, device=places.device)[:, None, None]).permute(2, 0, 1)
    outputs = weights.new_zeros(2, rows, steps, width)
    memory = weights.new_empty(2 * rows, 4 * width)
    hidden = doubled_cell = weights.new_zeros(2, rows, width)
    for step, count in enumerate(active):
        # Only this step's gates are gathered, into the same memory, which stays in the cache.
        both = memory[: 2 * count]
        torch.index_select(by_direction, 0, by_step[step, :, :count].flatten(), out=both)
        both = both.view(2, count, 4 * width)
        if step:
            both.baddbmm_(hidden[:, :count], weights)
        input_, forget, output, candidate = both.sigmoid_().chunk(4, 2)
        doubled_cell = doubled_cell[:, :count] * forget
        doubled_cell.addcmul_(input_, candidate.mul_(4).sub_(2))
        hidden = doubled_cell.sigmoid().mul_(2).sub_(1).mul_(output)
        outputs[:, :count, step] = hidden
    return outputs


def _run_lstm(layer: nn.Module, vectors: Tensor) -> tuple[Tensor]:
    return (layer(vectors)[0],)


def _run_reversed(layer: nn.Module, lengths: Tensor, vectors: Tensor) -> tuple[Tensor]:
    (outputs,) = _run_lstm(layer, reverse_rows(vectors, lengths))
    return (reverse_rows(outputs, lengths),)


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


class LinearEncoder(Encoder):
    """Projection of each token by itself, for vectors that have their context already."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.output = nn.Linear(width, 2 * hidden)
        self.dropout = VariationalDropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Project each token."""
        del lengths
        projected: Tensor = F.gelu(self.output(self.dropout(vectors)))
        return projected
