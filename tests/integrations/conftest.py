from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def flat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated tagger with random weights, which marks a lot. To be read, not changed."""
    from tests.calibrated import calibrated_model

    folder = tmp_path_factory.mktemp("integrations") / "flat"
    calibrated_model().save(folder, card="# Card\n")
    return folder


@pytest.fixture(scope="session")
def nested_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with spans within spans."""
    from tests.calibrated import calibrated_model

    folder = tmp_path_factory.mktemp("integrations") / "nested"
    calibrated_model("nested tagger").save(folder, card="# Card\n")
    return folder
