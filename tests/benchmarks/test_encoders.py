"""The report of the runs with pre-trained encoders: made-up figures, and one run of each kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from annoseq.sample import sample_pairs
from benchmarks import encoders
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def common(tmp_path: Path) -> list[str]:
    """Return options that all calls share."""
    pairs = Pairs(sample_pairs(30, seed=1), name="sample")
    for corpus in encoders.CORPORA:
        folder = tmp_path / "data" / corpus / "pairs"
        folder.mkdir(parents=True)
        for name in ("train", "dev"):
            write_pairs(pairs, folder / f"{name}.csv", overwrite=False)
    paths = {"--data": "data", "--results": "results", "--out": "report.md"}
    options = [text for name, path in paths.items() for text in (name, str(tmp_path / path))]
    return [*options, "--encoder", str(encoder_folder("bert")), "--device", "cpu", "--epochs", "1"]


def figures(f1: float) -> dict[str, Any]:
    speeds = {"seconds": 60.0, "pairs_per_second": 20.0, "chars_per_second": 1_000.0}
    return {"precision": 0.9, "recall": 0.8, "f1": f1, "epochs": 8, "rows": 100, **speeds}


def test_the_runs_that_are_there_make_a_report(
    tmp_path: Path, common: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {
        "rate-1e-4": 0.5, "rate-2e-4": 0.6, "part-linear": 0.55,
        "tagger-bc5cdr-42": 0.7, "encoder-bc5cdr-42": 0.8, "encoder-bc5cdr-1": 0.9,
    }  # fmt: skip
    monkeypatch.setattr(encoders, "perform", lambda name, _: figures(scores[name]))
    for name in scores:
        assert encoders.main([*common, "--only", name]) == 0
    options = encoders.parse_arguments(common)
    assert encoders.chosen_rate(options) == 2e-4
    assert encoders.main([*common, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| encoder, rate 2e-4 | 0.6000 | 8 | 20 |" in report
    assert "| without the BiLSTM on top | 0.5500 | 8 | 20 |" in report
    assert "| bc5cdr | tagger | 0.9000 | 0.8000 | 0.7000 |  | 1 | 60 | 1,000 |" in report
    assert "| bc5cdr | tagger with encoder | 0.9000 | 0.8000 | 0.8500 | 0.0707 | 2 |" in report
    assert "- encoder: tiny-bert (bert, 2 layers of 8, sha256 " in report
    assert "- not run: rate-5e-5, " in report


def test_without_results_there_is_no_report(
    common: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert encoders.main([*common, "--join"]) == 2
    assert "no run is complete. Leave --join off." in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["rate-1e-4", "part-none", "encoder-asq_phi-42", "tagger-asq_phi-1"]
)
def test_a_run_of_each_kind_saves_its_figures(tmp_path: Path, common: list[str], name: str) -> None:
    assert encoders.main([*common, "--rows", "20", "--only", name]) == 0
    saved = json.loads((tmp_path / "results" / f"{name}.json").read_text())
    assert 0 <= saved["outcome"]["f1"] <= 1
    assert saved["outcome"]["epochs"] == 1


def test_runs_side_by_side_end_when_the_time_is_up(tmp_path: Path, common: list[str]) -> None:
    assert encoders.main([*common, "--jobs", "2", "--minutes", "0.001"]) == 2
    assert not list((tmp_path / "results").glob("*.json"))
