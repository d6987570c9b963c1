from __future__ import annotations

from itertools import islice

import pytest

from annoseq.data.pairs import Pairs
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Forty short pairs of the sample corpus: these tests train for many epochs."""
    short = (pair for pair in sample_pairs(400, seed=1) if len(pair.source) <= 24)
    return Dataset.from_pairs(Pairs(islice(short, 40), name="sample"))
