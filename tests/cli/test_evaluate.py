from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from annoseq._version import __version__
from annoseq.data.markup import parse
from annoseq.data.pairs import read_pairs
from annoseq.data.tables import read_rows
from tests.cli.command import TINY, long_refusal, refusal, run
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path

FREE = ["padded_accuracy", "token_accuracy"]
SPANS = ["span_precision", "span_recall", "span_f1"]
BACKWARDS = ("--source", "annotated_text", "--target", "orig_text", "--task", "translate")
WRITTEN = ["exact_match", "changed", "malformed", "unknown_label", "not_in_text"]


def printed(out: str) -> dict[str, float]:
    """Return the scores that come before the table of labels."""
    lines = out.partition("\n\n")[0].splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines}


@pytest.fixture(scope="module")
def other(shelf: Path) -> Path:
    """Return a table that the model was not trained on."""
    path = shelf / "other.csv"
    run("sample", path, "--rows", 12, "--seed", 9)
    return path


def test_scores_are_printed_and_written(model: Path, other: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    result = run("evaluate", model, other, "--json", path)
    assert (result.code, result.err) == (0, "")
    scores, written = printed(result.out), json.loads(path.read_text())
    assert list(scores)[:7] == [*SPANS, "macro_f1", "character_recall", *FREE]
    assert list(scores)[-1] == "rows"
    assert scores.pop("rows") == written["rows"] == 12
    for name, value in scores.items():
        found = written[name] if name in FREE else written["scores"][name]["value"]
        assert value == pytest.approx(found, abs=5e-5)
    assert {name: written[name] for name in (*SPANS, "exact_match")} == {
        name: written["scores"][name]["value"] for name in (*SPANS, "exact_match")
    }
    assert written["part"] == "all"
    assert __version__ in written["signature"]
    assert "batch:64" in written["signature"]
    assert written["decoding"] == {
        name: "greedy, free" if name in {*FREE, *WRITTEN} else "greedy, faithful"
        for name in (*FREE, *written["scores"])
    }


def test_spans_are_those_that_annotate_finds(model: Path, other: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    assert run("evaluate", model, other, "--json", path).code == 0
    lines = run("annotate", model, other).out.splitlines()
    found = [
        {(one["start"], one["end"], one["label"]) for one in json.loads(line)["spans"]}
        for line in lines
    ]
    gold = [
        {(one.start, one.end, one.label) for one in parse(pair.target)[1]}
        for pair in read_pairs(other)
    ]
    correct = sum(len(one & two) for one, two in zip(found, gold, strict=True))
    written = json.loads(path.read_text())
    precision, recall = correct / max(1, sum(map(len, found))), correct / sum(map(len, gold))
    assert written["span_precision"] == pytest.approx(precision, abs=1e-6)
    assert written["span_recall"] == pytest.approx(recall, abs=1e-6)


def test_of_the_training_table_only_the_kept_rows_are_scored(
    model: Path, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.json"
    result = run("evaluate", model, table, "--json", path)
    assert result.err == f"scoring 7 of 40 rows of {table}: those kept for validation\n"
    written = json.loads(path.read_text())
    assert (written["rows"], written["part"]) == (7, "valid")
    assert written["unseen"]["rows"] <= 7


@pytest.mark.parametrize(("part", "rows"), [("all", 40), ("train", 33), ("valid", 7)])
def test_a_part_may_be_chosen(part: str, rows: int, model: Path, table: Path) -> None:
    result = run("evaluate", model, table, "--part", part)
    assert printed(result.out)["rows"] == rows
    assert ("the model was trained on" in result.err) == (part == "train")


@pytest.mark.parametrize("part", ["train", "valid"])
def test_another_table_has_no_such_part(part: str, model: Path, other: Path) -> None:
    assert refusal(run("evaluate", model, other, "--part", part)) == (
        f"--part {part}: {other} is not the table that the model was trained on. "
        "Leave --part off to score all of its rows."
    )


def test_a_model_with_its_own_validation_table_knows_all_of_the_other(
    table: Path, other: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    run("train", table, "--valid", other, "--out", model, *TINY)
    assert refusal(run("evaluate", model, table)) == (
        f"{table} is the table that the model was trained on, and its validation rows are of "
        "another. Give that one, or score rows that it has seen with --part all."
    )
    assert run("evaluate", model, other).err == ""
    assert run("evaluate", model, table, "--part", "all").code == 0


def test_rows_left_out_in_training_do_not_move_the_split(table: Path, tmp_path: Path) -> None:
    broken, model, out = (tmp_path / name for name in ("broken.csv", "model", "out.jsonl"))
    header, *rows = table.read_text().splitlines()
    bad = '"z","1","Dr. Ames","Dr. {{NAME}}Ames"'
    broken.write_text("\n".join([header, *rows[:9], bad, bad, *rows[9:]]) + "\n")
    split = ("--split-by", "row", "--valid-share", "0.3")
    trained = run("train", broken, "--out", model, "--skip-bad", *split, *TINY)
    assert "28 training and 12 validation rows" in trained.err
    message = long_refusal(run("evaluate", model, broken))
    assert message.startswith(f"{broken}: 2 of 42 rows cannot be used:\n  row 10: ")
    result = run("evaluate", model, broken, "--skip-bad", "--out", out)
    assert result.err.splitlines() == [
        "2 rows cannot be used and were left out (--skip-bad)",
        f"scoring 12 of 42 rows of {broken}: those kept for validation",
    ]
    assert len(list(read_rows(out, columns=["source"], keys=["row"]))) == 12


def test_predictions_are_shown_beside_their_targets(model: Path, other: Path) -> None:
    shown = run("evaluate", model, other, "--show", 2).out
    assert all(name in shown for name in ("row", "source", "target", "output"))
    assert [n for n in range(1, 13) if f"│ {n:3d} │" in shown] == [1, 2]
    assert "│" not in run("evaluate", model, other, "--show", 0).out


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_predictions_are_written(suffix: str, model: Path, other: Path, tmp_path: Path) -> None:
    out = tmp_path / f"predictions{suffix}"
    assert run("evaluate", model, other, "--out", out).code == 0
    rows = list(read_rows(out, columns=["source", "target", "output"], keys=["row"]))
    assert [(int(row.values["row"]), row.values["source"]) for row in rows] == [
        (pair.row, pair.source) for pair in read_pairs(other)
    ]


def test_a_translator_is_scored(other: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    run("train", other, "--out", model, *BACKWARDS, *TINY)
    result = run("evaluate", model, other)
    assert result.code == 0
    names = list(printed(result.out))
    assert names == [*FREE, "exact_match", "rows"]
    assert "those kept for validation" in result.err


@pytest.fixture(scope="module")
def backwards(shelf: Path, other: Path) -> Path:
    """Return a model of the reverse direction."""
    path = shelf / "backwards"
    assert run("train", other, "--out", path, *BACKWARDS, *TINY).code == 0
    return path


def test_a_model_remembers_its_columns(backwards: Path, other: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = run("evaluate", backwards, other, "--part", "all", "--out", out)
    note = result.err.splitlines()[0]
    assert note == (
        "columns: 'annotated_text' as the source and 'orig_text' as the target, as the model was "
        "trained (--source and --target name others)"
    )
    rows = list(read_rows(out, columns=["source"]))
    assert [row.values["source"] for row in rows] == [pair.target for pair in read_pairs(other)]
    told = ("--source", "orig_text", "--target", "annotated_text")
    result = run("evaluate", backwards, other, "--out", out, "--overwrite", *told)
    assert (result.code, result.err) == (0, "")
    rows = list(read_rows(out, columns=["source"]))
    assert [row.values["source"] for row in rows] == [pair.source for pair in read_pairs(other)]


def test_annotate_reads_the_column_that_the_model_was_trained_on(
    backwards: Path, other: Path
) -> None:
    result = run("annotate", backwards, other)
    columns, cut = result.err.splitlines()
    assert columns == "column: 'annotated_text', as the model was trained (--column names another)"
    assert re.fullmatch(
        r"\d+ of 12 outputs were cut at the limit of their length; `problem` says why", cut
    )
    texts = [json.loads(line)["text"] for line in result.out.splitlines()]
    assert texts == [pair.target for pair in read_pairs(other)]
    told = run("annotate", backwards, other, "--column", "orig_text")
    assert "column:" not in told.err
    assert json.loads(told.out.splitlines()[0])["text"] == read_pairs(other)[0].source


def test_training_goes_on_with_the_columns_of_the_model(
    backwards: Path, other: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    result = run("train", other, "--out", out, "--go-on-from", backwards, "--epochs", 1)
    assert result.code == 0, result
    assert result.err.startswith("columns: 'annotated_text' as the source and 'orig_text'")
    assert json.loads((out / "config.json").read_text())["columns"]["source"] == "annotated_text"


def test_the_document_column_of_the_model_may_be_absent(table: Path, tmp_path: Path) -> None:
    own, model, bare = tmp_path / "own.csv", tmp_path / "model", tmp_path / "bare.csv"
    own.write_text(table.read_text().replace("doc_id", "patient", 1))
    assert run("train", own, "--document", "patient", "--out", model, *TINY).code == 0
    assert "those kept for validation" in run("evaluate", model, own).err
    bare.write_text("orig_text,annotated_text\nDr. Ames,Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}\n")
    assert run("evaluate", model, bare).code == 0


def test_labels_that_the_model_does_not_know_are_told(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("orig_text,annotated_text\nDr. Ames,Dr. {{PERSON}}Ames{{/PERSON}}\n")
    result = run("evaluate", model, table)
    assert result.code == 0
    assert result.err.startswith(
        "warning: the table and the model have no label in common, so that all scores of labels "
        "are 0: the table has PERSON, and the model "
    )
    assert result.err.endswith("`annoseq import --map` renames labels.\n")


def test_a_report_tells_of_the_model(model: Path, other: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    path, picture = tmp_path / "report.html", tmp_path / "curves.svg"
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    json_path = tmp_path / "scores.json"
    arguments = ("--report", path, "--pictures", picture, "--json", json_path)
    assert run("evaluate", model, other, *arguments).code == 0
    html = path.read_text(encoding="utf-8")
    assert "<h3>Model card</h3>" in html
    assert "data:image/svg+xml;base64," in html
    shown = dict(re.findall(r'data-all="([a-z_0-9]+)">([0-9.]+)<', html))
    scores = json.loads(json_path.read_text())["scores"]
    assert {name: float(value) for name, value in shown.items()} == {
        name: one["value"] for name, one in scores.items()
    }


def test_a_folder_without_a_card_is_reported_on(model: Path, other: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    bare = shutil.copytree(model, tmp_path / "bare")
    (bare / "card.md").unlink()
    result = run("evaluate", bare, other, "--report", tmp_path / "report.html")
    assert result.code == 0, result
    assert "Model card" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_card_that_cannot_be_read_is_told_before_the_work(
    model: Path, other: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    bad = shutil.copytree(model, tmp_path / "bad")
    (bad / "card.md").unlink()
    (bad / "card.md").mkdir()
    assert refusal(run("evaluate", bad, other, "--report", tmp_path / "report.html")) == (
        f"{bad}: card.md is not a regular file. Copy the whole folder again, or train again."
    )


@pytest.mark.parametrize(
    ("options", "size"), [((), 256), (("--batch-size", 7), 7), (("--batch-tokens", 512), 64)]
)
def test_the_signature_names_the_batches_that_a_tagger_reads(
    other: Path, tmp_path: Path, options: tuple[str | int, ...], size: int
) -> None:
    folder = tmp_path / "tagger"
    random_annotator("flat tagger").model.save(folder, card="")
    path = tmp_path / "scores.json"
    assert run("evaluate", folder, other, "--json", path, *options).code == 0
    assert json.loads(path.read_text())["signature"].endswith(f"|batch:{size}")


def test_nothing_is_begun_that_could_not_be_written(
    model: Path, other: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    assert "exists already" in refusal(run("evaluate", model, other, "--report", path))
    assert "must end in .png or .svg" in refusal(
        run("evaluate", model, other, "--pictures", tmp_path / "curves.pdf")
    )
    assert path.read_text() == "mine"


def test_rows_of_another_table_are_known_by_its_texts(
    model: Path, table: Path, other: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.json"
    assert run("evaluate", model, other, "--seen", other, "--json", path).code == 0
    assert "unseen" not in json.loads(path.read_text())


def test_a_tagger_writes_nothing_freely(table: Path, other: Path, tmp_path: Path) -> None:
    model, path, out = (tmp_path / name for name in ("model", "scores.json", "found.jsonl"))
    small = ("--tagger.hidden", "8", "--tagger.embedding", "8", "--epochs", "1", "--device", "cpu")
    trained = run("train", table, "--out", model, "--model", "tagger", *small)
    assert trained.code == 0, trained.err
    result = run("evaluate", model, other, "--json", path, "--out", out)
    assert result.code == 0, result.err
    written = json.loads(path.read_text())
    assert not set(FREE) & (set(written) | set(printed(result.out)))
    assert set(written["decoding"].values()) == {"tagger"}
    assert written["scores"]["changed"]["value"] == written["scores"]["malformed"]["value"] == 0
    assert len(list(read_rows(out, columns=["source", "target", "output"], keys=["row"]))) == 12
