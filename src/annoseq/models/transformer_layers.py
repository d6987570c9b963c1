"""The layers of a transformer, each with its normalisation before it and itself added to its input.

Vaswani et al. 2017, "Attention is all you need"; the normalisation comes first, which needs no
warm-up to be stable (Xiong et al. 2020, "On layer normalization in the transformer architecture").
torch's own `TransformerEncoderLayer` has no room for rotary positions and keeps no keys, so these
stand on its `scaled_dot_product_attention`. Weights of the attention are not dropped out: on a
CPU that would leave torch's fused kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from annoseq.config import TransformerConfig
    from annoseq.models.positional_encoding import RotaryEmbedding


_BLOCK = 64
"""Tokens of a block of what was written. 32 makes a step as fast, and `select` slower."""


class KeyValues(NamedTuple):
    """What attention looks at: keys, turned to their places, and values, both (B, H, T, D)."""

    keys: Tensor
    values: Tensor

    def select(self, rows: Tensor) -> KeyValues:
        """Take some rows (B',)."""
        return KeyValues(self.keys[rows], self.values[rows])


KeyValueCache = tuple[KeyValues, ...]
"""What was written, in blocks. Only the last, while it is short, is copied to grow: copying all for
every token was 82 % of a step after 250 tokens of 64 rows, most of it the system's handing out of
fresh memory."""


def append_to_cache(written: KeyValueCache, newer: KeyValues) -> KeyValueCache:
    """Return what is written with `newer` after it; nothing is changed in place."""
    if not written or written[-1].keys.shape[2] >= _BLOCK:
        return (*written, newer)
    pairs = zip(written[-1], newer, strict=True)
    return (*written[:-1], KeyValues(*(torch.cat(pair, dim=2) for pair in pairs)))


def attend_to_cache(queries: Tensor, written: KeyValueCache) -> Tensor:
    """Attend from single tokens (B, H, 1, D) to all that is written (B, H, 1, D)."""
    scaled = queries * queries.shape[-1] ** -0.5
    scores = [scaled @ block.keys.transpose(2, 3) for block in written]
    weights = torch.cat(scores, dim=-1).softmax(-1)  # (B, H, 1, T)
    shares = torch.split(weights, [one.shape[-1] for one in scores], dim=-1)
    seen = [share @ block.values for share, block in zip(shares, written, strict=True)]
    return torch.stack(seen).sum(0) if len(seen) > 1 else seen[0]


class SelfAttention(nn.Module):
    """Attention of a sequence to itself; queries, keys and values in one matrix product."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.embedding
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.read = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor, rotation: RotaryEmbedding, mask: Tensor) -> Tensor:
        """Attend from `inputs` (B, T, E) to those that `mask` (B, 1, 1, T) allows."""
        queries, own = self._read(inputs, rotation)
        seen = F.scaled_dot_product_attention(queries, *own, attn_mask=mask)
        return self._add(inputs, seen)

    def write(self, inputs: Tensor, rotation: RotaryEmbedding, written: KeyValueCache) -> tuple[Tensor, KeyValueCache]:
        """Attend from `inputs` (B, T, E) to what is `written`, and to none that comes later.

        Many tokens at once can only be the first. Returns what is written then, too.
        """
        queries, own = self._read(inputs, rotation)
        if inputs.shape[1] == 1:
            written = append_to_cache(written, own)
            return self._add(inputs, attend_to_cache(queries, written)), written
        assert not written
        seen = F.scaled_dot_product_attention(queries, *own, is_causal=True)
        return self._add(inputs, seen), (own,)

    def _read(self, inputs: Tensor, rotation: RotaryEmbedding) -> tuple[Tensor, KeyValues]:
        parts = self.read(self.norm(inputs)).unflatten(-1, (3, self.heads, -1))
        parts = parts.permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        queries, keys = rotation.turn(parts[:2]).unbind(0)
        return queries, KeyValues(keys, parts[2])

    def _add(self, inputs: Tensor, seen: Tensor) -> Tensor:
        attended: Tensor = inputs + self.dropout(self.out(_join(seen)))
        return attended


class CrossAttention(nn.Module):
    """Attention of what is written to what was read, whose keys and values are made only once."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.embedding
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.ask = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor, rotation: RotaryEmbedding, memory: KeyValues, mask: Tensor) -> Tensor:
        """Attend from `inputs` (B, T, E) to the tokens that `mask` (B, 1, 1, S) allows."""
        queries = self.ask(self.norm(inputs)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(rotation.turn(queries), *memory, attn_mask=mask)
        attended: Tensor = inputs + self.dropout(self.out(_join(seen)))
        return attended


class FeedForward(nn.Module):
    """Two linear layers around a ReLU, for every token by itself."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.embedding)
        self.wide = nn.Linear(config.embedding, config.feed_forward)
        self.out = nn.Linear(config.feed_forward, config.embedding)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum (B, T, E)."""
        changed: Tensor = inputs + self.dropout(self.out(self.wide(self.norm(inputs)).relu_()))
        return changed


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, inputs: Tensor, rotation: RotaryEmbedding, mask: Tensor) -> Tensor:
        """Encode (B, S, E), of which `mask` (B, 1, 1, S) tells which tokens there are."""
        encoded: Tensor = self.feed_forward(self.attention(inputs, rotation, mask))
        return encoded


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, and feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.source_attention = CrossAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        inputs: Tensor,
        *,
        written: KeyValueCache,
        read: KeyValues,
        mask: Tensor,
        rotation: RotaryEmbedding,
        source_rotation: RotaryEmbedding,
    ) -> tuple[Tensor, KeyValueCache]:
        """Decode (B, T, E) after what is `written`; return it, and all that is written now."""
        attended, written = self.attention.write(inputs, rotation, written)
        attended = self.source_attention(attended, source_rotation, read, mask)
        return self.feed_forward(attended), written


def _join(heads: Tensor) -> Tensor:
    """Put the heads (B, H, T, D) side by side again, (B, T, E)."""
    return heads.transpose(1, 2).flatten(2)
