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
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.learner_settings import LearnerSettings
    from annoseq.training.run_folder import TrainingRuns


@dataclass(frozen=True, repr=False)
class CrossFitting:
    """Trainings of the members, numbered from 1; `folder` has their models until all are done.

    `fold_of` has the number of the fold of each training row, from 0.
    """

    dataset: Dataset
    folds: Folds
    fold_of: Sequence[int]
    settings: LearnerSettings
    folder: TrainingRuns

    @classmethod
    def of(
        cls, dataset: Dataset, folds: Folds, settings: LearnerSettings, folder: TrainingRuns
    ) -> CrossFitting:
        """Draw the folds of a dataset.

        Raises:
            OptionError: a fold leaves no span to train on, or the task is to translate.
            PairsError: there are fewer documents than two for each fold.
        """
        fold_of = fold_numbers(dataset, count=folds.count, seed=folds.seed)
        runs = cls(dataset, folds, fold_of, settings, folder)
        for number in range(1, folds.count + 1):
            if not any(example.spans for example in runs.training_rows(number)):
                raise OptionError(
                    f"without fold {number} the documents have no span to train on. Give more "
                    "annotated pairs, or fewer --folds."
                )
        return runs

    def training_rows(self, number: int) -> list[Example]:
        """Return the training rows of the member that is trained without fold `number`."""
        rows = zip(self.dataset.train, self.fold_of, strict=True)
        return [example for example, fold in rows if fold != number - 1]

    def work(self, *, report: Callable[[int], None]) -> None:
        """Train the members that are neither finished nor claimed by another process."""
        for number in range(1, self.folds.count + 1):
            with self.folder.claim(number) as is_claimed:
                if is_claimed:
                    self._train(number)
                    report(number)

    def ensemble(self) -> tuple[EnsembleModel, list[Path]]:
        """Return the ensemble of all members, without calibration, and their model folders.

        Raises:
            ModelError: a member is missing or damaged.
        """
        folders = [self._model(number) for number in range(1, self.folds.count + 1)]
        members = [TrainedModel.load(folder) for folder in folders]
        names = [f"without fold {number}" for number in range(1, self.folds.count + 1)]
        folds = self.folds.model_copy(update={"checksum": checksum_folds(self.fold_of)})
        return EnsembleModel.of(members, names, folds=folds), folders

    def _train(self, number: int) -> None:
        train = self.training_rows(number)
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
