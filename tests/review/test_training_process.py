from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pair
from annoseq.errors import TrainingError
from annoseq.review.training_process import TrainingRun

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.e2e
def test_a_run_of_the_command_that_fails_says_why(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path / "none", tmp_path / "new", epochs=1, options=("--device", "cpu"))
    pairs = [Pair("Dr Cole", "Dr {{NAME}}Cole{{/NAME}}", row=7, document="d", start=0)]
    message = r"the training ended with exit code 2: .*none"
    with pytest.raises(TrainingError, match=message) as error:
        run(pairs, lambda _: None)
    assert "Cole" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == []
