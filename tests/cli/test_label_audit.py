"""annoseq audit."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import read_pairs
from tests.cli.command import Result, refusal, run

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    *("--tagger.hidden", "16", "--tagger.embedding", "16", "--tagger.buckets", "1024"),
    *("--epochs", "8", "--max-lr", "3e-2", "--batch-size", "4", "--device", "cpu"),
    *("--workers", "1", "--folds", "2"),
)
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford", "Gray", "Hill", "Jones", "King")


@pytest.fixture(scope="module")
def flawed(shelf: Path) -> Path:
    """Return pairs in which one name of forty is not annotated."""
    path = shelf / "flawed.csv"
    rows = []
    for number in range(40):
        name = NAMES[number % len(NAMES)]
        tagged = name if number == 7 else f"{{{{NAME}}}}{name}{{{{/NAME}}}}"
        rows.append(f"Dear Dr. {name}:,Dear Dr. {tagged}:")
    path.write_text("\n".join(["orig_text,annotated_text", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def audited(flawed: Path, shelf: Path) -> tuple[Path, Result]:
    """Return the table of an audit, and what the command printed."""
    out = shelf / "audit.csv"
    return out, run("audit", flawed, "--out", out, *SMALL)


def test_an_audit_lists_the_name_that_is_not_annotated(audited: tuple[Path, Result]) -> None:
    out, result = audited
    assert result.code == 0, result.err
    with out.open(newline="", encoding="utf-8") as file:
        first, *_ = csv.DictReader(file)
    assert (first["row"], first["problem"], first["suggested_label"]) == ("8", "missed", "NAME")
    assert (first["suggested_start"], first["suggested_end"]) == ("9", "13")
    assert first["context"] == "Dear Dr. {Hill}:"
    assert "likely error" in result.out
    assert "fold 2 of 2 is predicted" in result.err
    assert not out.with_name("audit.csv.folds").exists()


def test_accepted_corrections_make_new_pairs(
    audited: tuple[Path, Result], flawed: Path, shelf: Path
) -> None:
    out, _ = audited
    accepted, corrected = shelf / "accepted.csv", shelf / "corrected.csv"
    header, first, *_ = out.read_text(encoding="utf-8").splitlines()
    first = first.removesuffix('""')  # the empty cell of the column accept
    accepted.write_text(f"{header}\n{first}yes\n", encoding="utf-8")
    before = flawed.read_bytes()
    result = run("audit", "apply", flawed, accepted, "--out", corrected)
    assert result.code == 0, result.err
    assert result.out == f"applied 1 correction in 1 row of 40 rows: {corrected}\n"
    assert read_pairs(corrected)[7].target == "Dear Dr. {{NAME}}Hill{{/NAME}}:"
    assert flawed.read_bytes() == before
    assert read_pairs(corrected)[6].target == read_pairs(flawed)[6].target


def test_the_pairs_that_are_corrected_are_kept(audited: tuple[Path, Result], flawed: Path) -> None:
    out, _ = audited
    given = ("--least-score", 0, "--overwrite")
    message = refusal(run("audit", "apply", flawed, out, "--out", flawed, *given))
    assert message == (f"{flawed} holds the pairs that are corrected. Name another file by --out.")


def test_nothing_accepted_is_told(audited: tuple[Path, Result], flawed: Path, shelf: Path) -> None:
    out, _ = audited
    message = refusal(run("audit", "apply", flawed, out, "--out", shelf / "none.csv"))
    assert message == (
        f"{out}: no correction is accepted. Write yes into the column accept, or give "
        "--least-score."
    )


def test_validation_pairs_are_refused(flawed: Path, shelf: Path) -> None:
    given = ("--valid", flawed, "--out", shelf / "unwritten.csv")
    message = refusal(run("audit", flawed, *given, *SMALL))
    assert message == (
        "--valid: an audit predicts every row by a model trained on others, and takes one table. "
        "Leave --valid off."
    )


def test_there_is_nothing_to_resume_after_the_end(
    audited: tuple[Path, Result], flawed: Path
) -> None:
    out, _ = audited
    message = refusal(run("audit", flawed, "--out", out, "--overwrite", "--resume", *SMALL))
    assert message == (f"there is no audit at {out}.folds. Leave --resume off to begin one.")
