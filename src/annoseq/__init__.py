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
    from annoseq.annotator.annotation import Annotation
    from annoseq.annotator.annotator import Annotator
    from annoseq.config import (
        AttentionConfig,
        BatchConfig,
        DataConfig,
        DeviceConfig,
        GruConfig,
        NetworkConfig,
        TrainingConfig,
        TransformerConfig,
    )
    from annoseq.doctor.examination import diagnose
    from annoseq.errors import AnnoseqError
    from annoseq.pairs.markup import Span, parse, render, strip_tags
    from annoseq.pairs.pair import Pair
    from annoseq.pairs.pairs import Pairs, read_pairs, write_pairs
    from annoseq.pairs.sample import sample_pairs
    from annoseq.text.dataset import Dataset
    from annoseq.training.learner import Learner

__all__ = [
    "AnnoseqError",
    "Annotation",
    "Annotator",
    "AttentionConfig",
    "BatchConfig",
    "DataConfig",
    "Dataset",
    "DeviceConfig",
    "GruConfig",
    "Learner",
    "NetworkConfig",
    "Pair",
    "Pairs",
    "Span",
    "TrainingConfig",
    "TransformerConfig",
    "__version__",
    "diagnose",
    "parse",
    "read_pairs",
    "render",
    "sample_pairs",
    "strip_tags",
    "write_pairs",
]

_HOMES = {
    "AnnoseqError": "errors",
    "Annotation": "annotator.annotation",
    "Annotator": "annotator.annotator",
    "AttentionConfig": "config",
    "BatchConfig": "config",
    "DataConfig": "config",
    "Dataset": "text.dataset",
    "DeviceConfig": "config",
    "GruConfig": "config",
    "Learner": "training.learner",
    "NetworkConfig": "config",
    "Pair": "pairs.pair",
    "Pairs": "pairs.pairs",
    "Span": "pairs.markup",
    "TrainingConfig": "config",
    "TransformerConfig": "config",
    "diagnose": "doctor.examination",
    "parse": "pairs.markup",
    "read_pairs": "pairs.pairs",
    "render": "pairs.markup",
    "sample_pairs": "pairs.sample",
    "strip_tags": "pairs.markup",
    "write_pairs": "pairs.pairs",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: torch and pandas take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'annoseq' has no attribute {name!r}")
    return getattr(import_module(f"annoseq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
