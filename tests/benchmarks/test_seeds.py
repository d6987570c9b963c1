"""Comparison of systems over seeds, of tiny counts and a tiny tagger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.data.markup import Span
from benchmarks import seeds
from benchmarks.saved_runs import save_results
from benchmarks.tagger_runs import read_corpus
from tests.benchmarks.sample_corpora import write_corpora

if TYPE_CHECKING:
    from pathlib import Path


def test_spans_are_counted_by_document(tmp_path: Path) -> None:
    _, dev = read_corpus(write_corpora(tmp_path, "asq_phi"), "asq_phi")
    counts = seeds.count_spans([[Span(0, 1, "NOTHING")] for _ in dev], dev)
    assert len(counts) == len({pair.document for pair in dev})
    assert {(correct, predicted) for correct, predicted, _ in counts} == {(0, 1)}
    assert sum(gold for *_, gold in counts) > 0


def test_a_difference_in_every_seed_and_document_is_no_chance() -> None:
    ours = np.tile([9, 10, 10], (5, 40, 1))
    theirs = np.tile([8, 10, 10], (5, 40, 1))
    assert seeds.compare(ours, theirs, seed=1) == ["+0.1000", "+0.1000 to +0.1000", "0.008"]


def test_a_difference_of_one_document_may_be_chance() -> None:
    ours, theirs = np.tile([5, 10, 10], (2, 5, 40, 1))
    ours[:, 0, 0] = 10
    difference, interval, _ = seeds.compare(ours, theirs, seed=1)
    assert difference == "+0.0125"
    assert interval.startswith("+0.0000 to +0.0")


def test_the_report_compares_the_seeds_that_are_there(tmp_path: Path) -> None:
    for name, correct in {
        "tagger-asq_phi-42": 9,
        "tagger-asq_phi-1": 7,
        "spacy-asq_phi-42": 8,
    }.items():
        outcome = {"documents": [[correct, 10, 10], [10, 10, 10]], "seconds": 60.0}
        save_results(tmp_path, name, {"outcome": outcome, "machine": {"processor": "one"}})
    options = ["--results", str(tmp_path), "--out", str(tmp_path / "report.md"), "--join"]
    assert seeds.main(options) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| asq_phi | annoseq's tagger | 0.9000 | 0.0707 | 2 | 60 |" in report
    assert "| asq_phi | spaCy's NER | 0.9000 |  | 1 | 60 |" in report
    assert "less spaCy" not in report


def test_every_kind_of_tagger_is_compared(tmp_path: Path) -> None:
    for system, correct in {"tagger": 9, "pretrained": 10, "spacy": 8}.items():
        for seed in (42, 1):
            outcome = {"documents": [[correct, 10, 10], [10, 10, 10]], "seconds": 60.0}
            kept = {"outcome": outcome, "machine": {"processor": "one"}}
            save_results(tmp_path, f"{system}-asq_phi-{seed}", kept)
    options = ["--results", str(tmp_path), "--out", str(tmp_path / "report.md"), "--join"]
    assert seeds.main(options) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| asq_phi | annoseq's tagger | +0.0500 | " in report
    assert "| asq_phi | annoseq's tagger, pre-trained on unlabelled texts | +0.1000 | " in report


def test_a_pre_trained_tagger_needs_a_language_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpora(tmp_path / "data", "asq_phi")
    options = ["--data", str(data), "--results", str(tmp_path / "results")]
    assert seeds.main([*options, "--only", "pretrained-asq_phi-1"]) == 2
    assert "needs a language model. Give --language-model." in capsys.readouterr().err
    given = ["--language-model", str(tmp_path / "lm"), "--only", "lexicons-asq_phi-1"]
    assert seeds.main([*options, *given]) == 2
    assert "needs some. Give --lexicon or --gazetteers." in capsys.readouterr().err


@pytest.mark.e2e
def test_a_tagger_is_trained_and_scored(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "asq_phi")
    options = ["--data", str(data), "--results", str(tmp_path / "results"), "--epochs", "1"]
    options += ["--out", str(tmp_path / "report.md")]
    assert seeds.main([*options, "--only", "tagger-asq_phi-3"]) == 0
    assert seeds.main([*options, "--join"]) == 0
    assert "| asq_phi | annoseq's tagger | 0." in (tmp_path / "report.md").read_text()
