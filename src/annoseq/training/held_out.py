"""Models trained on some documents of a table, and their predictions for the others.

The runs of a learning curve and of cross-validation: each splits its documents into training and
validation rows as `annoseq train` does, trains from fresh weights, and predicts the held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.splits import split_rows
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
    from annoseq.training.distillation import Distillation
    from annoseq.training.document_folds import DocumentCorpus, Documents


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """Settings of all learners of a set of runs."""

    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig
    device: DeviceConfig
    vectors: Path | None = None
    encoder: str | None = None
    language_model: Path | None = None
    lexicon_features: LexiconFeatures = field(default_factory=LexiconFeatures)

    def make(self, dataset: Dataset, distillation: Distillation | None = None) -> Learner:
        """Make a learner with fresh weights, with teachers or without."""
        return Learner(
            dataset,
            model=self.network,
            training=self.training,
            batching=self.batching,
            device=self.device,
            vectors=self.vectors,
            encoder=self.encoder,
            language_model=self.language_model,
            lexicon_features=self.lexicon_features,
            distillation=distillation,
        )


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
