"""sample, check and show-batch: a table is written and looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import read_pairs
from tests.cli.command import refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = (
    "orig_text,annotated_text\n"
    "Dr. Ames,Dr. {{NAME}}Ames{{/NAME}}\n"
    "Dr. Bond,Dr. {{NAME}}Bond\n"
    "Dr. Cole,Dr. {{NAME}}Kole{{/NAME}}\n"
    "Dr. Dale,Dr. {{NAME}}Dale{{/NAME}}\n"
)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
def test_sample_writes_a_table_that_check_finds_healthy(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pairs{suffix}"
    result = run("sample", path, "--rows", 30, "--seed", 7)
    assert result == (0, "", f"wrote 30 pairs to {path}; next: annoseq check {path}\n")
    assert len(read_pairs(path)) == 30
    found = json.loads(run("check", path, "--json").out)
    assert (found["rows"], found["task"], found["is_healthy"]) == (30, "annotate", True)


def test_the_same_seed_gives_the_same_corpus(tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        run("sample", tmp_path / f"{name}.csv", "--rows", 20, "--seed", seed)
    files = snapshot(tmp_path)
    assert files["a.csv"] == files["b.csv"]
    assert files["a.csv"] != files["c.csv"]


def test_sample_replaces_a_table_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("mine")
    message = refusal(run("sample", path, "--rows", 5))
    assert message == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert snapshot(tmp_path) == {"pairs.csv": b"mine"}
    assert run("sample", path, "--rows", 5, "--overwrite").code == 0
    assert len(read_pairs(path)) == 5


def test_check_says_what_a_healthy_table_holds(table: Path) -> None:
    result = run("check", table)
    assert (result.code, result.err) == (0, "")
    assert "40 rows, 2 documents, task annotate (inferred)" in " ".join(result.out.split())
    assert "NAME:DOCTOR" in result.out
    assert result.out.endswith("Healthy: every row can be used.\n")


def test_check_names_the_rows_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(BROKEN)
    result = run("check", path)
    assert (result.code, result.err) == (2, "")
    assert "row 2" in result.out
    assert "row 3" in result.out
    assert result.out.endswith("Not healthy: 2 of 4 rows cannot be used as they are.\n")


def test_check_shows_no_more_rows_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(BROKEN)
    assert "Kole" in run("check", path).out
    result = run("check", path, "--rows", 0)
    assert result.code == 2
    assert "Kole" not in result.out


def test_check_prints_json_alone(table: Path, tmp_path: Path) -> None:
    healthy = run("check", table, "--json", "--head", 3)
    assert (healthy.code, healthy.err) == (0, "")
    assert json.loads(healthy.out)["is_healthy"] is True
    path = tmp_path / "pairs.csv"
    path.write_text(BROKEN)
    broken = run("check", path, "--json")
    found = json.loads(broken.out)
    assert (broken.code, broken.err, found["is_healthy"]) == (2, "", False)
    assert {row for finding in found["findings"] for row in finding["rows"]} >= {2, 3}


def test_check_shows_the_first_and_the_last_rows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    names = ["Ames", "Bond", "Cole", "Dale", "Earl"]
    rows = [f"Dr. {name},Dr. {{{{NAME}}}}{name}{{{{/NAME}}}}" for name in names]
    path.write_text("\n".join(["orig_text,annotated_text", *rows]) + "\n")
    shown = run("check", path, "--head", 2, "--tail", 1).out
    assert [name for name in names if f"│ Dr. {name} " in shown] == ["Ames", "Bond", "Earl"]
    assert [name for name in names if f"Dr. {name}" in run("check", path).out] == []


def test_check_compares_with_validation_pairs(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    run("sample", one, "--rows", 20)
    other.write_bytes(one.read_bytes())
    found = json.loads(run("check", one, "--valid", other, "--json").out)
    across = next(finding for finding in found["findings"] if finding["kind"] == "across")
    assert len(across["rows"]) == 20


def test_check_takes_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("fr\ten\nbonjour\thello\nmerci\tthanks\n")
    found = json.loads(run("check", path, "--source", "fr", "--target", "en", "--json").out)
    assert (found["task"], found["rows"]) == ("translate", 2)


def test_check_takes_one_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("orig_text,annotated_text\nDr. Ames,Dr. {{NAME}}Ames{{/NAME}}\n")
    assert run("check", path).code == 0


@pytest.mark.parametrize("given", ["table", "data"])
def test_show_batch_shows_tokens_and_shapes(given: str, request: pytest.FixtureRequest) -> None:
    result = run("show-batch", request.getfixturevalue(given), "--rows", 3, "--model", "gru")
    assert result.code == 0
    assert "<unk:" in result.out
    assert "the largest batch: source (33, " in result.out
    assert result.err.startswith("annotate: 33 training and 7 validation rows;")
    rows = [line for line in result.out.splitlines() if line.split("│")[1:2] != ["     "]]
    assert sum(line.startswith("│") and line.split("│")[1].strip().isdigit() for line in rows) == 3


@pytest.mark.parametrize("options", [(), ("--model", "tagger")])
def test_show_batch_shows_what_a_tagger_sees(options: tuple[str, ...], table: Path) -> None:
    result = run("show-batch", table, "--rows", 3, *options)
    assert result.code == 0
    assert "<unk:" not in result.out
    assert "/S-" in result.out or "/B-" in result.out
    assert "the largest batch: (" in result.out
    assert result.err.startswith("annotate: 33 training and 7 validation rows; ")
    assert "vocabularies" not in result.err


def test_show_batch_refuses_what_training_refuses(table: Path) -> None:
    message = refusal(run("show-batch", table, "--max-vocab", 100))
    assert message.startswith("--max-vocab is for sequence-to-sequence models")
    assert run("show-batch", table, "--max-vocab", 100, "--model", "attention").code == 0
