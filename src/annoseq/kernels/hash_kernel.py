"""Hashes of the features of words, in compiled code: BLAKE2b (RFC 7693) with a digest of 64 bits.

The digests are those of `hashlib.blake2b(feature, digest_size=8)` as little-endian numbers.

Shapes: W words, C characters of all words, each word between `<` and `>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.kernels.compilation import compiled, inlined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Digests = NDArray[np.uint64]

_BLOCK_BYTES, _ROUNDS = 128, 12
_START = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
_PARAMETERS = np.uint64(0x01010008)
"""Digest of 8 bytes, no key, no tree."""
_ORDER = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    np.int64,
)


class WordDigests(NamedTuple):
    """Digests of each word (W,), its n-grams, one word after the other, and its affixes.

    `ngram_counts` (W,) are the numbers of n-grams; affixes are `2 * longest_affix` for each word.
    """

    words: Digests
    ngrams: Digests
    ngram_counts: NDArray[np.int64]
    affixes: Digests


def hash_words(words: Sequence[str], *, ngram_lengths: range, longest_affix: int) -> WordDigests:
    """Hash the features of words that `annoseq.tokenization.hash_features.token_features` names."""
    joined = "".join([f"<{word}>" for word in words]).encode("utf-8", "surrogatepass")
    content = np.frombuffer(bytearray(joined), np.uint8)
    edges = np.append(np.flatnonzero((content & 0xC0) != 0x80), len(content))  # of characters
    sizes = np.array([len(word) + 2 for word in words], np.int64)
    lengths = np.array(ngram_lengths, np.int64)
    counts = (sizes[:, None] - lengths + 1).clip(min=0).sum(1)
    digests = WordDigests(
        np.empty(len(words), np.uint64),
        np.empty(counts.sum(), np.uint64),
        counts,
        np.empty(2 * longest_affix * len(words), np.uint64),
    )
    _hash_words(
        content,
        edges,
        sizes,
        lengths,
        longest_affix,
        digests.words,
        digests.ngrams,
        digests.affixes,
    )
    return digests


@inlined
def _rotate(value: Any, bits: Any) -> Any:
    """Rotate 64 bits to the right."""
    return (value >> np.uint64(bits)) | (value << np.uint64(64 - bits))


@inlined
def _mix(a: Any, b: Any, c: Any, d: Any, first: Any, second: Any) -> Any:
    """Mix two words of a message into four of the state (function G)."""
    a = a + b + first
    d = _rotate(d ^ a, 32)
    c = c + d
    b = _rotate(b ^ c, 24)
    a = a + b + second
    d = _rotate(d ^ a, 16)
    c = c + d
    b = _rotate(b ^ c, 63)
    return a, b, c, d


@inlined
def _compress(chain: Any, message: Any, count: Any, is_last: Any) -> None:
    """Compress a message (16,) into the chain value (8,); `count` are the bytes so far.

    The state of 16 words is in variables, and not in an array, so that it stays in registers.
    """
    a0, a1, a2, a3 = chain[0], chain[1], chain[2], chain[3]
    b0, b1, b2, b3 = chain[4], chain[5], chain[6], chain[7]
    c0, c1, c2, c3 = _START[0], _START[1], _START[2], _START[3]
    d0, d1 = _START[4] ^ np.uint64(count), _START[5]
    d2, d3 = (~_START[6] if is_last else _START[6]), _START[7]
    for number in range(_ROUNDS):
        order = _ORDER[number % 10]
        a0, b0, c0, d0 = _mix(a0, b0, c0, d0, message[order[0]], message[order[1]])
        a1, b1, c1, d1 = _mix(a1, b1, c1, d1, message[order[2]], message[order[3]])
        a2, b2, c2, d2 = _mix(a2, b2, c2, d2, message[order[4]], message[order[5]])
        a3, b3, c3, d3 = _mix(a3, b3, c3, d3, message[order[6]], message[order[7]])
        a0, b1, c2, d3 = _mix(a0, b1, c2, d3, message[order[8]], message[order[9]])
        a1, b2, c3, d0 = _mix(a1, b2, c3, d0, message[order[10]], message[order[11]])
        a2, b3, c0, d1 = _mix(a2, b3, c0, d1, message[order[12]], message[order[13]])
        a3, b0, c1, d2 = _mix(a3, b0, c1, d2, message[order[14]], message[order[15]])
    state = (a0 ^ c0, a1 ^ c1, a2 ^ c2, a3 ^ c3, b0 ^ d0, b1 ^ d1, b2 ^ d2, b3 ^ d3)
    for place in range(8):
        chain[place] ^= state[place]


@inlined
def _hash(content: Any, start: Any, end: Any, memory: Any) -> Any:
    """Return the digest of bytes; `memory` (24,) is for the chain value and the message."""
    chain, message = memory[:8], memory[8:24]
    chain[:] = _START
    chain[0] ^= _PARAMETERS
    first = start
    while True:
        last = min(first + _BLOCK_BYTES, end)
        message[:] = np.uint64(0)
        for place in range(last - first):
            shift = np.uint64(8 * (place % 8))
            message[place // 8] |= np.uint64(content[first + place]) << shift
        _compress(chain, message, last - start, last == end)
        if last == end:
            return chain[0]
        first = last


@compiled(
    "void(uint8[::1], int64[::1], int64[::1], int64[::1], int64, uint64[::1], uint64[::1],"
    " uint64[::1])"
)
def _hash_words(
    content: NDArray[np.uint8],
    edges: NDArray[np.int64],
    sizes: NDArray[np.int64],
    ngram_lengths: NDArray[np.int64],
    longest_affix: int,
    words: Digests,
    ngrams: Digests,
    affixes: Digests,
) -> None:
    """Set the digests of words whose characters begin at the bytes `edges` (C + 1,)."""
    memory = np.empty(24, np.uint64)
    first, ngram, affix = 0, 0, 0
    for word in range(sizes.shape[0]):
        last = first + sizes[word]  # after `>`
        words[word] = _hash(content, edges[first + 1], edges[last - 1], memory)
        for length in ngram_lengths:
            for start in range(first, last - length + 1):
                ngrams[ngram] = _hash(content, edges[start], edges[start + length], memory)
                ngram += 1
        for length in range(1, longest_affix + 1):
            inner = min(length, sizes[word] - 2)
            affixes[affix] = _hash(content, edges[first], edges[first + 1 + inner], memory)
            affixes[affix + 1] = _hash(content, edges[last - 1 - inner], edges[last], memory)
            affix += 2
        first = last
