"""The tables of the target recalls, with an untrained tagger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from benchmarks import coverage_simulation, target_recall
from tests.calibrated import calibrated_model, pairs
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options that name a folder of tables, and where the report goes."""
    monkeypatch.setattr(target_recall, "TARGETS", (0.5, 0.995))
    (tmp_path / "data").mkdir()
    rows = [replace(pair, document=str(pair.row // 6)) for pair in pairs(160)]
    for name in ("train", "dev"):
        write_pairs(Pairs(rows, name=name), tmp_path / "data" / f"{name}.csv", overwrite=False)
    places = {"--data": "data", "--out": "report.md", "--results": "results"}
    return [one for name, place in places.items() for one in (name, str(tmp_path / place))]


def test_a_model_that_knows_its_recall_is_measured_on_all_rows(
    common: list[str], tmp_path: Path
) -> None:
    calibrated_model().save(tmp_path / "model", card="")
    assert target_recall.main([*common, "--model", str(tmp_path / "model")]) == 0
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "- model: trained before, with its calibration\n" in report
    assert "- measured on: 160 dev rows\n" in report
    for target in target_recall.TARGETS:
        assert f"\n| {target:g} | " in report
    assert "\n| most likely spans | " in report
    assert "\n| on these rows | 0." in report


def test_a_model_that_does_not_is_calibrated_on_half(common: list[str], tmp_path: Path) -> None:
    random_annotator("flat tagger").model.save(tmp_path / "model", card="")
    assert target_recall.main([*common, "--model", str(tmp_path / "model")]) == 0
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "calibrated on every other dev document, measured on the rest\n" in report


def test_a_model_that_writes_is_refused(
    common: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random_annotator("flat").model.save(tmp_path / "model", card="")
    assert target_recall.main([*common, "--model", str(tmp_path / "model")]) == 2
    assert "there are too few spans to calibrate with" in capsys.readouterr().err
    assert not (tmp_path / "report.md").exists()


def test_a_model_of_other_rows_is_not_used_again(
    common: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated_model().save(tmp_path / "results" / "seed42" / "model", card="")
    assert target_recall.main([*common, "--reuse", "--seed", "42"]) == 2
    assert "was trained on other rows. Leave --reuse off." in capsys.readouterr().err


def test_samples_that_miss_a_target_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage_simulation, "SHARES", (0.9,))
    monkeypatch.setattr(coverage_simulation, "_PERMUTATIONS", 9)
    documents: list[list[int | None]] = [[*[40] * 20, number] for number in range(50)]
    documents.append([None] * 30)
    table = coverage_simulation.simulation_table({"x": documents}, size=51, samples=4)
    for line in table.splitlines()[2:]:
        name, _, *shares = line.split(" | ")[:5]
        assert name == "| x"
        assert all(0 <= float(share) <= 1 for share in shares)
    transfer = coverage_simulation.transfer_table(documents[:-1], documents)
    assert "| 30 of its 30, of " in transfer
    assert coverage_simulation.difference_p_value(documents[:25], documents[25:50], 1.0) == 1.0
