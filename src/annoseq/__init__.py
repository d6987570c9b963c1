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
    from annoseq.check.checks import check_pairs
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
    from annoseq.data.markup import Span, parse, render, strip_tags
    from annoseq.data.pairs import Pair, Pairs, read_pairs, write_pairs
    from annoseq.errors import AnnoseqError
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.sample import sample_pairs
    from annoseq.tokenization.dataset import Dataset
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
    "BatchConfig": "config",
    "DataConfig": "config",
    "Dataset": "tokenization.dataset",
    "DeviceConfig": "config",
    "GruConfig": "config",
    "Learner": "training.learner",
    "NetworkConfig": "config",
    "Pair": "data.pairs",
    "Pairs": "data.pairs",
    "Span": "data.markup",
    "TrainingConfig": "config",
    "TransformerConfig": "config",
    "check_pairs": "check.checks",
    "parse": "data.markup",
    "read_pairs": "data.pairs",
    "render": "data.markup",
    "sample_pairs": "sample",
    "strip_tags": "data.markup",
    "write_pairs": "data.pairs",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: torch and pandas take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'annoseq' has no attribute {name!r}")
    return getattr(import_module(f"annoseq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
