"""What a user does with `annoseq redact`."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import SECRET, refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "\ufeffDear Dr. Ames:\r\n\r\nSeen 12 March 2010.  {{NAME}}\rBye Ames 👩‍⚕️"
SMALL = ("--model", "gru", "--gru.embedding", "8", "--gru.hidden", "8", "--epochs", "1")
PATTERNS = "[doctor]\nlabel = 'NAME:DOCTOR'\npattern = 'Dr\\. (?P<value>\\w+)'\n"

ONLY_PATTERNS = ("--patterns", "patterns.toml", "--min-score", 1)
"""A tiny model finds anything anywhere; what a pattern finds is known."""


@pytest.fixture(scope="module")
def model(shelf: Path, table: Path) -> Path:
    """Return a model of the sample table."""
    path = shelf / "marker"
    assert run("train", table, "--out", path, "--device", "cpu", *SMALL).code == 0
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with notes, patterns, a key and a table."""
    (tmp_path / "notes" / "sub").mkdir(parents=True)
    (tmp_path / "notes" / "a.txt").write_bytes(NOTE.encode())
    (tmp_path / "notes" / "sub" / "b.txt").write_text(f"Dr. {SECRET}")
    (tmp_path / "patterns.toml").write_text(PATTERNS)
    (tmp_path / "key").write_text("0123456789abcdef")
    (tmp_path / "new.csv").write_text("doc_id,orig_text\n1,Dr. Ames\n1,Ames\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("style", ["label", "mask", "surrogate"])
def test_notes_become_clean(style: str, here: Path, model: Path) -> None:
    before = snapshot(here / "notes")
    options = ("--with", style, *ONLY_PATTERNS, "--mapping", "map.jsonl")
    result = run("redact", model, "notes", "--out", "clean", *options)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("wrote clean\n")
    assert snapshot(here / "notes") == before
    made = snapshot(here / "clean")
    names = {"annotations.jsonl", "report.json", "config.json"}
    assert made.keys() == before.keys() | names
    assert SECRET not in (here / "clean" / "sub" / "b.txt").read_text()
    assert b"Ames" not in made["a.txt"]
    assert made["a.txt"].startswith("\ufeff".encode())
    for line in made["annotations.jsonl"].decode().splitlines():
        record = json.loads(line)
        assert made[record["id"]].decode() == record["text"]
        for span in record["spans"]:
            assert record["text"][span["start"] : span["end"]] == span["text"]
    report = json.loads(made["report.json"])
    assert report["documents"] == 2
    assert report["labels"]["NAME:DOCTOR"] | {"without_surrogate": 0} == {
        "replaced": 3,
        "model": 0,
        "pattern": 2,
        "propagated": 1,
        "without_surrogate": 0,
        "lowest_scores": [],
    }
    assert report["below_min_score"] > 0
    assert SECRET.encode() not in made["report.json"] + made["annotations.jsonl"]
    assert stat.S_IMODE((here / "map.jsonl").stat().st_mode) == 0o600
    assert SECRET in (here / "map.jsonl").read_text()


def test_a_table_becomes_a_table_and_is_compared_with_gold(here: Path, model: Path) -> None:
    gold = "doc_id,orig_text,annotated_text\n1,Dr. Ames,Dr. {{NAME}}Ames{{/NAME}}\n1,Ames,Ames\n"
    (here / "gold.csv").write_text(gold)
    options = (*ONLY_PATTERNS, "--gold", "gold.csv")
    result = run("redact", model, "new.csv", "--out", "clean", *options)
    assert (result.code, result.err) == (0, "")
    assert "100.0 % of 1 documents without a missed identifier" in result.out
    label = "[NAME:DOCTOR]"
    expected = f'"doc_id","orig_text"\n"1","Dr. {label}"\n"1","{label}"\n'
    assert (here / "clean" / "new.csv").read_text() == expected
    again = run("redact", model, "new.csv", "--out", "clean", *options, "--overwrite")
    assert again.code == 0


def test_a_key_makes_runs_the_same(here: Path, model: Path) -> None:
    options = ("--with", "surrogate", *ONLY_PATTERNS)
    for name in ("one", "two"):
        key = ("--key", "key", "--consistent")
        assert run("redact", model, "notes", "--out", name, *options, *key).code == 0
    assert run("redact", model, "notes", "--out", "other", *options).code == 0
    one, two, other = (snapshot(here / name)["a.txt"] for name in ("one", "two", "other"))
    assert one == two != other


def test_a_pipe_is_one_text(here: Path, model: Path) -> None:
    result = run("redact", model, "-", "--out", "clean", *ONLY_PATTERNS, stdin=b"Dr. Ames")
    assert (result.code, result.err) == (0, "")
    assert (here / "clean" / "standard-input.txt").read_bytes() == b"Dr. [NAME:DOCTOR]"


def test_what_the_model_finds_is_replaced(here: Path, model: Path) -> None:
    assert run("redact", model, "notes", "--out", "clean").code == 0
    report = json.loads((here / "clean" / "report.json").read_bytes())
    assert report["replaced"] > 0
    for row in report["labels"].values():
        scores = [one["score"] for one in row["lowest_scores"]]
        assert scores == sorted(scores)
        assert len(scores) == min(5, row["model"])


MESSAGES = {
    "--out notes": "--out notes and notes, which is read, lie in each other. Name a folder apart.",
    "--out notes/x": (
        "--out notes/x and notes, which is read, lie in each other. Name a folder apart."
    ),
    "--out . --overwrite": (
        "--out . and notes, which is read, lie in each other. Name a folder apart."
    ),
    "--out clean --mapping clean/map": (
        "--mapping clean/map is inside --out clean, and it undoes the redaction. Keep it elsewhere."
    ),
    "--out clean --mapping key --key key --overwrite": (
        "--mapping key is read by this command. Choose another name."
    ),
    "--out clean --consistent": (
        "--consistent gives a value the same surrogate in every document, by the secret of --key. "
        "Give --key FILE."
    ),
    "--out clean --column x": "--column belongs to a table, and the input is text. Leave it off.",
    "--out clean --document x": (
        "--document belongs to a table, and the input is text. Leave it off."
    ),
    "--out clean --with blur": "--with: found 'blur'. Give one of label, mask, surrogate.",
    "--out clean --min-score 2": "--min-score: found '2'. Give a number from 0 to 1.",
    "--out new.csv --overwrite": (
        "new.csv was not written by annoseq, so that --overwrite does not replace it. "
        "Choose another name, or remove it first."
    ),
}


@pytest.mark.parametrize("options", MESSAGES)
def test_what_is_refused(options: str, here: Path, model: Path) -> None:
    before = snapshot(here)
    assert refusal(run("redact", model, "notes", *options.split())) == MESSAGES[options]
    assert snapshot(here) == before


def test_an_unmapped_label_is_named_before_any_work(here: Path, model: Path) -> None:
    (here / "pets.toml").write_text("[pet]\nlabel = 'PET'\npattern = 'Rex'\n")
    message = refusal(run("redact", model, "notes", "--out", "clean", "--patterns", "pets.toml"))
    assert message.startswith("the label 'PET' has no PHI type yet.")
    (here / "table.toml").write_text("[labels]\nPET = 'label'\n")
    options = ("--patterns", "pets.toml", "--phi-types", "table.toml")
    assert run("redact", model, "notes", "--out", "clean", *options).code == 0


def test_a_failure_leaves_nothing(here: Path, model: Path) -> None:
    (here / "notes" / "z.txt").write_bytes(b"x\xff")
    before = snapshot(here)
    message = refusal(run("redact", model, "notes", "--out", "clean", "--mapping", "map"))
    assert message.startswith("notes/z.txt: found the byte 0xFF at offset 1")
    assert snapshot(here) == before


def test_a_translator_is_refused(here: Path, shelf: Path, table: Path) -> None:
    path = shelf / "backwards"
    columns = ("--source", "annotated_text", "--target", "orig_text")
    assert run("train", table, "--out", path, *columns, *SMALL).code == 0
    message = refusal(run("redact", path, "notes", "--out", "clean"))
    assert message == (
        f"{path}: this model writes texts of its own and marks nothing. Give a model that "
        "annotates."
    )
