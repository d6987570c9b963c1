"""Unlabelled lines, of documents that are not of the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import background
from tests.benchmarks.sample_corpora import write_corpora

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_LONG = "A line that is long enough to tell which document it is of, and which no form repeats."


def _clone(folder: Path, texts: dict[str, str], splits: dict[str, str]) -> Path:
    target = folder / "scripts/CODALAB-Evaluation-script/annotated_corpora/sentence_splitted"
    target.mkdir(parents=True)
    for name, text in texts.items():
        (target / f"{name}.txt").write_text(text)
    for split, name in splits.items():
        (folder / "corpus" / split / "brat").mkdir(parents=True)
        (folder / "corpus" / split / "brat" / f"{name}.txt").write_text(texts[name])
    return folder


def test_lines_of_documents_that_nobody_annotated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        "T-1": "Training.\n",
        "T-2": "Form:\n of the article of a training document \n\nForm:\n",
        "D-1": f"Form:\n{_LONG}\n",
        "D-2": "Of the article of a dev document.\n",
        "E-1": "Test.\n",
        "X-1": f"{_LONG.upper()}\nThe same case again.\n",
        "X-2": "A new case.\n",
    }
    clone = _clone(tmp_path / "clone", texts, {"train": "T-1", "dev": "D-1", "test": "E-1"})
    data, out = write_corpora(tmp_path / "data", "meddocan"), tmp_path / "out.csv"
    assert background.main([str(clone), "--data", str(data), "--out", str(out)]) == 0
    assert out.read_text().splitlines() == [
        "orig_text",
        "Form:",
        "of the article of a training document",
        "A new case.",
    ]
    told = "3 lines of 2 documents; left out for a dev or test document: 2 documents"
    assert told in capsys.readouterr().err


def test_training_rows_are_left_out() -> None:
    splits = {"train": ["T-1"], "dev": ["D-1"], "test": ["E-1"]}
    kept = background.keep_lines({"X-1": "One, known.\nNew."}, splits, train=["one known"])
    assert kept.lines == ["New."]


def test_a_clone_without_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_corpora(tmp_path / "data", "meddocan"), tmp_path / "out.csv"
    command = [str(tmp_path), "--data", str(data), "--out", str(out)]
    assert background.main(command) == 2
    assert "has no .txt files. Give a clone of SPACCC_MEDDOCAN." in capsys.readouterr().err
    _clone(tmp_path, {"T-1": "a"}, {"train": "T-1"})
    assert background.main(command) == 2
    assert "dev/brat has no .txt files. Give a clone" in capsys.readouterr().err
