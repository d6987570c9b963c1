"""Targets of teachers that are kept in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.config import DeviceConfig, TrainingConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import ModelError
from annoseq.tokenization.soft_targets import RowTargets
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.distillation import Distillation
from annoseq.training.learner import Learner
from benchmarks.saved_targets import SavedDistillation, mean_targets, read_saved, save_targets
from tests.models.tiny import TINY_TAGGER
from tests.tiny import BATCHING

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset

TEXTS = ("Dear Dr. Ames:", "Seen by nobody.")
CPU = ComputeDevice.select(DeviceConfig(device="cpu"))


def targets(*entries: tuple[int, int, float], confidence: float = 1.0) -> RowTargets:
    """Make targets of tokens, tags and probabilities; transition 3 is expected once."""
    return RowTargets(
        np.array([entry[:2] for entry in entries], np.int32),
        np.array([entry[2] for entry in entries], np.float16),
        np.array([3], np.int32),
        np.array([1], np.float16),
        confidence,
    )


def test_targets_are_averaged_by_weight() -> None:
    one = targets((0, 0, 1.0), (1, 4, 1.0), confidence=1.0)
    other = targets((0, 0, 1.0), (1, 0, 0.5), (1, 4, 0.5), confidence=0.6)
    found = mean_targets([one, other], [3.0, 1.0])
    assert found.places.tolist() == [[0, 0], [1, 0], [1, 4]]
    assert found.probabilities.tolist() == [1.0, 0.125, 0.875]
    assert (found.transitions.tolist(), found.counts.tolist()) == ([3], [1.0])
    assert found.confidence == pytest.approx(0.9)


def teacher(dataset: Dataset, folder: Path, *, seed: int) -> Learner:
    learner = Learner(
        dataset,
        model=TINY_TAGGER,
        training=TrainingConfig(seed=seed, epochs=1),
        batching=BATCHING,
        device="cpu",
    )
    learner.fit_one_cycle(report=lambda line: None)
    learner.save(folder)
    return learner


def test_saved_targets_teach_like_their_teachers(dataset: Dataset, tmp_path: Path) -> None:
    folders = tuple(tmp_path / str(seed) for seed in range(3))
    learners = [teacher(dataset, one, seed=seed) for seed, one in enumerate(folders)]
    files = tuple(tmp_path / f"{seed}.targets" for seed in range(2))
    for learner, folder, file in zip(learners, folders, files, strict=False):
        save_targets(learner, folder, file, TEXTS)
    saved = SavedDistillation(teachers=folders[2:], saved=files, unlabelled=TEXTS)
    at_hand = Distillation(teachers=folders, unlabelled=TEXTS)
    tokenizer = learners[0].tokenizer
    assert isinstance(tokenizer, TaggerTokenizer)
    ours, theirs = (one.prepare(dataset, tokenizer, CPU) for one in (saved, at_hand))
    assert len(ours.targets) == len(theirs.targets) == len(dataset.train) + len(TEXTS)
    for row, expected in zip(ours.targets, theirs.targets, strict=True):
        dense, other = (_dense(one) for one in (row, expected))
        np.testing.assert_allclose(dense, other, atol=2e-3)  # each teacher's least are left out


def _dense(row: RowTargets) -> np.ndarray:
    found = np.zeros((200, 200))
    found[tuple(row.places.T)] = row.probabilities
    return found


def test_targets_of_other_texts_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    learner = teacher(dataset, tmp_path / "model", seed=1)
    file = tmp_path / "model.targets"
    save_targets(learner, tmp_path / "model", file, TEXTS)
    assert len(read_saved(file, dataset, TEXTS)) == len(dataset.train) + len(TEXTS)
    with pytest.raises(ModelError, match=r"of other rows or texts\. Let the teacher read them"):
        read_saved(file, dataset, TEXTS[:1])
