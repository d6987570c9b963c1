"""annoseq curve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.evaluation.sample_size import read_learning_curve
from tests.cli.command import Result, refusal, run

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    *("--tagger.hidden", "8", "--tagger.embedding", "8", "--tagger.buckets", "1024"),
    *("--epochs", "1", "--device", "cpu", "--workers", "1", "--points", "4", "--repeats", "1"),
    *("--split-by", "row"),
)


@pytest.fixture(scope="module")
def curved(table: Path, shelf: Path) -> tuple[Path, Result]:
    """Return the folder of a curve, and what the command printed."""
    out = shelf / "curve"
    targets = ("--target-f1", 0.9, "--target-coverage", 0.95, "--minutes-per-document", 4)
    return out, run("curve", table, "--out", out, *targets, *SMALL)


def test_a_curve_leaves_its_results_and_a_picture(curved: tuple[Path, Result]) -> None:
    out, result = curved
    assert result.code == 0, result.err
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "curve.json", "curve.png", "runs")
    }
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    results = read_learning_curve(out)
    assert len(results.f1.points) == 4
    assert results.f1.target is not None
    assert results.minutes_per_document == 4


def test_a_curve_tells_each_run_and_what_more_documents_give(curved: tuple[Path, Result]) -> None:
    _, result = curved
    assert "twice the documents: F1 " in result.out
    assert "F1 0.9 " in result.out
    assert "coverage 0.95 " in result.out
    assert "form of the curve: " in result.out
    assert result.err.count("run ") >= 4
    assert "run 4 of 4: 4 documents, repeat 1, F1 " in result.err


def test_a_finished_curve_resumes_without_a_training(
    curved: tuple[Path, Result], table: Path
) -> None:
    out, _ = curved
    result = run("curve", table, "--out", out, "--resume", "--json", *SMALL)
    assert result.code == 0, result.err
    assert "run 1 of 4" not in result.err
    assert json.loads(result.out)["f1"]["points"][0]["documents"] == 4


def test_another_design_does_not_resume(curved: tuple[Path, Result], table: Path) -> None:
    out, _ = curved
    message = refusal(run("curve", table, "--out", out, "--resume", *SMALL, "--curve-seed", 1))
    assert f"{out} was begun with curve_seed 42, and now it is 1." in message


def test_a_curve_is_not_replaced_unasked(curved: tuple[Path, Result], table: Path) -> None:
    out, _ = curved
    message = refusal(run("curve", table, "--out", out, *SMALL))
    assert message == (
        f"{out} exists already. Add --resume if it is this learning curve, interrupted; "
        "choose another name, or add --overwrite to replace it."
    )
    message = refusal(run("curve", table, "--out", out, *SMALL, "--resume", "--overwrite"))
    assert message == ("--resume goes on with what --overwrite removes. Give one of them.")


def test_minutes_are_above_zero(table: Path, shelf: Path) -> None:
    given = ("--minutes-per-document", 0, *SMALL)
    message = refusal(run("curve", table, "--out", shelf / "none", *given))
    assert message == "--minutes-per-document: found '0'. Give a number above 0."


def test_validation_pairs_are_held_back_if_given(table: Path, shelf: Path) -> None:
    out = shelf / "valid"
    result = run("curve", table, "--valid", table, "--out", out, *SMALL)
    assert result.code == 0, result.err
    assert read_learning_curve(out).f1.points[-1].documents == 40


def test_the_report_of_scores_has_the_curve(
    curved: tuple[Path, Result], model: Path, table: Path
) -> None:
    out, _ = curved
    report = out.with_suffix(".html")
    result = run("evaluate", model, table, "--report", report, "--learning-curve", out)
    assert result.code == 0, result.err
    assert "twice the documents: F1" in report.read_text(encoding="utf-8")


def test_a_report_of_no_curve_is_refused_at_once(table: Path, shelf: Path) -> None:
    given = ("--report", shelf / "r.html", "--learning-curve", shelf)
    message = refusal(run("score", table, table, *given))
    assert message.startswith(f"{shelf}: curve.json cannot be read: No such file or directory.")
