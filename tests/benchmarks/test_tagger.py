"""The report of the tagger's runs, with made-up outcomes, and the evaluation of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span
from annoseq.data.pairs import Pair, Pairs, write_pairs
from benchmarks import tagger
from benchmarks.tagger_lists import write_lists
from benchmarks.tagger_runs import Quality, RunResult

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

PAIRS = Pairs(
    [
        Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", 1),
        Pair("Ann Lee", "{{NAME}}{{NAME}}Ann{{/NAME}} Lee{{/NAME}}", 2),
    ],
    name="pairs",
)
FOUND = [[Span(4, 8, "NAME")], [Span(0, 7, "NAME"), Span(4, 7, "NAME")]]


def outcome(f1: float) -> RunResult:
    quality = Quality(precision=0.9, recall=0.8, f1=f1, unseen=f1 - 0.1, inner=0.5)
    return RunResult(120.0, 130.0, [(60.0, 61.0, 0.25)], quality, 1_000.0, "2 epochs")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for corpus in tagger.CORPORA:
        folder = tmp_path / "data" / corpus / "pairs"
        folder.mkdir(parents=True)
        for name in ("train", "dev"):
            write_pairs(PAIRS, folder / f"{name}.csv", overwrite=False)
    return tmp_path / "data"


def test_a_run_is_evaluated_on_all_on_unseen_and_on_inner_spans() -> None:
    quality = Quality.of(FOUND, PAIRS[:1], PAIRS)
    assert (quality.precision, quality.recall) == (2 / 3, 2 / 3)
    assert quality.unseen == 0.5  # of the second row alone
    assert quality.inner == 0.0
    assert Quality.of(FOUND[:1], PAIRS, PAIRS[:1]).inner is None


def test_the_runs_that_are_there_make_a_report(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"tagger-meddocan": 0.96, "seed-1": 0.94, "encoder-lstm": 0.5, "tagger-gum_open": 0.6}
    monkeypatch.setattr(tagger, "perform", lambda name, _: outcome(scores[name]))
    common = ["--data", str(data), "--results", str(tmp_path / "results")]
    for name in scores:
        assert tagger.main([*common, "--only", name]) == 0
    report = tmp_path / "tagger.md"
    assert tagger.main([*common, "--join", "--out", str(report)]) == 0
    text = report.read_text(encoding="utf-8")
    assert "| meddocan | tagger | 0.9000 | 0.8000 | 0.9600 | 0.8600 | 2.0 | 1,000 |" in text
    assert "| F1 | 0.9600 | 0.9400 | 0.9500 | 0.0141 |" in text
    assert "| gum_open | 0.6000 | 0.5000 |" in text
    assert "| lstm | 0.9000 | 0.8000 | 0.5000 |" in text
    assert "0.250 after 1.0 CPU minutes" in text
    assert "- not run: tagger-asq_phi, " in text
    assert f"- command: `python -m benchmarks.tagger --data {data}`\n" in text
    kept = json.loads((tmp_path / "results" / "seed-1.json").read_text(encoding="utf-8"))
    assert kept["outcome"]["quality"]["f1"] == 0.94
    assert "seed-1: F1 0.9400 after 120 s" in capsys.readouterr().err


def test_without_the_first_run_there_is_no_report(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    given = ["--data", str(data), "--results", str(tmp_path / "results"), "--join"]
    assert tagger.main([*given, "--out", str(tmp_path / "none.md")]) == 2
    assert "run --only tagger-meddocan first" in capsys.readouterr().err
    assert not (tmp_path / "none.md").exists()


def test_lists_have_an_entry_in_each_line(tmp_path: Path) -> None:
    lexicon_features = write_lists(tmp_path)
    lists = {
        path.stem: path.read_text(encoding="utf-8").splitlines()
        for path in lexicon_features.lexicons
    }
    assert "Madrid" in lists["spanish_cities"]
    assert "García" in lists["surnames"]
    assert all(entries == sorted(set(entries)) and len(entries) > 15 for entries in lists.values())
