from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Forty short pairs of the sample corpus: these tests train for many epochs."""
    short = (pair for pair in sample_pairs(400, seed=1) if len(pair.source) <= 24)
    return Dataset.from_pairs(Pairs(islice(short, 40), name="sample"))


@pytest.fixture(scope="session")
def model_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of these pairs: without it, the first test of a worker would choose its data."""
    return save_tiny_model(dataset, tmp_path_factory.mktemp("trained") / "model")
