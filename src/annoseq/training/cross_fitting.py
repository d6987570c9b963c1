"""Cross-fitting: an ensemble whose members were each trained without a fold of the documents.

All members keep the same rows for validation. For every training row there is a member that was
not trained on its document, so that what it expects of the row is as good as of a new text: a
teacher for distillation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.atomic_io import atomic_file
from annoseq.errors import OptionError
from annoseq.models.ensemble_folder import EnsembleModel, Folds
from annoseq.models.serialization import TrainedModel
from annoseq.training.document_folds import checksum_folds, fold_numbers
from annoseq.training.run_folder import fit_from_checkpoint, train_again_if_damaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.held_out import LearnerSettings
    from annoseq.training.run_folder import TrainingRuns


@dataclass(frozen=True, repr=False)
class CrossFitting:
    """Trainings of the members, numbered from 1; `folder` has their models until all are done."""

    dataset: Dataset
    folds: Folds
    settings: LearnerSettings
    folder: TrainingRuns

    def work(self, *, report: Callable[[int], None]) -> None:
        """Train the members that are neither finished nor claimed by another process.

        Raises:
            OptionError: a fold leaves no span to train on, or the model is no tagger.
        """
        fold_of = self._fold_numbers()
        for number in range(1, self.folds.count + 1):
            with self.folder.claim(number) as is_claimed:
                if is_claimed:
                    self._train(number, fold_of)
                    report(number)

    def ensemble(self) -> tuple[EnsembleModel, list[Path]]:
        """Return the ensemble of all members, without calibration, and their model folders.

        Raises:
            ModelError: a member is missing or damaged.
        """
        folders = [self._model(number) for number in range(1, self.folds.count + 1)]
        members = [TrainedModel.load(folder) for folder in folders]
        names = [f"without fold {number}" for number in range(1, self.folds.count + 1)]
        checksum = checksum_folds(self._fold_numbers())
        folds = self.folds.model_copy(update={"checksum": checksum})
        return EnsembleModel.of(members, names, folds=folds), folders

    def _fold_numbers(self) -> list[int]:
        return fold_numbers(self.dataset, count=self.folds.count, seed=self.folds.seed)

    def _train(self, number: int, fold_of: list[int]) -> None:
        train = [
            example
            for example, fold in zip(self.dataset.train, fold_of, strict=True)
            if fold != number - 1
        ]
        if not any(example.spans for example in train):
            raise OptionError(
                f"without fold {number} the documents have no span to train on. Give more "
                "annotated pairs, or fewer --folds."
            )
        dataset = replace(
            self.dataset, train=train, folder=None, encoded=None, fold_of=self.dataset.train
        )
        checkpoint = self.folder.checkpoint(number)
        learner, _ = train_again_if_damaged(
            lambda: self.settings.make(dataset),
            checkpoint,
            lambda learner: fit_from_checkpoint(learner, checkpoint),
        )
        learner.save(self._model(number), overwrite=True)
        with atomic_file(self.folder.record(number), overwrite=True) as new:
            new.write_text(json.dumps({"rows": len(train)}) + "\n", encoding="utf-8")
        checkpoint.unlink(missing_ok=True)

    def _model(self, number: int) -> Path:
        return self.folder.path / "runs" / f"{number:03d}.model"
