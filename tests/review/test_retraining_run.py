from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pair
from annoseq.errors import TrainingError
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.retraining import Retraining
from annoseq.review.retraining_run import RetrainingRun
from tests.review.projects import make_store, rows_of
from tests.review.test_retraining import TEXTS, config_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.e2e
def test_a_training_that_is_ended_leaves_no_pairs(tmp_path: Path) -> None:
    config_of(tmp_path / "model")
    store = make_store(tmp_path / "r.db", rows_of(TEXTS), model=tmp_path / "model")
    project = ReviewProject(store)
    for number in (1, 2):
        project.act("ada", number, actions.Accept(span="m1"), revision=0)
        project.act("ada", number, actions.Done(), revision=1)
    retraining = Retraining(project)
    retraining.start()
    models = tmp_path / "r-models"
    while not list(models.glob(".pairs-*/pairs.jsonl")):
        assert retraining.status.state == "running"
    while retraining._current is None or not retraining._current.process.is_running:
        assert retraining.status.state == "running"
    retraining.close()
    assert retraining.status.state == "failed"
    assert list(models.iterdir()) == []


@pytest.mark.e2e
def test_a_run_of_the_command_that_fails_says_why(tmp_path: Path) -> None:
    run = RetrainingRun(tmp_path / "none", tmp_path / "new", epochs=1, options=("--device", "cpu"))
    pairs = [Pair("Dr Cole", "Dr {{NAME}}Cole{{/NAME}}", row=7, document="d", start=0)]
    message = r"the training failed: .*none"
    with pytest.raises(TrainingError, match=message) as error:
        run(pairs, lambda _: None)
    assert "Cole" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == []
