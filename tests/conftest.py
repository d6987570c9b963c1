from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

# The networks of the tests are so small that a second thread costs more than it brings. torch
# reads this when it is imported, and commands that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.data.pairs import Pairs
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the notebook's tests first: no other process takes some of them and runs it again."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """Let no write wait for the disk: `fsync` only checks its descriptor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def sample() -> Pairs:
    """Sixty pairs of the sample corpus."""
    from annoseq.data.pairs import Pairs
    from annoseq.sample import sample_pairs

    return Pairs(sample_pairs(60, seed=1), name="sample")


@pytest.fixture(scope="session")
def dataset(sample: Pairs) -> Dataset:
    """The sample, split and in ids. It cannot change, so all tests share it."""
    from annoseq.tokenization.dataset import Dataset

    return Dataset.from_pairs(sample)


@pytest.fixture(scope="session")
def model_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the sample that was trained for two epochs. To be read, not changed."""
    from tests.tiny import save_tiny_model

    return save_tiny_model(dataset, tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture
def trained(model_folder: Path) -> TrainedModel:
    """The model of `model_folder`, loaded anew for every test."""
    from annoseq.models.serialization import TrainedModel

    return TrainedModel.load(model_folder)
