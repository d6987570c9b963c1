"""Soft targets: what teachers expect of a text, for a tagger that learns from them.

The cross-entropy of two CRFs is linear in the tags and the transitions that the first expects, and
that of two biaffine heads in the probabilities of pairs. So these are all that a pupil needs, and
they are sparse: most tokens are surely outside, and most pairs no span.

Shapes: B rows, T tokens, K tags, C classes of pairs, S transition scores, N and M entries.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from annoseq.atomic_io import atomic_file
from annoseq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor


class RowTargets(NamedTuple):
    """Soft targets of a row, as entries of sparse arrays.

    `places` (N, D) are token and tag, or first and last token and class of a pair, and
    `probabilities` (N,) their probabilities; pairs that are surely no span are left out.
    `transitions` (M,) are numbers of transition scores of a CRF, those between spans and then those
    within them, and `counts` (M,) how often each is expected. `confidence` is
    the mean over tokens of the probability of the likeliest tag; of pairs, of those that may be
    spans, and a sure one for each token.
    """

    places: NDArray[np.int32]
    probabilities: NDArray[np.float16]
    transitions: NDArray[np.int32]
    counts: NDArray[np.float16]
    confidence: float


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """Soft targets of a batch.

    `weights` (B,) are the shares of the soft targets in the loss of each row, the rest being that
    of its gold tags: 1 for a row without any, 0 for one without soft targets. `places` (N, 1 + D)
    and `transitions` (M, 2) are those of `RowTargets`, with the row in front.
    """

    weights: Tensor
    places: Tensor
    probabilities: Tensor
    transitions: Tensor
    counts: Tensor

    @classmethod
    def collate(cls, rows: Sequence[RowTargets | None], weights: Sequence[float]) -> SoftTargets:
        """Join the targets of rows; a row without targets has none, and a weight of 0."""
        given = [(number, row) for number, row in enumerate(rows) if row is not None]
        weights = [
            0.0 if row is None else weight for row, weight in zip(rows, weights, strict=True)
        ]
        depth = given[0][1].places.shape[1] if given else 2

        def join(parts: Sequence[NDArray[np.generic]], width: int) -> Tensor:
            numbered = [
                np.column_stack([np.full(len(part), number), part.reshape(len(part), width - 1)])
                for (number, _), part in zip(given, parts, strict=True)
            ]
            return torch.from_numpy(
                np.concatenate([np.empty((0, width), np.int64), *numbered]).astype(np.int64)
            )

        def values(parts: Sequence[NDArray[np.float16]]) -> Tensor:
            joined = np.concatenate([np.empty(0, np.float32), *parts])
            return torch.from_numpy(joined.astype(np.float32))

        return cls(
            torch.tensor(weights),
            join([row.places for _, row in given], 1 + depth),
            values([row.probabilities for _, row in given]),
            join([row.transitions for _, row in given], 2),
            values([row.counts for _, row in given]),
        )

    def expected_score(self, emissions: Tensor, transitions: Tensor) -> Tensor:
        """Return the score (B,) that a CRF gives the sequences of the teacher, on average.

        `emissions` (B, T, K) and `transitions` (S,) are those of the CRF.
        """
        row, token, tag = self.places.unbind(1)
        score = emissions.new_zeros(len(emissions)).index_add(
            0, row, self.probabilities * emissions[row, token, tag]
        )
        row, transition = self.transitions.unbind(1)
        return score.index_add(0, row, self.counts * transitions[transition])

    def pair_loss(self, log_probs: Tensor) -> Tensor:
        """Return what the cross-entropy (B,) with the teacher is above that of no span at all.

        `log_probs` (B, T, T, C) are those of the pupil.
        """
        if not len(self.places):
            return log_probs.new_zeros(len(log_probs))
        row, first, last, class_ = self.places.unbind(1)
        gains = log_probs[row, first, last, 0] - log_probs[row, first, last, class_]
        return gains.new_zeros(len(log_probs)).index_add(0, row, self.probabilities * gains)

    def to(self, device: torch.device) -> SoftTargets:
        """Return the targets on a device."""
        return SoftTargets(
            *(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__)
        )

    def select(self, rows: slice) -> SoftTargets:
        """Return the targets of some of the rows."""
        chosen = torch.arange(len(self.weights), device=self.weights.device)[rows]
        numbers = torch.full_like(self.weights, -1, dtype=torch.long)
        numbers[chosen] = torch.arange(len(chosen), device=chosen.device)
        parts = []
        for entries, values in (
            (self.places, self.probabilities),
            (self.transitions, self.counts),
        ):
            row = numbers[entries[:, 0]]
            kept = row >= 0
            parts += [torch.cat([row[kept, None], entries[kept, 1:]], 1), values[kept]]
        return SoftTargets(self.weights[rows], *parts)


_CHECKSUM_BYTES = hashlib.sha256().digest_size


def write_row_targets(path: Path, rows: Sequence[RowTargets], *, key: str) -> None:
    """Write the targets of rows as compressed arrays; `key` tells them from those of others.

    Raises:
        OutputError: the file cannot be written, or another program wrote it.
    """
    check_not_foreign(path)
    columns = list(zip(*(row[:4] for row in rows), strict=True)) or [()] * 4
    arrays: dict[str, NDArray[np.generic]] = {"key": np.array(key)}
    for name, parts in zip(RowTargets._fields, columns, strict=False):
        arrays[name] = np.concatenate(parts) if parts else np.empty(0)
        arrays[f"{name}_lengths"] = np.array([len(part) for part in parts], np.int64)
    arrays["confidence"] = np.array([row.confidence for row in rows])
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    with atomic_file(path, overwrite=True) as new:
        # Of a flipped bit zipfile, zlib and numpy make errors of many kinds: the checksum is first.
        new.write_bytes(hashlib.sha256(packed.getbuffer()).digest() + packed.getbuffer())


def read_row_targets(path: Path, *, key: str) -> list[RowTargets] | None:
    """Read what `write_row_targets` wrote; None if it is not there, damaged, or of another key."""
    packed = _read_packed(path)
    if packed is None:
        return None
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        if str(arrays["key"]) != key:
            return None
        columns = [
            np.split(arrays[name], arrays[f"{name}_lengths"].cumsum()[:-1])
            for name in RowTargets._fields[:4]
        ]
        confidence = arrays["confidence"].tolist()
    if not confidence:
        return []
    return [RowTargets(*row) for row in zip(*columns, confidence, strict=True)]


def check_not_foreign(path: Path) -> None:
    """Check that targets may be written at `path`: nothing is there, or other targets.

    Raises:
        OutputError: something else is there.
    """
    if path.exists() and _read_packed(path) is None:
        raise OutputError(
            f"{path} was not written by annoseq, or is damaged, and the teachers' expectations "
            "would be kept there during training. Move or delete it, or choose another name for "
            "--out."
        )


def remove_row_targets(path: Path) -> None:
    """Remove what `write_row_targets` wrote; a file of another program stays."""
    if _read_packed(path) is not None:
        path.unlink()


def _read_packed(path: Path) -> bytes | None:
    """Return the arrays of a file; None if it is not there, damaged, or of another program."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, packed = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    return packed if hashlib.sha256(packed).digest() == checksum else None
