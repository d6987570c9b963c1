"""`annoseq certify`, and what its certificate does."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from tests.calibrated import calibrated_model, pairs
from tests.cli.command import refusal, run
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def cautious(shelf: Path) -> Path:
    calibrated_model(is_cautious=True, rows=160).save(shelf / "certified", card="card")
    return shelf / "certified"


@pytest.fixture(scope="module")
def rows(shelf: Path) -> Path:
    write_pairs(Pairs(pairs(), name="rows"), shelf / "certified.csv", overwrite=False)
    return shelf / "certified.csv"


@pytest.fixture(scope="module")
def with_patients(shelf: Path) -> Path:
    """Rows of 80 documents of 40 patients, whose documents do not follow each other."""
    path = shelf / "patients.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["doc_id", "who", "orig_text", "annotated_text"])
        for pair in pairs():
            patient = pair.row % 40
            writer.writerow([f"p{patient}_{pair.row}", patient, pair.source, pair.target])
    return path


def certify(model: Path, rows: Path, out: Path, *options: object) -> dict[str, object]:
    result = run("certify", model, rows, "--out", out, "--missed", 0.1, *options)
    assert result.code == 0, result
    record = json.loads(out.read_text())
    assert isinstance(record, dict)
    return record


def test_a_certificate_is_written_as_json_and_as_a_page(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    result = run("certify", cautious, rows, "--out", out, "--missed", 0.1)
    assert (result.code, result.err) == (0, "")
    statement, measured, marks, load, wrote = result.out.splitlines()
    assert statement == (
        "With a confidence of 0.95, the mean share of missed identifiers in a document is at most "
        "0.1."
    )
    assert measured.startswith("certified on 80 documents with 120 identifiers: p-value ")
    assert marks.startswith("marks tokens with a coverage score of at least 0.")
    assert load.startswith("to review in a document: ")
    assert wrote == (
        f"wrote {out} and {tmp_path / 'c.html'}; next: annoseq redact MODEL TEXTS --out FOLDER "
        f"--certificate {out}"
    )
    page = (tmp_path / "c.html").read_text()
    assert statement in page
    assert "http" not in page.replace("http-equiv", "")
    record = json.loads(out.read_text())
    assert record["observed_loss"] <= 0.1
    stated, counts = record["review_load"], record["measured"]
    assert stated["documents"] == 80
    assert stated["tokens"] == (counts["marked_tokens"] + counts["marked_other_tokens"]) / 80
    shown = " ".join(page.split())
    for name, value in [
        ("marked spans in a document", f"{stated['spans']:.1f}"),
        ("marked tokens in a document", f"{stated['tokens']:.1f}"),
        ("marked characters in a document", f"{stated['characters']:.1f}"),
        ("share of all characters that are marked", f"{stated['text_share']:.2%}"),
    ]:
        assert f"{name}</th><td>{value.replace('%', ' %')}" in shown
    assert "Ames" not in page + out.read_text()


def test_its_threshold_is_what_annotate_and_redact_mark_by(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    certify(cautious, rows, out)
    evaluated = tmp_path / "s.json"
    shown = run("evaluate", cautious, rows, "--certificate", out, "--json", evaluated)
    assert "\ncertificate  " in shown.out
    assert "target 0.9" not in shown.out
    target = json.loads(evaluated.read_text())["coverage"]["target"]
    assert target["measured"] == json.loads(out.read_text())["measured"]
    best = run("annotate", cautious, rows)
    more = run("annotate", cautious, rows, "--certificate", out)
    assert len(more.out) > len(best.out)
    assert more.err.startswith(
        f"certificate: {target['statement']} It marks tokens that lie in an identifier with a "
        "probability of at least 0."
    )
    types = tmp_path / "types.toml"
    types.write_text('[labels]\nNAME = "name"\nAGE = "age"\n')
    folder = tmp_path / "clean"
    log = tmp_path / "log.json"
    words = ("--phi-types", types, "--out", folder, "--certificate", out, "--audit-log", log)
    assert run("redact", cautious, rows, *words).code == 0
    audit = json.loads(log.read_text())
    assert audit["certificate"] == target["statement"]
    assert "target_coverage" not in audit["target"]
    assert json.loads((folder / "config.json").read_text())["certificate"]


def test_weights_and_units_are_in_the_certificate(
    cautious: Path, with_patients: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.toml"
    weights.write_text("NAME = 3\n")
    options = ("--weights", weights, "--patient", "who", "--loss", "any", "--confidence", 0.9)
    record = certify(cautious, with_patients, tmp_path / "c.json", *options)
    assert record["bound"] == {
        "missed": 0.1,
        "confidence": 0.9,
        "unit": "patient",
        "loss": "any",
        "weights": {"NAME": 3.0},
    }
    assert record["units"] == 40
    measured = record["measured"]
    assert isinstance(measured, dict)
    assert measured["patients"] == 40
    assert f"{measured['clean_patients']} of 40" in (tmp_path / "c.html").read_text()
    found = certify(
        cautious, with_patients, tmp_path / "d.json", "--patient-from", r"p(\d+)_", *options[4:]
    )
    assert found["units"] == 40
    by_document = certify(
        cautious, with_patients, tmp_path / "e.json", "--patient", "who", "--unit", "document"
    )
    assert by_document["units"] == 80


def test_patients_are_no_unit_where_nothing_tells_them(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path / "c.json", "--missed", 0.1, "--unit", "patient")
    assert refusal(run("certify", cautious, rows, *options)) == (
        "--unit patient: nothing tells the patient of a row. Name the column with --patient, or "
        "find it in the document's id with --patient-from."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("NAME = ", "this is no TOML file that can be read"),
        ('NAME = "x"', "NAME: "),
        ("NAME = -1", "found a weight below 0"),
        ("NAME = nan", "found a weight below 0, or none that is a number"),
    ],
)
def test_bad_weights_are_refused(
    content: str, problem: str, cautious: Path, rows: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.toml"
    weights.write_text(content)
    options = ("--out", tmp_path / "c.json", "--missed", 0.1, "--weights", weights)
    message = refusal(run("certify", cautious, rows, *options))
    assert problem in message
    assert message.endswith("Expected lines such as NAME = 3, with numbers of at least 0.")


def test_what_cannot_be_certified_is_refused_and_leaves_nothing(
    cautious: Path, rows: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    assert "about " in refusal(run("certify", cautious, rows, "--out", out, "--missed", 0.001))
    message = refusal(run("certify", model, rows, "--out", out, "--missed", 0.1))
    assert message.startswith("--target-coverage is for taggers")
    message = refusal(run("certify", cautious, rows, "--out", tmp_path / "c", "--missed", 0.1))
    assert message == (
        f"--out {tmp_path / 'c'}: a certificate is JSON. Give a name that ends in .json."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_of_another_model_or_with_another_target_is_refused(
    cautious: Path, rows: Path, shelf: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    certify(cautious, rows, out)
    other = shelf / "other"
    random_annotator("flat tagger").model.save(other, card="card")
    message = refusal(run("annotate", other, rows, "--certificate", out))
    assert "this certificate is of the model" in message
    words = ("--certificate", out, "--target-coverage", 0.9)
    assert refusal(run("annotate", cautious, rows, *words)) == (
        "--certificate has its own threshold, and --target-coverage asks for another. Leave one of "
        "them off."
    )


def test_new_notes_are_compared_with_the_certified_ones(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    out, page, notes = (tmp_path / name for name in ("c.json", "c.html", "notes"))
    same = tmp_path / "same.csv"
    same.write_text("orig_text\n" + "\n".join(f'"{pair.source}"' for pair in pairs()) + "\n")
    result = run("certify", cautious, rows, "--out", out, "--missed", 0.1, "--new-notes", same)
    assert (result.code, result.err) == (0, "")
    assert "80 new notes do not differ measurably from the certified documents" in result.out
    assert json.loads(out.read_text())["shift"]["new_documents"] == 80
    notes.mkdir()
    for number in range(20):
        (notes / f"{number}.txt").write_text(f"{number} " * 60)
    options = ("--out", out, "--missed", 0.1, "--new-notes", notes, "--overwrite")
    result = run("certify", cautious, rows, *options)
    assert result.code == 0
    assert result.err.startswith(
        "warning: 20 new notes differ from the certified documents: the bound does not hold for "
        "them (p-value "
    )
    assert "<strong>Warning:</strong> 20 new notes differ" in page.read_text()
    (notes / "few").mkdir()
    (notes / "few" / "a.txt").write_text("x")
    options = ("--out", out, "--missed", 0.1, "--new-notes", notes / "few", "--overwrite")
    message = refusal(run("certify", cautious, rows, *options))
    assert message.startswith("1 new note cannot be compared: at least 5 of each side are needed")
