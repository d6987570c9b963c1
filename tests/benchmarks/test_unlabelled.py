"""The report of pupils of unlabelled texts, of tiny taggers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from benchmarks import unlabelled
from benchmarks.saved_runs import save_results
from tests.benchmarks.sample_corpora import sample_documents, write_corpora
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_a_teacher_and_pupils(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "ncbi_disease")
    texts = tmp_path / "texts.csv"
    write_pairs(Pairs(sample_documents(34)[28:], name="texts"), texts, overwrite=False)
    paths = {"--data": data, "--results": tmp_path / "results", "--texts": texts}
    options = [text for name, path in paths.items() for text in (name, str(path))]
    options += ["--out", str(tmp_path / "report.md"), "--epochs", "1"]
    options += ["--encoder", str(encoder_folder("bert"))]
    teacher = "teacher-ncbi_disease-42"
    assert unlabelled.main([*options, "--save-targets", "--only", teacher]) == 0
    shutil.rmtree(tmp_path / "results" / f"{teacher}.model")  # its targets do
    for name in ("plain", "texts", "language", "both"):
        assert unlabelled.main([*options, "--only", f"{name}-ncbi_disease-42"]) == 0
    elsewhere = ["--results", str(tmp_path / "narrow"), "--teachers-in", str(tmp_path / "results")]
    narrow = [*options, *elsewhere, "--hidden", "8", "--only", "texts-ncbi_disease-1"]
    assert unlabelled.main(narrow) == 0
    assert (tmp_path / "narrow" / "texts-ncbi_disease-1.json").exists()
    assert unlabelled.main([*options, "--join"]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| ncbi_disease | pupil of teachers with an encoder, unlabelled texts too | " in report
    assert "- unlabelled texts, ncbi_disease: 4 rows, " in report  # two are rows of the corpus
    assert "- language model, ncbi_disease: " in report
    assert "| ncbi_disease | tagger, pre-trained on unlabelled texts, language modelling " in report


def test_coverage_is_told_of_meddocan(tmp_path: Path) -> None:
    outcome = {
        **{"precision": 0.9, "recall": 0.8, "f1": 0.85, "error": None, "epochs": 7},
        **{"seconds": 60.0, "chars_per_second": 1e5},
        "coverage": [[0.98, 0.8], [0.99, 0.9], None],
    }
    machine = {"processor": "one"}
    name = "plain-meddocan-42"
    save_results(tmp_path, name, {"outcome": outcome, "machine": machine})
    report = tmp_path / "report.md"
    options = ["--results", str(tmp_path), "--out", str(report), "--valid-share", "0.2", "--join"]
    assert unlabelled.main(options) == 0
    written = report.read_text()
    assert "| tagger | 0.3% | 0.9800 | 0.8000 |\n| tagger | 1.0% | 0.9900 | 0.9000 |" in written
    assert "| tagger | 4.0% |" not in written
    assert "- rows kept: 0.2 of training\n" in written


def test_teachers_are_trained_before_their_pupils() -> None:
    names = unlabelled.run_names(["bc5cdr", "ncbi_disease"])
    assert len(set(names)) == len(names) == 2 * (1 + 3 * 9)
    for place, name in enumerate(names):
        system, corpus, _ = name.split("-")
        if system in unlabelled.TEACHERS:
            teachers = unlabelled.teacher_names(system, corpus)
            assert teachers
            assert set(teachers) <= set(names[:place])


def test_a_pupil_needs_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unlabelled.main(["--results", str(tmp_path), "--only", "texts-ncbi_disease-42"]) == 2
    assert (
        "there are no unlabelled texts. Give tables of them with --texts."
        in capsys.readouterr().err
    )
