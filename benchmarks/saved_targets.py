"""Targets of teachers that read rows and texts elsewhere, such as on a machine with a GPU.

A teacher with an encoder is large, and what it expects is small: its targets are carried to the
machine on which the pupil is trained, and the teacher is not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import ModelError
from annoseq.tokenization.soft_targets import RowTargets, read_row_targets, write_row_targets
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.distillation import Distillation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.learner import Learner
    from annoseq.training.teachers import Piece, Teacher


@dataclass(frozen=True, kw_only=True, repr=False)
class SavedDistillation(Distillation):
    """Distillation by teachers at hand, and by others whose targets are in files.

    Every teacher counts the same.
    """

    saved: tuple[Path, ...] = ()

    def ask(
        self,
        dataset: Dataset,
        pieces: Sequence[Piece],
        teachers: Sequence[Teacher],
        tokenizer: TaggerTokenizer,
        compute: ComputeDevice,
    ) -> list[RowTargets]:
        """Return the mean of what all teachers expect.

        Raises:
            ModelError: targets are of other rows or texts.
        """
        several = [read_saved(path, dataset, self.unlabelled) for path in self.saved]
        weights = [1.0] * len(several)
        if teachers:
            several.append(super().ask(dataset, pieces, teachers, tokenizer, compute))
            weights.append(float(len(teachers)))
        return [mean_targets(rows, weights) for rows in zip(*several, strict=True)]


def save_targets(learner: Learner, folder: Path, path: Path, texts: Sequence[str]) -> None:
    """Let a teacher, saved in a folder, read its training rows and texts; save its targets."""
    teaching = Distillation(teachers=(folder,), unlabelled=tuple(texts))
    assert isinstance(learner.tokenizer, TaggerTokenizer)
    lessons = teaching.prepare(learner.dataset, learner.tokenizer, learner.compute)
    write_row_targets(path, lessons.targets, key=_key(learner.dataset, texts))


def read_saved(path: Path, dataset: Dataset, texts: Sequence[str]) -> list[RowTargets]:
    """Read what `save_targets` wrote.

    Raises:
        ModelError: they are of other rows or texts, or the file is damaged.
    """
    targets = read_row_targets(path, key=_key(dataset, texts))
    if targets is None:
        raise ModelError(
            f"{path} is damaged, or of other rows or texts. Let the teacher read them."
        )
    return targets


def _key(dataset: Dataset, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(fingerprint_pairs(dataset.train).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def mean_targets(several: Sequence[RowTargets], weights: Sequence[float]) -> RowTargets:
    """Return the weighted mean of the targets of a row; the confidence is the mean, too."""
    shares = np.array(weights) / sum(weights)
    places, probabilities = _mean(
        [one.places for one in several], [one.probabilities for one in several], shares
    )
    transitions, counts = _mean(
        [one.transitions[:, None] for one in several], [one.counts for one in several], shares
    )
    confidence = float(shares @ [one.confidence for one in several])
    return RowTargets(places, probabilities, transitions[:, 0], counts, confidence)


def _mean(
    places: Sequence[NDArray[np.int32]],
    values: Sequence[NDArray[np.float16]],
    shares: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Return the weighted mean of sparse arrays: places (N, D) and values (N,)."""
    own = [share * value.astype(np.float64) for share, value in zip(shares, values, strict=True)]
    found, numbers = np.unique(np.concatenate(places), axis=0, return_inverse=True)
    sums = np.bincount(numbers.ravel(), weights=np.concatenate(own), minlength=len(found))
    return found, sums.astype(np.float16)
