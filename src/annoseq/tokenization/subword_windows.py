"""Windows of sub-words, in which a pre-trained encoder reads rows, and the sub-words of each token.

Rows with more sub-words than the encoder has positions are read in overlapping windows. Every
sub-word is owned by one window, whose state of it is taken.

Shapes: B rows, T tokens, S sub-words of a window, N sub-words of all windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.tokenization.encoder_tokenizer import RaggedIds, SpecialIds

_OVERLAP = 4
"""Neighbouring windows share a quarter of the positions."""
CPU_CHUNK_SUBWORDS = 4_096
"""Sub-words, padding included, that are read at a time on a CPU: few stay in its cache."""


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
