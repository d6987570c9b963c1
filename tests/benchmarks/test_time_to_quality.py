"""A short run of both models, and the sentences about their learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import write_pairs
from annoseq.evaluation.token_accuracy import Accuracy, Ratio
from annoseq.sample import sample_pairs
from benchmarks import budget, time_to_quality
from benchmarks.budget import ProcessorTimer
from benchmarks.time_to_quality import CurvePoint, LearningCurve, PeriodicEvaluation, main, results
from tests.tiny import TINY_ATTENTION

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make few and small rows, and the attention model tiny."""
    monkeypatch.setattr(time_to_quality, "OURS", TINY_ATTENTION)
    monkeypatch.setattr(budget, "PROBE_STEPS", 3)
    for seed, name in enumerate(("train.csv", "dev.csv")):
        write_pairs(sample_pairs(80, seed=seed), tmp_path / name, overwrite=False)
    return tmp_path


def curve(*points: tuple[float, float], steps: int = 7) -> LearningCurve:
    return LearningCurve([CurvePoint(*point, 0.5) for point in points], steps, 1.5)


def test_a_short_run_writes_its_report_and_its_plot(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "report.md"
    given = ["--minutes", "0.005", "--ours-minutes", "0.002", "--every", "0.01"]
    given += ["--ours-every", "0.02", "--dev-rows", "9", "--data", str(data), "--out", str(out)]
    assert main(given) == 0
    text = out.read_text(encoding="utf-8")
    assert (data / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "](report.png)" in text
    for part in ("| training, processor minutes | 0.", "| token accuracy at the end | 0.",
                 "| the notebook's loop, processor seconds |", "| attention, processor seconds |",
                 "\n- dev rows: 9 of 80", "\n- train rows: ", "\n- seed: 42", "\n- processor",
                 "\n- date", "\n- command: `python -m benchmarks.time_to_quality --minutes",
                 "processor time of the process"):  # fmt: skip
        assert part in text
    said = capsys.readouterr()
    assert said.out.startswith("| figure | the notebook's loop | attention |")
    assert said.err.count("attention: ") >= 1


def test_too_few_rows_are_said_in_a_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--rows", "20"]) == 2
    assert "64 and 1 are needed. Raise --max-tokens or --rows." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--minutes", "--ours-minutes", "--dev-rows", "--every"])
def test_a_number_must_be_above_0(name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "0"])
    assert stop.value.code == 2


def test_the_first_point_that_is_as_good_counts() -> None:
    notebook = curve((60, 0.5), (120, 0.4))
    attention = curve((5, 0.3), (10, 0.4), (15, 0.9))
    table, sentence = results(notebook, attention)
    assert "| token accuracy of 0.4000 reached after | 120 s | 10 s |" in table
    assert sentence == "That is **12.0 times** sooner."


def test_what_is_never_reached_is_said() -> None:
    table, sentence = results(curve((60, 0.5)), curve((5, 0.3)))
    assert "| 60 s | never |" in table
    assert "did NOT reach" in sentence


def test_evaluation_takes_no_time() -> None:
    def evaluate() -> Accuracy:
        sum(range(3_000_000))
        return Accuracy(token=Ratio(1, 4))

    observer = PeriodicEvaluation("x", evaluate, 0.0, [])
    with ProcessorTimer() as watch:
        for _ in range(3):
            observer.evaluate_if_due(watch)
    assert [point.token_accuracy for point in observer.points] == [0.25] * 3
    assert watch.seconds < 0.02
    observer.every = 100
    with watch:
        observer.evaluate_if_due(watch)
        assert len(observer.points) == 3
        observer.evaluate_if_due(watch, is_over=True)
    assert len(observer.points) == 4
