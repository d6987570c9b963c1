"""Pre-norm transformer layers with rotary positions and a key-value cache.

Vaswani et al. 2017, "Attention is all you need". Normalization comes first, which is stable without
warm-up (Xiong et al. 2020, "On layer normalization in the transformer architecture"). torch's own
`TransformerEncoderLayer` supports neither rotary positions nor a key-value cache, so these layers
use its `scaled_dot_product_attention`. Attention weights have no dropout: on a CPU it would rule
out torch's fused kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from annoseq.config import TransformerConfig
    from annoseq.models.positional_encoding import RotaryEmbedding


_BLOCK_SIZE = 64
"""Tokens of a block of the cache. With 32 a step is as fast, and `select` is slower."""


class KeyValues(NamedTuple):
    """Rotated keys and values of attention, both (B, H, T, D)."""

    keys: Tensor
    values: Tensor

    def select(self, rows: Tensor) -> KeyValues:
        """Select rows (B',)."""
        return KeyValues(self.keys[rows], self.values[rows])


KeyValueCache = tuple[KeyValues, ...]
"""Keys and values of decoded tokens, in blocks. Only the last block is copied to grow: copying all
of them for every token was 82 % of a step after 250 tokens of 64 rows, most of it allocation."""


def append_to_cache(cache: KeyValueCache, newer: KeyValues) -> KeyValueCache:
    """Return the cache with `newer` appended; nothing is changed in place."""
    if not cache or cache[-1].keys.shape[2] >= _BLOCK_SIZE:
        return (*cache, newer)
    pairs = zip(cache[-1], newer, strict=True)
    return (*cache[:-1], KeyValues(*(torch.cat(pair, dim=2) for pair in pairs)))


def attend_to_cache(queries: Tensor, cache: KeyValueCache) -> Tensor:
    """Attend from single tokens (B, H, 1, D) to all cached tokens; return (B, H, 1, D)."""
    scaled = queries * queries.shape[-1] ** -0.5
    scores = [scaled @ block.keys.transpose(2, 3) for block in cache]
    weights = torch.cat(scores, dim=-1).softmax(-1)  # (B, H, 1, T)
    block_weights = torch.split(weights, [block.shape[-1] for block in scores], dim=-1)
    attended = [share @ block.values for share, block in zip(block_weights, cache, strict=True)]
    return torch.stack(attended).sum(0) if len(attended) > 1 else attended[0]


class SelfAttention(nn.Module):
    """Multi-head self-attention; queries, keys and values in one matrix product."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.embedding
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor, rotary: RotaryEmbedding, mask: Tensor) -> Tensor:
        """Attend from `inputs` (B, T, E) to those in the `mask` (B, 1, 1, T)."""
        queries, key_values = self._project(inputs, rotary)
        attended = F.scaled_dot_product_attention(queries, *key_values, attn_mask=mask)
        return self._add(inputs, attended)

    def forward_causal(
        self, inputs: Tensor, rotary: RotaryEmbedding, cache: KeyValueCache
    ) -> tuple[Tensor, KeyValueCache]:
        """Attend from `inputs` (B, T, E) to the cached and preceding tokens; return the new cache.

        Several tokens at once require an empty cache.
        """
        queries, key_values = self._project(inputs, rotary)
        if inputs.shape[1] == 1:
            cache = append_to_cache(cache, key_values)
            return self._add(inputs, attend_to_cache(queries, cache)), cache
        assert not cache
        attended = F.scaled_dot_product_attention(queries, *key_values, is_causal=True)
        return self._add(inputs, attended), (key_values,)

    def _project(self, inputs: Tensor, rotary: RotaryEmbedding) -> tuple[Tensor, KeyValues]:
        parts = self.query_key_value(self.norm(inputs)).unflatten(-1, (3, self.heads, -1))
        parts = parts.permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        queries, keys = rotary.rotate(parts[:2]).unbind(0)
        return queries, KeyValues(keys, parts[2])

    def _add(self, inputs: Tensor, attended: Tensor) -> Tensor:
        summed: Tensor = inputs + self.dropout(self.output(_concatenate_heads(attended)))
        return summed


class CrossAttention(nn.Module):
    """Multi-head attention to the encoded source, whose keys and values are computed once."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.embedding
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, inputs: Tensor, rotary: RotaryEmbedding, source: KeyValues, mask: Tensor
    ) -> Tensor:
        """Attend from `inputs` (B, T, E) to the source tokens in the `mask` (B, 1, 1, S)."""
        queries = self.query(self.norm(inputs)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(rotary.rotate(queries), *source, attn_mask=mask)
        summed: Tensor = inputs + self.dropout(self.output(_concatenate_heads(attended)))
        return summed


class FeedForward(nn.Module):
    """Position-wise feed-forward network with a ReLU and a residual connection."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.embedding)
        self.inner = nn.Linear(config.embedding, config.feed_forward)
        self.output = nn.Linear(config.feed_forward, config.embedding)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return `inputs` (B, T, E) plus their transformation."""
        hidden = self.inner(self.norm(inputs)).relu_()
        summed: Tensor = inputs + self.dropout(self.output(hidden))
        return summed


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, inputs: Tensor, rotary: RotaryEmbedding, mask: Tensor) -> Tensor:
        """Encode (B, S, E); the `mask` (B, 1, 1, S) is True for tokens."""
        encoded: Tensor = self.feed_forward(self.attention(inputs, rotary, mask))
        return encoded


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, and feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.source_attention = CrossAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        inputs: Tensor,
        *,
        cache: KeyValueCache,
        source: KeyValues,
        mask: Tensor,
        rotary: RotaryEmbedding,
        source_rotary: RotaryEmbedding,
    ) -> tuple[Tensor, KeyValueCache]:
        """Decode (B, T, E) after the cached tokens; return the outputs and the new cache."""
        attended, cache = self.attention.forward_causal(inputs, rotary, cache)
        attended = self.source_attention(attended, source_rotary, source, mask)
        return self.feed_forward(attended), cache


def _concatenate_heads(heads: Tensor) -> Tensor:
    """Concatenate heads (B, H, T, D) to (B, T, E)."""
    return heads.transpose(1, 2).flatten(2)
