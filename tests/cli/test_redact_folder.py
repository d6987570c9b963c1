"""`annoseq redact` over the parts of a folder."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pyarrow.parquet as pq
import pytest

from tests.cli.command import Result, copy_with_column, refusal, run, write_key
from tests.scale.folders import lines, outputs

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["Dr. Ames called.", "Seen on 4 May 2019 by Dr. Ames.", "Nothing to see."]


@pytest.fixture(scope="module")
def parts(shelf: Path) -> Path:
    folder = shelf / "redact-parts"
    folder.mkdir()
    for part in range(3):
        rows = [{"orig_text": f"{text} ({part})", "ward": part, "mrn": "7"} for text in TEXTS]
        content = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{part}.jsonl").write_text(content)
    return folder


@pytest.fixture(scope="module")
def patterns(shelf: Path) -> Path:
    path = shelf / "folder-patterns.toml"
    path.write_text('[name]\nlabel = "NAME"\npattern = "Ames"\n')
    return path


@pytest.fixture(scope="module")
def key(shelf: Path) -> Path:
    path = shelf / "folder.key"
    write_key(path, "0123456789abcdef" * 4)
    return path


def redact(model: Path, texts: object, out: object, *options: object) -> Result:
    return run("redact", model, texts, "--out", out, "--device", "cpu", "--best-path", *options)


def test_parts_are_redacted_as_their_files_are(
    model: Path, parts: Path, patterns: Path, tmp_path: Path
) -> None:
    out, single = tmp_path / "out", tmp_path / "single"
    options = ("--patterns", patterns, "--keep-columns", "ward")
    result = redact(model, parts, out, *options)
    assert result.code == 0, result
    assert f"Wrote {out}: 3 parts, 9 texts, " in result.err
    assert redact(model, parts / "1.jsonl", single, *options).code == 0
    assert (out / "parts/1.jsonl").read_bytes() == (single / "1.jsonl").read_bytes()
    assert "Ames" not in "".join(path.read_text() for path in (out / "parts").iterdir())
    written, expected = lines(out / "annotations/1.jsonl"), lines(single / "annotations.jsonl")
    assert [row["spans"] for row in written] == [row["spans"] for row in expected]
    assert [row["document"] for row in written] == ["1.jsonl:1", "1.jsonl:2", "1.jsonl:3"]


def test_the_reports_of_parts_are_added_up(
    model: Path, parts: Path, patterns: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "out", ("--patterns", patterns)
    assert redact(model, parts, out, *options).code == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["documents"], report["texts"]) == (9, 9)
    spans = [
        span
        for part in range(3)
        for row in lines(out / f"annotations/{part}.jsonl")
        for span in cast("list[dict[str, Any]]", row["spans"])
    ]
    assert report["replaced"] == len(spans)
    counts = {label: row["replaced"] for label, row in report["labels"].items()}
    assert counts == Counter(span["label"] for span in spans)
    for row in report["labels"].values():
        scores = [score["score"] for score in row["lowest_scores"]]
        assert scores == sorted(scores)
        assert len(scores) <= 5
        assert {score["part"] for score in row["lowest_scores"]} <= {f"{n}.jsonl" for n in range(3)}
    before = outputs(out)
    again = redact(model, parts, out, *options)
    assert f"Wrote {out}: 3 parts (3 done before), 9 texts, " in again.err
    assert outputs(out) == before


def test_surrogates_of_rows_differ_between_parts_and_stay_between_runs(
    model: Path, parts: Path, patterns: Path, key: Path, tmp_path: Path
) -> None:
    options = ("--patterns", patterns, "--with", "surrogate", "--key", key)
    first, second = tmp_path / "first", tmp_path / "second"
    assert redact(model, parts, first, *options).code == 0
    assert redact(model, parts, second, *options).code == 0
    assert outputs(first) == outputs(second)
    texts = [str(lines(first / f"parts/{part}.jsonl")[1]["orig_text"]) for part in range(3)]
    assert len({text.partition("(")[0] for text in texts}) == 3
    patients = tmp_path / "patients"
    assert redact(model, parts, patients, *options, "--patient", "mrn").code == 0
    names = [str(lines(patients / f"parts/{part}.jsonl")[0]["orig_text"]) for part in range(3)]
    assert len({name.partition("(")[0] for name in names}) == 1


def test_new_parts_are_redacted_with_the_same_surrogates(
    model: Path, parts: Path, patterns: Path, key: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "0.jsonl").write_bytes((parts / "0.jsonl").read_bytes())
    options = ("--patterns", patterns, "--with", "surrogate", "--key", key, "--patient", "mrn")
    assert redact(model, source, out, *options).code == 0
    before = outputs(out)
    (source / "1.jsonl").write_bytes((parts / "0.jsonl").read_bytes())
    changed = (*options, "--chunk-size", 2)
    assert "was begun with chunk_size 1000" in refusal(redact(model, source, out, *changed))
    assert redact(model, source, out, *changed, "--only-new").code == 0
    assert (out / "parts/0.jsonl").read_bytes() == before["parts/0.jsonl"]
    assert (out / "parts/1.jsonl").read_bytes() == before["parts/0.jsonl"]


def test_parquet_and_text_parts_keep_their_form(
    model: Path, patterns: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tables" / "a.parquet"
    table.parent.mkdir()
    assert run("sample", table, "--rows", 3).code == 0
    out = tmp_path / "out"
    assert redact(model, table.parent, out, "--patterns", patterns).code == 0
    assert pq.read_table(out / "parts/a.parquet").column_names == ["doc_id", "orig_text"]
    notes = tmp_path / "notes"
    (notes / "x").mkdir(parents=True)
    (notes / "x" / "a.txt").write_text("Dr. Ames\r\n")
    options = ("--patterns", patterns, "--engine", "local")
    assert redact(model, notes, tmp_path / "texts", *options).code == 0
    assert b"Ames" not in (tmp_path / "texts/parts/x/a.txt").read_bytes()


def test_nothing_stays_of_parts_that_are_gone_or_unreadable(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (source / name).write_text("Dr. Ames")
    options = ("--engine", "local", "--skip-bad")
    assert redact(model, source, out, *options).code == 0
    (source / "b.txt").write_bytes(b"Dr. \xff")
    assert redact(model, source, out, *options).code == 0
    found = {str(path.relative_to(out)) for path in out.rglob("b.*")}
    assert found == {"errors/b.jsonl", "manifest/b.txt.json"}
    (source / "c.txt").unlink()
    result = redact(model, source, out, *options, "--overwrite", "--with", "mask")
    assert f"removed from {out}: 1 part without an input any more\n" in result.err
    assert not list(out.rglob("c.*"))
    (out / "parts/mine.txt").touch()
    result = redact(model, source, out, *options, "--overwrite")
    assert f"left in {out}/parts: 1 file of no part of this run\n" in result.err


def test_outputs_of_before_stay_where_the_same_texts_fail(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        (source / name).write_text("orig_text\nDr. Ames\n")
    assert redact(model, source, out).code == 0
    (source / "c.csv").write_text("orig_text\nMr. Cole\n")
    again = ("--overwrite", "--skip-bad", "--column", "other")
    failed = redact(model, source, out, *again)
    assert failed.code == 2
    assert (
        f"kept in {out}/parts: 2 outputs of before, whose parts failed and are not known to have "
        "changed. Remove what must not stay.\n"
    ) in failed.err
    assert "2 parts could not be done, and 1 are. " in failed.err
    assert sorted(path.name for path in (out / "parts").iterdir()) == ["a.csv", "b.csv"]
    assert redact(model, source, out, "--only-new").code == 0


@pytest.mark.parametrize("option", ["--keep-columns", "--document", "--patient"])
def test_the_text_column_is_written_nowhere_as_it_is(
    option: str, model: Path, tmp_path: Path
) -> None:
    trained, source = copy_with_column(model, tmp_path / "model", "note"), tmp_path / "in"
    source.mkdir()
    (source / "a.csv").write_text("note\nDr. Ames\n")
    advice = "Leave it off." if option == "--keep-columns" else "Name another."
    for texts, out in ((source, tmp_path / "out"), (source / "a.csv", "-")):
        for given in ((), ("--column", "note")):
            result = redact(trained, texts, out, option, "note", *given)
            assert (result.code, result.err.splitlines()[-1]) == (
                2,
                f"annoseq: {option} note: this is the column that is redacted. {advice}",
            )
            assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("annotated_text", "--keep-columns"),
        ("annotated_text", "--keep-columns", "annotated_text"),
        ("annotated_text", "--document", "annotated_text"),
        ("orig_text", "--column", "annotated_text", "--keep-columns"),
        ("annotated", "--column", "text", "--keep-columns"),
    ],
)
def test_other_texts_are_not_kept(case: tuple[str, ...], model: Path, tmp_path: Path) -> None:
    column, *options = case
    source = tmp_path / "in"
    source.mkdir()
    head = "text,annotated" if column == "annotated" else "orig_text,annotated_text"
    (source / "a.csv").write_text(f"{head}\nDr. Ames,Dr. {{{{P}}}}Ames{{{{/P}}}}\n")
    for texts, out in ((source, tmp_path / "out"), (source / "a.csv", tmp_path / "one")):
        result = redact(model, texts, out, *options)
        assert result.code == 2
        assert (
            f"a.csv: the column '{column}' is one of texts, which hold what is redacted. Name "
            "others for --document, and the columns to keep for --keep-columns."
        ) in result.err
        assert not [file for file in tmp_path.glob("o*/**/*.*") if "Ames" in file.read_text()]


@pytest.mark.parametrize("name", ["--mapping", "--audit-log", "--manifest", "--gold"])
def test_options_of_one_input_are_refused(
    name: str, model: Path, parts: Path, tmp_path: Path
) -> None:
    assert refusal(redact(model, parts, tmp_path / "out", name, tmp_path / "file")) == (
        f"{name} is for one input, and a folder of parts is read, whose manifest is in --out. "
        "Leave it off, or give one table."
    )


def test_surrogates_need_a_key_and_parts_a_folder(model: Path, parts: Path, tmp_path: Path) -> None:
    assert refusal(redact(model, parts, tmp_path / "out", "--with", "surrogate")) == (
        "surrogates in a folder of parts need one secret for all workers and runs. Give --key FILE."
    )
    assert refusal(redact(model, parts, tmp_path / "out", "--resume")).startswith(
        "--resume is for one input"
    )
    assert refusal(redact(model, parts, "-")) == (
        "the input is read as parts, and a folder of parts is written. Name it with --out."
    )
