"""`annoseq redact`, as its users run it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annoseq.data.tables import write_rows
from annoseq.inference.resumable_output import ResumableOutput
from tests.cli.command import SECRET, copy_with_column, refusal, run, snapshot, write_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Result

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
    write_key(tmp_path / "key", "0123456789abcdef" * 2)
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
    assert report["labels"]["NAME:DOCTOR"] == {
        "type": "name",
        "action": style,
        "replaced": 3,
        "model": 0,
        "pattern": 2,
        "propagated": 1,
        "fallback": 0,
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
    assert "100.0 % of 1 document without a missed identifier" in result.out
    label = "[NAME:DOCTOR]"
    expected = f'"doc_id","orig_text"\n"1","Dr. {label}"\n"1","{label}"\n'
    assert (here / "clean" / "new.csv").read_text() == expected
    again = run("redact", model, "new.csv", "--out", "clean", *options, "--overwrite")
    assert again.code == 0


def test_words_that_are_lost_are_listed_if_asked_for(here: Path, model: Path) -> None:
    gold = (
        "doc_id,orig_text,tagged\n1,Dr. Ames,{{NAME:DOCTOR}}Dr.{{/NAME:DOCTOR}} Ames\n1,Ames,Ames\n"
    )
    (here / "gold.csv").write_text(gold)
    options = (*ONLY_PATTERNS, "--gold", "gold.csv", "--gold-column", "tagged")
    result = run("redact", model, "new.csv", "--out", "clean", *options, "--lost-words", 3)
    assert (result.code, result.err) == (0, "")
    assert "over-redaction: 100.00 % of 2 other tokens replaced" in result.out
    assert "ames" not in result.out
    leaks = json.loads((here / "clean" / "report.json").read_bytes())["leaks"]
    assert leaks["lost_words"] == [{"word": "ames", "lost": 2, "kept": 0}]
    run("redact", model, "new.csv", "--out", "quiet", *options)
    assert b"ames" not in (here / "quiet" / "report.json").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--out", "x", "--lost-words", 3),
            "--lost-words is about the gold, and there is none. Give --gold too.",
        ),
        (
            ("--out", "x", "--gold-column", "y"),
            "--gold-column is about the gold, and there is none. Give --gold too.",
        ),
        (
            ("--out", "-", "--gold", "gold.csv", "--lost-words", 3),
            "--lost-words lists words of the texts in report.json, and a pipe has none. Write to a "
            "folder with --out.",
        ),
    ],
)
def test_options_of_the_gold_need_it(
    options: tuple[object, ...], message: str, here: Path, model: Path
) -> None:
    assert refusal(run("redact", model, "new.csv", *options)) == message


def test_gold_is_read_from_the_columns_of_the_model(here: Path) -> None:
    pairs = "note,tagged\n" + "Dr. Ames,Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}\n" * 8
    (here / "named.csv").write_text(pairs)
    columns = ("--source", "note", "--target", "tagged")
    trained = run("train", "named.csv", "--out", "named", "--device", "cpu", *SMALL, *columns)
    assert trained.code == 0, trained
    options = (*ONLY_PATTERNS, "--gold", "named.csv")
    result = run("redact", "named", "named.csv", "--out", "clean", *options)
    assert result.code == 0, result
    assert "100.0 % of 8 documents without a missed identifier" in result.out


def test_a_key_makes_runs_the_same(here: Path, model: Path) -> None:
    options = ("--with", "surrogate", *ONLY_PATTERNS)
    for name in ("one", "two"):
        key = ("--key", "key", "--scope", "corpus")
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
    "--out clean --with surrogate --scope corpus": (
        "surrogates that are the same in all documents of a corpus follow from the secret of "
        "--key, in later runs, too. Give --key FILE."
    ),
    "--out clean --with surrogate --patient-from .": (
        "surrogates that are the same in all documents of a patient follow from the secret of "
        "--key, in later runs, too. Give --key FILE."
    ),
    "--out clean --with surrogate --key key --scope corpus --patient-from .": (
        "--scope and --patient both say where a value has one surrogate. Leave one of them off."
    ),
    "--out clean --no-propagate --patient-from .": (
        "--patient: the policy label writes no surrogates and shifts no dates. Leave it off, or "
        "add --with surrogate."
    ),
    "--out clean --locale es_ES": (
        "--locale: the policy label writes no surrogates and shifts no dates. Leave it off, or add "
        "--with surrogate."
    ),
    "--out clean --with mask --shift-by weeks": (
        "--shift-by: the policy mask writes no surrogates and shifts no dates. Leave it off, or "
        "add --with surrogate."
    ),
    "--out clean --guard-words words --no-propagate": (
        "--guard-words: words are guarded from propagation, which --no-propagate turns off. Leave "
        "one of them off."
    ),
    "--out clean --with mask --surrogates random": (
        "--surrogates: the policy mask writes no surrogates and shifts no dates. Leave it off, or "
        "add --with surrogate."
    ),
    "--out clean --patient x": "--patient belongs to a table, and the input is text. Leave it off.",
    "--out clean --patient x --patient-from x": (
        "--patient and --patient-from are two ways to tell whose note a row is. Leave one of them "
        "off."
    ),
    "--out clean --patient-from (": (
        "--patient-from: this is not a regular expression: missing ) at position 1. Write one that "
        "finds the patient in the id of a document, such as '^(\\d+)_'."
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
    (here / "table.toml").write_text("[labels]\nPET = 'other'\n")
    options = ("--patterns", "pets.toml", "--phi-types", "table.toml")
    assert run("redact", model, "notes", "--out", "clean", *options).code == 0


def test_a_failure_leaves_nothing(here: Path, model: Path) -> None:
    (here / "notes" / "z.txt").write_bytes(b"x\xff")
    before = snapshot(here)
    message = refusal(run("redact", model, "notes", "--out", "clean", "--mapping", "map"))
    assert message.startswith("notes/z.txt: line 1: found the byte 0xFF at offset 1")
    assert snapshot(here) == before


def test_a_translator_is_refused(here: Path, shelf: Path, table: Path) -> None:
    path = shelf / "translator-to-redact"
    columns = ("--source", "annotated_text", "--target", "orig_text", "--task", "translate")
    assert run("train", table, "--out", path, *columns, *SMALL).code == 0
    message = refusal(run("redact", path, "notes", "--out", "clean"))
    assert message == (
        f"{path}: this model writes texts of its own and marks nothing. Give a model that "
        "annotates."
    )


KEYED = ("--with", "surrogate", "--key", "key", *ONLY_PATTERNS)


@pytest.fixture
def many(here: Path) -> Path:
    """Return a table of 60 rows in 20 documents."""
    names = ("Ames", "Bell", "Cole", "Dean", "Ellis", "Ford")
    rows = [
        f"{row // 3},2010-01-{row % 28 + 1:02},Dr. {names[row % 6]} saw {row}" for row in range(60)
    ]
    (here / "many.csv").write_text("doc_id,day,orig_text\n" + "\n".join(rows) + "\n")
    return here / "many.csv"


def interrupted(
    monkeypatch: pytest.MonkeyPatch, *arguments: object, after: int, error: type[BaseException]
) -> Result:
    """Run `annoseq redact`, with an error after some chunks are written."""
    chunks = 0
    add = ResumableOutput.add

    def fail(self: ResumableOutput, chunk: Any, progress: Any) -> None:
        nonlocal chunks
        chunks += 1
        if chunks > after:
            raise error
        add(self, chunk, progress)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableOutput, "add", fail)
        return run("redact", *arguments)


@pytest.mark.parametrize("options", [(), ("--mapping", "map.jsonl"), ("--keep-columns",)])
def test_an_interrupted_run_is_resumed(
    options: tuple[str, ...],
    here: Path,
    many: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = (model, many, *KEYED, "--chunk-size", 9, *options)
    whole = run("redact", *arguments, "--out", "whole")
    assert whole.code == 0
    expected = snapshot(here / "whole")
    mapping = (here / "map.jsonl").read_bytes() if "--mapping" in options else None
    (here / "map.jsonl").unlink(missing_ok=True)
    begun = interrupted(monkeypatch, *arguments, "--out", "clean", after=3, error=KeyboardInterrupt)
    assert begun.code == 130
    assert begun.err.endswith(
        "interrupted after 27 texts. Add --resume to the same command to go on.\n"
    )
    assert not (here / "clean").exists()
    assert not (here / "map.jsonl").exists()
    journal = (here / "clean.partial" / "output").read_text()
    assert ("Ames" in journal) == ("--mapping" in options)
    refused = refusal(run("redact", *arguments, "--out", "clean"))
    assert refused.startswith("clean.partial is an interrupted run. Add --resume to go on with it")
    resumed = run("redact", *arguments, "--out", "clean", "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert snapshot(here / "clean") == expected
    assert resumed.out.replace("wrote clean", "wrote whole") == whole.out
    if mapping is not None:
        assert (here / "map.jsonl").read_bytes() == mapping
    assert not (here / "clean.partial").exists()


def test_a_run_is_resumed_only_under_its_plan(
    here: Path, many: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (model, many, *ONLY_PATTERNS, "--chunk-size", 9, "--out", "clean")
    keyed = ("--with", "surrogate", "--key", "key")
    interrupted(monkeypatch, *arguments, *keyed, after=3, error=KeyboardInterrupt)
    before = snapshot(here)
    write_key(here / "other", "another key of very many bytes indeed")
    for options, problem in {
        ("--with", "surrogate", "--key", "other"): "was begun with key",
        ("--with", "mask"): "was begun with policy 'surrogate', and now it is 'mask'",
        ("--no-propagate",): "was begun with propagate True",
        ("--mapping", "map.jsonl"): "was begun with mapping False",
        ("--keep-columns", "day"): "was begun with keep_columns None",
        ("--locale", "es_ES"): "was begun with locale 'en_US'",
    }.items():
        style = () if "--with" in options else keyed
        assert problem in refusal(run("redact", *arguments, "--resume", *options, *style))
    (here / "other").unlink()
    assert snapshot(here) == before
    many.write_text(many.read_text().replace("Bell", "Bull"))
    message = refusal(run("redact", *arguments, *keyed, "--resume"))
    assert message.startswith(
        "the input does not begin with the 27 texts that the interrupted run redacted. "
        "Give it the same input"
    )


def test_a_run_with_a_forgotten_secret_leaves_nothing_and_is_not_resumed(
    here: Path, many: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (model, many, "--with", "surrogate", *ONLY_PATTERNS, "--out", "clean")
    before = snapshot(here)
    chunks = ("--chunk-size", 9)
    interrupted(monkeypatch, *arguments, *chunks, after=3, error=KeyboardInterrupt)
    assert snapshot(here) == before
    message = refusal(run("redact", *arguments, "--resume"))
    assert message.startswith("--resume needs the secret of the interrupted run")


def test_a_journal_belongs_to_its_owner_alone(
    here: Path, many: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (model, many, *ONLY_PATTERNS, "--chunk-size", 9, "--out", "clean")
    interrupted(monkeypatch, *arguments, after=3, error=KeyboardInterrupt)
    partial = here / "clean.partial"
    assert stat.S_IMODE(partial.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE((partial / "output").stat().st_mode) & 0o077 == 0


BAD = b'doc_id,orig_text\n1,Dr. Ames\n1,Dr. \xff\n2,"Dr. Bell",x\n3,Dr. Cole\n'


def test_bad_rows_are_left_out_and_counted(here: Path, model: Path) -> None:
    (here / "bad.csv").write_bytes(BAD)
    arguments = ("redact", model, "bad.csv", "--out", "clean", *ONLY_PATTERNS)
    assert "row 2" in refusal(run(*arguments))
    result = run(*arguments, "--skip-bad")
    assert result.code == 0
    assert result.err.startswith("2 could not be read and were left out (--skip-bad):\n  bad.csv: ")
    label = "[NAME:DOCTOR]"
    written = (here / "clean" / "bad.csv").read_text()
    assert written == f'"doc_id","orig_text"\n"1","Dr. {label}"\n"3","Dr. {label}"\n'
    assert json.loads((here / "clean" / "report.json").read_bytes())["left_out"] == 2


def test_rows_without_gold_are_left_out_and_counted(here: Path, model: Path) -> None:
    (here / "rows.csv").write_text("orig_text\nDr. Ames\nDr. Bell\nDr. Cole\nDr. Dean\n")
    gold = (
        "orig_text,annotated_text\nDr. Ames,Dr. {{NAME}}Ames{{/NAME}}\nDr. Bell,Dr. Bull\n"
        "Dr. Kohl,Dr. Kohl\n"
    )
    (here / "gold.csv").write_text(gold)
    arguments = (
        "redact",
        model,
        "rows.csv",
        "--out",
        "clean",
        "--gold",
        "gold.csv",
        *ONLY_PATTERNS,
    )
    refusal(run(*arguments))
    result = run(*arguments, "--skip-bad")
    assert result.code == 0
    assert "3 could not be read" in result.err
    assert SECRET not in result.err
    report = json.loads((here / "clean" / "report.json").read_bytes())
    assert (report["texts"], report["left_out"], report["leaks"]["missed"]) == (1, 3, 0)


def test_a_row_of_a_table_that_is_its_own_gold_is_left_out_once(here: Path, model: Path) -> None:
    pair = '{"orig_text": "Dr. Ames", "annotated_text": "Dr. {{NAME}}Ames{{/NAME}}"}\n'
    bad = (
        '{"orig_text": null, "annotated_text": "x"}\n',
        '{"orig_text": "x", "annotated_text": 1}\n',
    )
    (here / "g.jsonl").write_text(pair + "".join(bad) + pair)
    options = ("--gold", "g.jsonl", "--skip-bad", *ONLY_PATTERNS)
    result = run("redact", model, "g.jsonl", "--out", "clean", *options)
    assert result.code == 0
    notes = result.err.splitlines()
    assert notes[0] == "2 could not be read and were left out (--skip-bad):"
    assert [note.split(" (line")[0] for note in notes[1:]] == [
        "  g.jsonl: row 2",
        "  g.jsonl: row 3",
    ]
    report = json.loads((here / "clean" / "report.json").read_bytes())
    assert (report["texts"], report["left_out"]) == (2, 2)


def test_files_that_cannot_be_read_are_left_out(here: Path, model: Path) -> None:
    (here / "notes" / "z.txt").write_bytes(b"x\xff")
    result = run("redact", model, "notes", "--out", "clean", "--skip-bad", *ONLY_PATTERNS)
    assert (result.code, "1 could not be read" in result.err) == (0, True)
    assert not (here / "clean" / "z.txt").exists()


def test_a_text_or_a_table_goes_to_standard_output(here: Path, model: Path) -> None:
    label = "[NAME:DOCTOR]"
    result = run("redact", model, "-", "--out", "-", *ONLY_PATTERNS, stdin=b"Dr. Ames\r\n")
    assert (result.code, result.out) == (0, f"Dr. {label}\r\n")
    assert "replaced 1 span in 1 document" in result.err
    result = run("redact", model, "new.csv", "--out", "-", *ONLY_PATTERNS, "--mapping", "map")
    assert result.out == f'"doc_id","orig_text"\n"1","Dr. {label}"\n"1","{label}"\n'
    assert len((here / "map").read_text().splitlines()) == 2
    marked = run("redact", model, "new.csv", "--out", "-", *ONLY_PATTERNS, "--bom")
    assert marked.out == f"\ufeff{result.out}"
    assert run("redact", model, "new.csv", "--out", "clean", *ONLY_PATTERNS, "--bom").code == 0
    assert (here / "clean" / "new.csv").read_bytes() == marked.out.encode()
    piped = ("--input-format", "jsonl", *ONLY_PATTERNS)
    row = b'{"orig_text": "Dr. Ames"}\n'
    result = run("redact", model, "-", "--out", "-", *piped, stdin=row)
    assert result.out == f'{{"orig_text": "Dr. {label}"}}\n'
    assert {path.name for path in here.iterdir()} >= {"notes", "map"}
    assert not (here / "-").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("notes", "--out", "-"), "--out - is one stream, and the input is a folder of texts."),
        (("new.csv", "--out", "-", "--resume"), "--resume goes on with the interrupted run"),
        (
            ("-", "--input-format", "parquet", "--out", "-"),
            "--out - is a stream, and a Parquet table is a file.",
        ),
        (
            ("-", "--input-format", "xlsx", "--out", "-"),
            "--out - is a stream, and an Excel workbook is a file.",
        ),
        (("notes", "--out", "clean", "--bom"), "--bom is for CSV, and the input is text."),
        (
            ("-", "--input-format", "jsonl", "--out", "clean", "--bom"),
            "--bom is for CSV, and the table is JSONL. Leave it off.",
        ),
        (
            ("new.csv", "--out", "clean.xlsx"),
            "--out clean.xlsx is the name of a table, and this command writes a folder: the",
        ),
        (
            ("notes", "--out", "clean", "--keep-columns"),
            "--keep-columns belongs to a table, and the input is text.",
        ),
        (
            ("new.csv", "--out", "clean", "--keep-columns", "orig_text"),
            "--keep-columns orig_text: this is the column that is redacted.",
        ),
        (
            ("new.csv", "--out", "clean", "--keep-columns", "visit"),
            "new.csv: there is no column 'visit'.",
        ),
    ],
)
def test_a_stream_or_column_that_cannot_be_is_refused(
    arguments: tuple[str, ...], problem: str, here: Path, model: Path
) -> None:
    before = snapshot(here)
    assert refusal(run("redact", model, *arguments)).startswith(problem)
    assert snapshot(here) == before


def test_a_table_is_read_from_the_column_that_the_model_was_trained_on(
    here: Path, model: Path
) -> None:
    copy_with_column(model, here / "model", "note")
    (here / "notes.csv").write_text("note,other\nDr. Ames,Dr. Bo\n")
    arguments = ("redact", "model", "notes.csv", *ONLY_PATTERNS, "--out")
    result = run(*arguments, "clean")
    assert result.err == "column: 'note', as the model was trained (--column names another)\n"
    assert (here / "clean" / "notes.csv").read_text() == '"note"\n"Dr. [NAME:DOCTOR]"\n'
    result = run(*arguments, "other", "--column", "other")
    assert (result.code, result.err) == (0, "")
    assert (here / "other" / "notes.csv").read_text() == '"other"\n"Dr. [NAME:DOCTOR]"\n'
    result = run(*arguments, "third", "--keep-columns", "note")
    assert result.err.endswith(
        "annoseq: --keep-columns note: this is the column that is redacted. Leave it off.\n"
    )
    assert run("redact", "model", "notes", *ONLY_PATTERNS, "--out", "texts").err == ""


OTHERS = '{"patient": 7, "orig_text": "Dr. Ames", "seen": {"on": [1, null]}, "day": "12 May"}\n'


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("--keep-columns",), '"patient": 7, "seen": {"on": [1, null]}, "day": "12 May"'),
        (("--keep-columns", "day", "patient"), '"patient": 7, "day": "12 May"'),
    ],
)
def test_other_columns_travel(options: tuple[str, ...], kept: str, here: Path, model: Path) -> None:
    (here / "rows.jsonl").write_text(OTHERS)
    result = run("redact", model, "rows.jsonl", "--out", "clean", *ONLY_PATTERNS, *options)
    assert (result.code, result.err) == (0, "")
    written = (here / "clean" / "rows.jsonl").read_text()
    assert written == f'{{"orig_text": "Dr. [NAME:DOCTOR]", {kept}}}\n'


def test_other_columns_of_csv_parquet_and_excel_travel(here: Path, model: Path) -> None:
    (here / "rows.csv").write_text("patient,doc_id,orig_text,day\n007,a,Dr. Ames,\n008,b,Ames,x\n")
    options = (*ONLY_PATTERNS, "--keep-columns")
    assert run("redact", model, "rows.csv", "--out", "clean", *options).code == 0
    assert (here / "clean" / "rows.csv").read_text() == (
        '"doc_id","orig_text","patient","day"\n'
        '"a","Dr. [NAME:DOCTOR]","007",""\n"b","Ames","008","x"\n'
    )
    table = pa.table({"n": [7, None], "orig_text": ["Dr. Ames", "Ames"], "f": [0.5, None]})
    pq.write_table(table, here / "rows.parquet")
    assert run("redact", model, "rows.parquet", "--out", "other", *options).code == 0
    assert pq.read_table(here / "other" / "rows.parquet").to_pylist() == [
        {"orig_text": "Dr. [NAME:DOCTOR]", "n": 7, "f": "0.5"},
        {"orig_text": "Ames", "n": None, "f": None},
    ]
    rows = [("=1 Dr. Ames", 7, "12 May"), ("Dr. Bo", 8, "")]
    columns = {"orig_text": str, "n": int, "day": str}
    write_rows(rows, here / "rows.xlsx", columns=columns, overwrite=False)
    assert run("redact", model, "rows.xlsx", "--out", "third", *options).code == 0
    sheet = openpyxl.load_workbook(here / "third" / "rows.xlsx").active
    assert list(sheet.values) == [
        ("orig_text", "n", "day"),
        ("=1 Dr. [NAME:DOCTOR]", 7, "12 May"),
        ("Dr. [NAME:DOCTOR]", 8, None),
    ]
    assert sheet["A2"].data_type == "s"


HOLD = """
import sys, time
from pathlib import Path
from annoseq.output_lock import OutputLock

with OutputLock(Path("clean")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("options", [(), ("--overwrite",), ("--resume",)])
def test_a_second_process_is_refused_while_the_first_lives(
    options: tuple[str, ...], here: Path, model: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, cwd=here) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        message = refusal(run("redact", model, "notes", "--out", "clean", *options))
        holder.kill()
    assert str(holder.pid) in message
    assert "clean" in message
    assert not (here / "clean").exists()
    assert run("redact", model, "notes", "--out", "clean", *ONLY_PATTERNS).code == 0
    assert not (here / ".clean.lock").exists()
