"""Trials of the tagger: their lists of values, and the report of tiny taggers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import DataConfig
from annoseq.data.pairs import Pairs
from annoseq.models.crf import LinearChainCrf
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.document_folds import fold_numbers
from benchmarks import tagger_trials
from benchmarks.saved_runs import save_results
from tests.benchmarks.sample_corpora import sample_documents, write_corpora

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Sample rows in documents of three rows."""
    rows = [replace(row, document=f"d{row.row // 3}") for row in sample_documents(60)]
    pairs = Pairs(rows, name="sample")
    return Dataset.from_pairs(pairs, config=DataConfig(task="annotate"))


def marks(dataset: Dataset, lists: tagger_trials.ValueLists, text: str) -> set[str]:
    """Return the tokens of a text that its lists mark."""
    tokenizer = TaggerTokenizer.fit(dataset.train, buckets=64, lexicon_features=lists)
    cut = BatchPreTokenizer(joins_digits=tokenizer.joins_digits).cut([text])
    features = tokenizer.lexicon_matcher.match([text], cut)
    return {cut.tokens[place].strip() for place in features}


def test_a_training_row_is_marked_by_the_values_of_other_folds(dataset: Dataset) -> None:
    lists = tagger_trials.out_of_fold_lists(dataset)
    folds = fold_numbers(dataset, count=tagger_trials.FOLDS, seed=42)
    for row, fold in list(zip(dataset.train, folds, strict=True))[:10]:
        own = {row.source[span.start : span.end] for span in row.tight_spans}
        others = {
            other.source[span.start : span.end]
            for other, number in zip(dataset.train, folds, strict=True)
            if number != fold
            for span in other.tight_spans
        }
        found = set().union(*lists.own[row.source].values())
        assert found == others
        assert own <= set().union(*lists.values.values())


def test_a_row_is_marked_by_the_values_of_the_other_rows_of_its_document(dataset: Dataset) -> None:
    train = dataset.train
    document = train[0].document
    rows = [row for row in train if row.document == document]
    lists = tagger_trials.document_lists(dataset, [[] for _ in dataset.valid])
    for row in rows:
        values = set().union(*lists.own[row.source].values())
        assert values == {
            other.source[span.start : span.end]
            for other in rows
            if other is not row
            for span in other.tight_spans
        }
        assert marks(dataset, lists, row.source) <= {
            word for value in values for word in value.split()
        }
    assert not marks(dataset, lists, "a new text")


def test_smoothing_takes_a_share_from_the_gold_tags() -> None:
    smoothed, plain = tagger_trials.SmoothedCrf(2), LinearChainCrf(2)
    generator = torch.Generator().manual_seed(1)
    emissions = torch.randn(2, 3, smoothed.tags, generator=generator)
    tags, lengths = torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 2])
    excess = emissions[:, :, 0] - emissions.mean(2)
    expected = tagger_trials.SMOOTHING * torch.stack([excess[0].sum(), excess[1, :2].sum()])
    loss = [crf.loss(emissions, tags, lengths) for crf in (smoothed, plain)]
    torch.testing.assert_close(loss[0] - loss[1], expected)


def test_the_gain_is_that_of_runs_with_the_same_seeds(tmp_path: Path) -> None:
    for name, f1 in {
        "plain-bc5cdr-42": 0.8,
        "plain-bc5cdr-1": 0.5,
        "folds-bc5cdr-42": 0.81,
    }.items():
        scores = {"span_precision": 0.9, "span_recall": 0.7, "span_f1": f1}
        outcome = {"scores": scores, "epochs": 9, "seconds": 60.0}
        save_results(tmp_path, name, {"outcome": outcome, "machine": {"processor": "one"}})
    report = tmp_path / "report.md"
    assert tagger_trials.main(["--results", str(tmp_path), "--out", str(report), "--join"]) == 0
    rows = [line for line in report.read_text().splitlines() if line.startswith("| bc5cdr")]
    assert [row.split(" | ")[-5:] for row in rows] == [
        ["0.7000", "0.6500", "0.2121", "", "2 |"],
        ["0.7000", "0.8100", "", "+0.0100", "1 |"],
    ]


@pytest.mark.e2e
def test_every_kind_of_trial_is_trained(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "ncbi_disease")
    paths = {"--data": data, "--results": tmp_path / "results", "--out": tmp_path / "report.md"}
    options = [text for name, path in paths.items() for text in (name, str(path))]
    for trial in ("plain", "second", "smoothing", "values", "folds", "narrow"):
        run = ["--epochs", "1", "--only", f"{trial}-ncbi_disease-42"]
        assert tagger_trials.main([*options, *run]) == 0
    assert tagger_trials.main([*options, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| ncbi_disease | the tagger as it is | " in report
    assert "| ncbi_disease | label smoothing of .05 in the CRF | " in report
