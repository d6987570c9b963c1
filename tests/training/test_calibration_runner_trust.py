"""A tagger's scores are judged when it is saved, if it was validated on spans enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.training import calibration_runner as trust
from tests.models.tiny import randomise
from tests.training.test_tagger_objective import AMES, of, some_learner, table
from tests.trusted import judged

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_tagger_is_saved_with_what_its_scores_mean(tmp_path: Path) -> None:
    valid = table(*[AMES, AMES, "a b", "c d"] * 28)
    dataset = of(table(*[AMES, "no visitor seen", "Dr. Zoë came"]), valid)
    learner = some_learner(dataset)
    randomise(learner.network)
    learner.save(tmp_path / "model")
    assert (tmp_path / "model" / "calibration.json").exists()
    card = (tmp_path / "model" / "card.md").read_text()
    assert "judged by the 112 spans of 112 documents kept from training" in card
    annotator = Annotator.load(tmp_path / "model")
    wanted = annotator.wanted(0.5)
    assert wanted.expected.gold == 112
    found = annotator.annotate(["Dr. Ames, 31y"], target_recall=0.5)
    assert all(0 < (span.score or 0) < 1 for span in found[0].spans or ())
    # Another training makes its own.
    base = TrainedModel.load(tmp_path / "model")
    few = of(table(AMES), table(AMES))
    some_learner(few, base=base).save(tmp_path / "more")
    assert not (tmp_path / "more" / "calibration.json").exists()
    assert "too few spans to tell what they mean" in (tmp_path / "more" / "card.md").read_text()


def test_of_too_many_candidates_only_likelier_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = judged()
    monkeypatch.setattr(trust, "_MOST", 0)
    likelier = judged()
    assert everything is not None
    assert likelier is not None
    assert (everything.floor, likelier.floor) == (1e-5, 1e-2)
    counts = [
        sum(right + wrong for curve in one.curves.values() for _, right, wrong in curve)
        for one in (everything, likelier)
    ]
    assert counts[0] > counts[1]


def test_rows_in_several_chunks_make_the_same_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged()
    monkeypatch.setattr(trust, "_CHUNK", 17)
    parts = judged()
    assert whole is not None
    assert parts is not None
    assert (parts.rows, parts.documents, parts.missed) == (80, 80, whole.missed)
    assert parts.choose(0.5).expected == whole.choose(0.5).expected
