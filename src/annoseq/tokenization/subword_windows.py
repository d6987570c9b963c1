"""Sub-words of the tokens of rows, and windows of them, in which a pre-trained encoder reads rows.

Rows with more sub-words than the encoder has positions are read in overlapping windows. Every
sub-word is owned by one window, whose state of it is taken.

Shapes: B rows, T tokens, S sub-words of a window, N sub-words of all windows.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer, SpecialIds
    from annoseq.tokenization.hash_features import FeatureHasher

_OVERLAP = 4
"""Neighbouring windows share a quarter of the positions."""
CPU_CHUNK_SUBWORDS = 4_096
"""Sub-words, padding included, that are read at a time on a CPU: few stay in its cache."""


class RaggedIds(NamedTuple):
    """Sub-word ids of T tokens one after the other, and the number (T,) of each token's."""

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]


class TokenSubwords:
    """Sub-words of the tokens met so far, whose ids are those of a `FeatureHasher`."""

    def __init__(self, tokenizer: EncoderTokenizer) -> None:
        self.tokenizer = tokenizer
        self._source: tuple[FeatureHasher | None, int] = (None, 0)
        # Sub-words of all tokens; of each form of a token, their number and the first; of a token,
        # 1 if it is white space.
        self._flat = self._counts = self._starts = self._is_white = np.zeros(0, np.int64)

    def rows(
        self, hasher: FeatureHasher, ids: NDArray[np.int64], lengths: Sequence[int]
    ) -> Iterator[RaggedIds]:
        """Yield the sub-words of each row of token ids (B, T).

        To SentencePiece, a token at the start of a row or after white space begins a word, although
        it has no space.
        """
        self._update(hasher)
        for row, length in zip(ids, lengths, strict=True):
            places = row[:length] * 2
            if self.tokenizer.marks_spaces:
                places[:1] += 1
                places[1:] += self._is_white[row[: length - 1]]
            counts = self._counts[places]
            last = np.cumsum(counts)
            within = np.arange(counts.sum()) - np.repeat(last - counts, counts)
            yield RaggedIds(self._flat[np.repeat(self._starts[places], counts) + within], counts)

    def _update(self, hasher: FeatureHasher) -> None:
        """Split the tokens that are new to `hasher`: each as it is, and as the start of a word."""
        if (hasher, hasher.generation) != self._source:
            self._source = (hasher, hasher.generation)
            self._clear()
        known = len(self._is_white)
        if known == len(hasher):
            return
        tokens = hasher.tokens(start=known)
        forms = zip(
            self.tokenizer.split(tokens),
            self.tokenizer.split(tokens, starts_words=True),
            strict=True,
        )
        split = list(chain.from_iterable(forms))
        counts = np.array([len(subwords) for subwords in split], np.int64)
        starts = len(self._flat) + np.cumsum(counts) - counts
        flat = np.array([id_ for subwords in split for id_ in subwords], np.int64)
        is_white = np.array([token.isspace() for token in tokens], np.int64)
        self._flat = np.concatenate([self._flat, flat])
        self._counts = np.concatenate([self._counts, counts])
        self._starts = np.concatenate([self._starts, starts])
        self._is_white = np.concatenate([self._is_white, is_white])

    def __deepcopy__(self, memo: object) -> TokenSubwords:
        return TokenSubwords(self.tokenizer)

    def _clear(self) -> None:
        self._flat = self._counts = self._starts = self._is_white = np.zeros(0, np.int64)


class SubwordWindow(NamedTuple):
    """Sub-words `first` to `last` (excluded) of a row, and those whose states the window gives."""

    first: int
    last: int
    owned_first: int
    owned_last: int


class SubwordLayout(NamedTuple):
    """Sub-word ids (S,) of the windows of a batch, and where the sub-words of each token are.

    Of the states of all windows, one after the other, those at `places` belong to the tokens of
    the rows, one after the other; `counts` of them to each token.
    """

    windows: list[NDArray[np.int64]]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]


def lay_out_windows(rows: Iterable[RaggedIds], *, size: int) -> SubwordLayout:
    """Cut the sub-words of rows into windows of at most `size`."""
    windows: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    read = 0
    for row in rows:
        counts.append(row.counts)
        for window in cut_subwords(row.counts, size=size):
            windows.append(row.ids[window.first : window.last])
            owned = np.arange(window.owned_first, window.owned_last)
            places.append(owned + (read - window.first))
            read += window.last - window.first
    return SubwordLayout(windows, np.concatenate(places), np.concatenate(counts))


def chunk_windows(windows: Sequence[NDArray[np.int64]], *, limit: int) -> Iterator[list[int]]:
    """Yield the windows of each chunk, longest first, of at most `limit` sub-words when padded.

    A longer window than that has a chunk of its own.
    """
    lengths = [len(window) for window in windows]
    chunk: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if chunk and (len(chunk) + 1) * lengths[chunk[0]] > limit:
            yield chunk
            chunk = []
        chunk.append(place)
    yield chunk


def pad_windows(
    windows: Sequence[NDArray[np.int64]], special: SpecialIds, *, pad: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids (B, S) of windows with special symbols around each, and their mask."""
    before, after = (np.array(symbols, np.int64) for symbols in special)
    # Without special symbols, a row may be empty, which no network reads.
    rows = [np.concatenate([before, window, after]) for window in windows]
    rows = [row if len(row) else np.zeros(1, np.int64) for row in rows]
    lengths = np.array([len(row) for row in rows])
    ids = np.full((len(rows), lengths.max()), pad, np.int64)
    for padded, row in zip(ids, rows, strict=True):
        padded[: len(row)] = row
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    return ids, mask.astype(np.int64)


def cut_subwords(counts: NDArray[np.int64], *, size: int) -> list[SubwordWindow]:
    """Cut a row into windows of at most `size` sub-words, which overlap, at the ends of tokens.

    `counts` (T,) are the sub-words of each token. A token that is longer than a window is cut. Each
    half of an overlap is owned by the nearer window, so that every sub-word is owned by one.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1])
    windows: list[SubwordWindow] = []
    first = owned_first = 0
    while True:
        tokens = int(np.searchsorted(ends, first + size, side="right"))
        fitting = int(ends[tokens - 1]) if tokens else 0
        last = fitting if fitting > first else min(first + size, total)
        if last == total:
            return [*windows, SubwordWindow(first, total, owned_first, total)]
        start = _token_end(ends, max(last - size // _OVERLAP, first + 1), most=last)
        middle = _token_end(ends, (start + last) // 2, most=last)
        windows.append(SubwordWindow(first, last, owned_first, middle))
        first, owned_first = start, middle


def _token_end(ends: NDArray[np.int64], place: int, *, most: int) -> int:
    """Return the first end of a token from `place` on, or `place` if that is above `most`."""
    end = int(ends[np.searchsorted(ends, place)])
    return end if end <= most else place
