"""The report of teachers and pupils: made-up figures, and one recipe of tiny taggers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.config import NetworkConfig, TaggerConfig
from benchmarks import teachers
from tests.benchmarks.sample_corpora import write_corpora

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def common(tmp_path: Path) -> list[str]:
    """Return options that all calls share."""
    write_corpora(tmp_path / "data", "ncbi_disease", "bc5cdr")
    paths = {"--data": "data", "--results": "results", "--out": "report.md"}
    options = [text for name, path in paths.items() for text in (name, str(tmp_path / path))]
    return [*options, "--device", "cpu", "--epochs", "1", "--corpora", "ncbi_disease"]


def figures(f1: float) -> dict[str, Any]:
    points = [[0.99, 0.9], [0.995, 0.95], None]
    speeds = {"seconds": 60.0, "chars_per_second": 1_000.0}
    return {"precision": 0.9, "recall": 0.8, "f1": f1, "error": 0.01, "coverage": points, **speeds}


def test_the_runs_that_are_there_make_a_report(
    tmp_path: Path, common: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"plain-meddocan-42": 0.7, "pupil-meddocan-42": 0.8, "pupil-meddocan-1": 0.9}
    monkeypatch.setattr(teachers, "perform", lambda name, _: figures(scores[name]))
    for name in scores:
        assert teachers.main([*common, "--only", name]) == 0
    assert teachers.main([*common, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| meddocan | pupil | 0.9000 | 0.8000 | 0.8500 | 0.0707 | 2 | 0.0100 |" in report
    assert "| tagger | 1.0% | 0.9950 | 0.9500 |" in report
    assert "4.0%" not in report


def test_a_recipe_is_run_side_by_side_as_one_by_one(
    tmp_path: Path, common: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = NetworkConfig.of(TaggerConfig(hidden=8, embedding=8, buckets=1024))
    monkeypatch.setattr(teachers, "NetworkConfig", lambda: tiny)
    for name in ("fold-ncbi_disease-1", "pupil-ncbi_disease-42", "teachers-ncbi_disease-0"):
        assert teachers.main([*common, "--only", name]) == 0
    outcome = json.loads((tmp_path / "results" / "pupil-ncbi_disease-42.json").read_text())
    assert outcome["outcome"]["chars_per_second"] > 0
