"""annoseq learns to annotate text from examples.

>>> from annoseq import parse
>>> parse("Dr. {{NAME}}Ames{{/NAME}}:")
('Dr. Ames:', [Span(start=4, end=8, label='NAME')])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from annoseq._version import __version__

if TYPE_CHECKING:
    from annoseq.check.check_report import CheckReport
    from annoseq.check.checks import check_pairs
    from annoseq.config import (
        AttentionConfig,
        BatchConfig,
        ColumnsConfig,
        DataConfig,
        DeviceConfig,
        DistillationConfig,
        GruConfig,
        NetworkConfig,
        PretrainingConfig,
        SearchConfig,
        TaggerConfig,
        TrainingConfig,
        TransformerConfig,
    )
    from annoseq.data.examples import Example
    from annoseq.data.markup import Span, parse, render, strip_tags
    from annoseq.data.pairs import Pair, Pairs, read_pairs, write_pairs
    from annoseq.errors import AnnoseqError
    from annoseq.evaluation.coverage import CoveragePoint, CoverageTarget
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictions import Prediction, Predictions
    from annoseq.models.ensemble_folder import EnsembleModel
    from annoseq.models.onnx_model import OnnxModel
    from annoseq.models.serialization import TrainedModel
    from annoseq.sample import sample_pairs
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.training.distillation import Distillation
    from annoseq.training.learner import Learner
    from annoseq.training.lr_finder import LrFinderResult
    from annoseq.training.objectives import ValidationScore
    from annoseq.training.pretraining import Pretraining
    from annoseq.training.recorder import Epoch, Recorder

__all__ = [
    "AnnoseqError",
    "Annotation",
    "Annotator",
    "AttentionConfig",
    "Batch",
    "BatchConfig",
    "CheckReport",
    "ColumnsConfig",
    "CoveragePoint",
    "CoverageTarget",
    "DataConfig",
    "Dataset",
    "DeviceConfig",
    "Distillation",
    "DistillationConfig",
    "EnsembleModel",
    "Epoch",
    "Example",
    "GruConfig",
    "Learner",
    "LexiconFeatures",
    "LrFinderResult",
    "NetworkConfig",
    "OnnxModel",
    "Pair",
    "Pairs",
    "Prediction",
    "Predictions",
    "Pretraining",
    "PretrainingConfig",
    "RecallTarget",
    "Recorder",
    "SearchConfig",
    "Seq2SeqTokenizer",
    "Span",
    "TaggerConfig",
    "TrainedModel",
    "TrainingConfig",
    "TransformerConfig",
    "ValidationScore",
    "__version__",
    "check_pairs",
    "parse",
    "read_pairs",
    "render",
    "sample_pairs",
    "strip_tags",
    "write_pairs",
]

_HOMES = {
    "AnnoseqError": "errors",
    "Annotation": "inference.annotation",
    "Annotator": "inference.annotator",
    "AttentionConfig": "config",
    "Batch": "tokenization.batching",
    "BatchConfig": "config",
    "CheckReport": "check.check_report",
    "ColumnsConfig": "config",
    "CoveragePoint": "evaluation.coverage",
    "CoverageTarget": "evaluation.coverage",
    "DataConfig": "config",
    "Dataset": "tokenization.dataset",
    "DeviceConfig": "config",
    "Distillation": "training.distillation",
    "DistillationConfig": "config",
    "EnsembleModel": "models.ensemble_folder",
    "Epoch": "training.recorder",
    "Example": "data.examples",
    "GruConfig": "config",
    "Learner": "training.learner",
    "LexiconFeatures": "tokenization.gazetteer",
    "LrFinderResult": "training.lr_finder",
    "NetworkConfig": "config",
    "OnnxModel": "models.onnx_model",
    "Pair": "data.pairs",
    "Pairs": "data.pairs",
    "Prediction": "inference.predictions",
    "Predictions": "inference.predictions",
    "Pretraining": "training.pretraining",
    "PretrainingConfig": "config",
    "RecallTarget": "evaluation.recall_thresholds",
    "Recorder": "training.recorder",
    "SearchConfig": "config",
    "Seq2SeqTokenizer": "tokenization.seq2seq_tokenizer",
    "Span": "data.markup",
    "TaggerConfig": "config",
    "TrainedModel": "models.serialization",
    "TrainingConfig": "config",
    "TransformerConfig": "config",
    "ValidationScore": "training.objectives",
    "check_pairs": "check.checks",
    "parse": "data.markup",
    "read_pairs": "data.pairs",
    "render": "data.markup",
    "sample_pairs": "sample",
    "strip_tags": "data.markup",
    "write_pairs": "data.pairs",
}
"""Module of each public name."""


def __getattr__(name: str) -> object:
    """Import a public name when it is used: torch and pandas take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'annoseq' has no attribute {name!r}")
    return getattr(import_module(f"annoseq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
