"""Transformer encoder-decoder with rotary positions relative to the copied source.

Vaswani et al. 2017, "Attention is all you need", with pre-norm and rotary positions (Su et al.
2021). The position of a decoder token relative to the source is the number of tokens decoded so
far, tags not counted on either side. In a copy, the next source token is at that position, so that
attention need not find it by its context. After one epoch of 4,000 MEDDOCAN rows (width 128,
maximum learning rate 2e-3) the loss was 0.97 with these positions, 1.24 with tags counted too, and
2.15 without positions between target and source.

Normalization comes first, which is stable without warm-up (Xiong et al. 2020, "On layer
normalization in the transformer architecture"). torch's own `TransformerEncoderLayer` supports
neither rotary positions nor a key-value cache, so these layers use its
`scaled_dot_product_attention`. Attention weights have no dropout: on a CPU it would rule out
torch's fused kernel.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.models.embeddings import (
    RotaryEmbedding,
    SourceEmbedding,
    TargetEmbedding,
    position_increments,
)
from annoseq.models.interfaces import Seq2SeqNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import TransformerConfig
    from annoseq.tokenization.batching import Batch


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


class TransformerState(NamedTuple):
    """Encoded sources and decoded tokens, for each layer of the decoder.

    `source` are the keys and values of the sources, of which `mask` (B, 1, 1, S) is True for
    tokens; `caches` those of the decoded tokens. `position` (B,) is the position in the source, and
    `output` (B, E) the last output of the decoder.
    """

    source: tuple[KeyValues, ...]
    mask: Tensor
    caches: tuple[KeyValueCache, ...]
    position: Tensor
    output: Tensor


class Transformer(Seq2SeqNetwork[TransformerState]):
    """Pre-norm encoder and decoder, with a final norm each, and a tied output layer.

    `source_tags` and `target_tags` are the ids of tags, which do not count as positions.
    """

    source_increments: Tensor
    target_increments: Tensor

    def __init__(
        self,
        config: TransformerConfig,
        *,
        source_size: int,
        target_size: int,
        copies: Sequence[int] | None = None,
        source_tags: Sequence[int] = (),
        target_tags: Sequence[int] = (),
    ) -> None:
        super().__init__()
        width = config.embedding
        self.head_width = width // config.heads
        self.target = TargetEmbedding(target_size, width, dropout=config.dropout)
        self.source = SourceEmbedding(source_size, self.target, dropout=0.0, copies=copies)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.source_key_value = nn.Linear(width, 2 * config.decoder_layers * width)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        # The residual stream carries the input embedding to the output layer, which has the same
        # weights: with a norm of 1 the first prediction repeats the last token, and the loss is
        # 13.9 for log V = 9.
        nn.init.constant_(self.decoder_norm.weight, width**-0.25)
        source_increments = position_increments(source_size, source_tags)
        target_increments = position_increments(target_size, target_tags)
        self.register_buffer("source_increments", source_increments, persistent=False)
        self.register_buffer("target_increments", target_increments, persistent=False)

    def start(self, batch: Batch) -> TransformerState:
        """Encode the sources (B, S); one product gives keys and values of all decoder layers."""
        places = torch.arange(batch.source.shape[1], device=batch.source.device)
        lengths = batch.source_lengths.to(places.device).view(-1, 1, 1, 1)
        mask = places < lengths  # (B, 1, 1, S)
        rotary = RotaryEmbedding.of(places, width=self.head_width)
        increments = self.source_increments[batch.source]
        source_rotary = self._source_rotary(increments.cumsum(1) - increments)
        encoded = self._scale_embeddings(self.source(batch.source))
        for layer in self.encoder:
            encoded = layer(encoded, rotary, mask)
        parts = self.source_key_value(self.encoder_norm(encoded))  # (B, S, 2 L E)
        parts = parts.unflatten(-1, (2, len(self.decoder), -1, self.head_width))
        keys, values = parts.permute(2, 3, 0, 4, 1, 5).unbind(0)  # (L, B, H, S, D)
        source = tuple(map(KeyValues, source_rotary.rotate(keys).unbind(0), values.unbind(0)))
        return TransformerState(
            source=source,
            mask=mask,
            caches=((),) * len(source),
            position=lengths.new_zeros(len(lengths)),
            output=encoded.new_zeros(encoded.shape[0], encoded.shape[2]),
        )

    def step(self, state: TransformerState, last: Tensor) -> TransformerState:
        """Feed the token `last` (B,) of every row to the decoder."""
        position = state.position + self.target_increments[last]
        output, caches = self._decode(state, last.unsqueeze(1), position.unsqueeze(1))
        return state._replace(caches=caches, position=position, output=output.squeeze(1))

    def decoder_output(self, state: TransformerState) -> Tensor:
        """Return the output (B, E) of the decoder for the last token fed."""
        return state.output

    def select(self, state: TransformerState, rows: Tensor) -> TransformerState:
        """Select the rows (B',) of a state."""
        return TransformerState(
            source=tuple(key_values.select(rows) for key_values in state.source),
            mask=state.mask[rows],
            caches=tuple(tuple(block.select(rows) for block in cache) for cache in state.caches),
            position=state.position[rows],
            output=state.output[rows],
        )

    def decode(self, state: TransformerState, fed: Tensor) -> Tensor:
        """Feed targets (B, T) to the decoder; return its outputs (B, T, E)."""
        return self._decode(state, fed, self.target_increments[fed].cumsum(1))[0]

    def _decode(
        self, state: TransformerState, fed: Tensor, positions: Tensor
    ) -> tuple[Tensor, tuple[KeyValueCache, ...]]:
        """Feed tokens (B, T) at `positions` (B, T) of their sources."""
        before = sum(block.keys.shape[2] for block in state.caches[0])
        rotary = RotaryEmbedding.of(
            torch.arange(before, before + fed.shape[1], device=fed.device), width=self.head_width
        )
        source_rotary = self._source_rotary(positions)
        decoded = self._scale_embeddings(self.target(fed))
        caches = []
        for layer, cache, source in zip(self.decoder, state.caches, state.source, strict=True):
            decoded, new_cache = layer(
                decoded,
                cache=cache,
                source=source,
                mask=state.mask,
                rotary=rotary,
                source_rotary=source_rotary,
            )
            caches.append(new_cache)
        output: Tensor = self.decoder_norm(decoded)
        return output, tuple(caches)

    def _source_rotary(self, positions: Tensor) -> RotaryEmbedding:
        """Return the rotation of all heads for positions (B, T) in the source."""
        return RotaryEmbedding.of(positions.unsqueeze(1), width=self.head_width)  # (B, 1, T, D / 2)

    def _scale_embeddings(self, embedded: Tensor) -> Tensor:
        """Scale embeddings, whose rows have a length of about 1, to components of about 1."""
        scaled: Tensor = self.dropout(embedded * sqrt(embedded.shape[-1]))
        return scaled
