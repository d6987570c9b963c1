from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import write_pairs
from benchmarks import onnx as benchmark
from benchmarks import onnx_system
from tests.calibrated import calibrated_model, pairs
from tests.imports import modules_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("train", "dev"):
        write_pairs(pairs(), tmp_path / f"{name}.csv", overwrite=False)
    return tmp_path


def test_a_system_is_measured_in_its_own_process(data: Path) -> None:
    calibrated_model().save(data / "model", card="")
    measured = onnx_system.measure("annoseq", data / "model", data, rows=20)
    assert set(measured) == {"speed", "memory", "precision", "recall", "f1"}
    assert measured["speed"] > 0
    assert measured["memory"] > 10


def test_the_process_of_a_system_imports_no_other() -> None:
    imported = modules_of("import benchmarks.onnx_system")
    assert imported & {"torch", "spacy", "onnxruntime"} == set()


def test_a_missing_model_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(data), "--model", str(data / "none"), "--out", str(data / "r.md")]
    assert benchmark.main(words) == 2
    assert "there is no model. Run python -m benchmarks.tagger first." in capsys.readouterr().err


@pytest.mark.slow
def test_all_systems_are_compared(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = calibrated_model()
    model.save(data / "model", card="")
    (data / "spacy").mkdir()
    systems = benchmark.export_systems

    def without_spacy(options: object, folder: Path) -> list[benchmark.System]:
        return systems(options, folder)[:3]  # type: ignore[arg-type]

    monkeypatch.setattr(benchmark, "export_systems", without_spacy)
    words = ["--data", str(data), "--model", str(data / "model"), "--spacy", str(data / "spacy")]
    out = ["--rounds", "1", "--max-recall-loss", "0.99", "--out", str(data / "report.md")]
    assert benchmark.main([*words, *out]) == 0
    report = (data / "report.md").read_text(encoding="utf-8")
    for name in ("torch", "ONNX, float32", "ONNX, int8"):
        (row,) = (line for line in report.splitlines() if line.startswith(f"| {name} |"))
        assert len(row.split("|")) == 10
