"""Models trained on some documents of a table, and their predictions for the others.

The runs of a learning curve and of cross-validation: each splits its documents into training and
validation rows as `annoseq train` does, trains from fresh weights, and predicts the held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.splits import group_rows, hash_rank, split_rows
from annoseq.errors import OptionError, PairsError, count_noun
from annoseq.inference.network_predictors import build_predictor
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.learner import Learner
from annoseq.training.run_folder import fit_from_checkpoint, train_again_if_damaged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TrainingConfig
    from annoseq.data.examples import Example
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.tokenization.dataset import Dataset

Documents = tuple[int, ...]
"""Numbers of documents, from 0."""


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """Settings of all learners of a set of runs."""

    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig
    device: DeviceConfig
    vectors: Path | None = None
    encoder: str | None = None
    lexicon_features: LexiconFeatures = field(default_factory=LexiconFeatures)

    def make(self, dataset: Dataset) -> Learner:
        """Make a learner with fresh weights."""
        return Learner(
            dataset,
            model=self.network,
            training=self.training,
            batching=self.batching,
            device=self.device,
            vectors=self.vectors,
            encoder=self.encoder,
            lexicon_features=self.lexicon_features,
        )


@dataclass(frozen=True, repr=False)
class DocumentCorpus:
    """Examples of the annotate task by document; a row without a document is one by itself.

    `dataset` has the settings of the splits within the runs.
    """

    dataset: Dataset
    documents: tuple[tuple[Example, ...], ...]

    @classmethod
    def of(cls, dataset: Dataset, examples: Sequence[Example], *, needed: int) -> DocumentCorpus:
        """Group examples by document, in their order.

        Raises:
            OptionError: the task is to translate.
            PairsError: there are fewer documents than `needed`.
        """
        if dataset.task != "annotate":
            raise OptionError(
                "these pairs are of the translate task, and spans are scored. Give pairs whose "
                "target is the source plus tags."
            )
        groups = group_rows(examples, by=dataset.config.split_by).values()
        if len(groups) < needed:
            raise PairsError(
                f"the table has {count_noun(len(groups), 'document')}, and at least {needed} are "
                "needed. Add documents, or split by row (--split-by row)."
            )
        return cls(dataset, tuple(tuple(examples[row] for row in rows) for rows in groups))

    def shuffled(self, seed: str) -> list[int]:
        """Return the numbers of the documents in a seeded random order."""
        return sorted(range(len(self.documents)), key=lambda number: hash_rank(seed, number))

    def folds(self, count: int, *, seed: int) -> list[Documents]:
        """Return the documents in `count` parts of equal size, drawn at random, each in order."""
        order = self.shuffled(f"folds {seed}")
        return [tuple(sorted(order[fold::count])) for fold in range(count)]

    def rows(self, documents: Documents) -> list[Example]:
        """Return the examples of documents, in the order of the table."""
        return [example for number in sorted(documents) for example in self.documents[number]]


def train_on_documents(
    corpus: DocumentCorpus, documents: Documents, settings: LearnerSettings, checkpoint: Path
) -> Learner | None:
    """Train on some documents to the end, from the checkpoint if there is one.

    Returns None if no training row has a span, so that there is nothing to learn.

    Raises:
        TrainingError: the loss diverged, or memory did not suffice.
    """
    dataset = _restrict(corpus.dataset, corpus.rows(documents))
    if not any(example.spans for example in dataset.train):
        return None
    learner, _ = train_again_if_damaged(
        lambda: settings.make(dataset),
        checkpoint,
        lambda learner: fit_from_checkpoint(learner, checkpoint),
    )
    return learner


def predictor_of(learner: Learner) -> SpanPredictor:
    """Return the predictor of a trained learner."""
    return build_predictor(learner.network, learner.tokenizer, learner.compute)


def _restrict(dataset: Dataset, examples: Sequence[Example]) -> Dataset:
    """Return the dataset of some examples, split anew by its own settings.

    Vocabularies are built from the new training part.
    """
    config = dataset.config
    train, valid = split_rows(
        examples, share=config.valid_share, by=config.split_by, seed=config.split_seed
    )
    return replace(
        dataset,
        train=tuple(examples[row] for row in train),
        valid=tuple(examples[row] for row in valid),
        folder=None,
        encoded=None,
    )
