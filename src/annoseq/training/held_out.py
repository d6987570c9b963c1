"""Models trained on some documents of a table, and their predictions for the others.

The runs of a learning curve and of cross-validation: each splits its documents into training and
validation rows as `annoseq train` does, trains from fresh weights, and predicts the held-out rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.data.splits import split_rows
from annoseq.inference.network_predictors import build_predictor
from annoseq.training.run_folder import fit_from_checkpoint, train_again_if_damaged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.document_folds import DocumentCorpus, Documents
    from annoseq.training.learner import Learner
    from annoseq.training.learner_settings import LearnerSettings


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
