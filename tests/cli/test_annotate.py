"""`annoseq annotate`, as its users run it; refusals and resumed runs have files of their own."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.cli.output import describe_problem
from annoseq.data.markup import parse, strip_tags
from annoseq.data.pairs import read_pairs
from annoseq.data.tables import read_rows
from annoseq.errors import count_noun
from tests.cli.command import TINY, check_written, refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Result

NOTE = "\ufeffDear Dr. Ames:\r\n\r\nSeen 12 March.  {{NAME}}\rBye 👩‍⚕️".encode()
NOTES = {"a.txt": NOTE, "empty.txt": b"", "sub/deep/b.txt": b"one\ntwo\n"}
FIELDS = ["id", "text", "annotated", "spans", "score", "windows"]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of texts."""
    folder = tmp_path / "notes"
    for name, content in NOTES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def new(shelf: Path) -> Path:
    """Return a table of eight texts that the model has not seen."""
    path = shelf / "new.csv"
    assert run("sample", path, "--rows", 8, "--seed", 5).code == 0
    return path


@pytest.fixture(scope="module")
def translator(shelf: Path, table: Path) -> Path:
    path = shelf / "translator"
    columns = ("--source", "annotated_text", "--target", "orig_text", "--task", "translate")
    assert run("train", table, "--out", path, *columns, *TINY).code == 0
    return path


def records(text: str) -> list[dict[str, Any]]:
    lines = text.split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def written(result: Result) -> list[dict[str, Any]]:
    """Return the lines of standard output, after checking that nothing else was said."""
    assert (result.code, result.err) == (0, "")
    return records(result.out)


def fields(record: dict[str, Any]) -> list[str]:
    """Return the names of a line's fields without those that only rows of documents have."""
    return [name for name in record if name not in {"doc_id", "start"}]


def check_faithful(record: dict[str, Any]) -> None:
    """Check what holds of every line, whatever the model."""
    assert fields(record)[:6] == FIELDS
    text = record["text"]
    for one in (record, *record.get("alternatives", [])):
        assert strip_tags(one["annotated"]) == text
        spans = one["spans"]
        assert [(span["start"], span["end"], span["label"]) for span in spans] == [
            (span.start, span.end, span.label) for span in parse(one["annotated"])[1]
        ]
        assert all(span["text"] == text[span["start"] : span["end"]] for span in spans)
        assert all(0 < span["score"] <= 1 for span in spans)
        assert one["score"] <= 0


def test_every_row_becomes_a_line_in_order(model: Path, new: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    check_written(run("annotate", model, new, "--column", "orig_text", "--out", out), out)
    found = records(out.read_text(encoding="utf-8"))
    assert [(one["id"], one["text"]) for one in found] == [
        (str(pair.row), pair.source) for pair in read_pairs(new)
    ]
    for one in found:
        check_faithful(one)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_the_output_holds_what_a_file_would(model: Path, new: Path, tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.ndjson", "out.csv", "out"):
        out = tmp_path / name
        check_written(run("annotate", model, new, "--out", out), out)
        format_ = "csv" if name == "out.csv" else "jsonl"
        result = run("annotate", model, new, "--format", format_)
        assert out.read_bytes().decode() == result.out


def test_the_last_line_counts_what_was_written(
    model: Path, new: Path, notes: Path, tmp_path: Path
) -> None:
    lines = records(run("annotate", model, new).out)
    labels = [span["label"] for line in lines for span in line["spans"]]
    assert labels
    counts = f"{count_noun(len(labels), 'span')}, {count_noun(len(set(labels)), 'label')}"
    for name, options in {
        "a b.jsonl": (),
        "out.csv": (),
        "out.ndjson": (),
        "out": (),
        "out.txt": ("--format", "csv"),
    }.items():
        out = tmp_path / name
        result = run("annotate", model, new, "--out", out, *options)
        readable = name not in {"out", "out.txt"}  # by `annoseq export`, which goes by the suffix
        next_step = f" Next: annoseq export FORMAT {quote(str(out))} TARGET" if readable else ""
        assert result == (0, "", f"Wrote {out}: 8 texts, {counts}.{next_step}\n")
    result = run("annotate", model, notes, "--out", tmp_path / "texts", "--skip-bad")
    assert result.err.startswith(f"Wrote {tmp_path / 'texts'}: 3 texts, ")
    assert "Next" not in result.err


@pytest.mark.parametrize(
    "options",
    [
        "--search beam --beam-size 5 --n-best 3",
        "--search top-k --k 10 --temperature 0.8 --seed 1",
        "--search nucleus --p 0.9 --samples 3",
        "--search sample",
    ],
)
def test_every_search_keeps_the_text(options: str, model: Path, new: Path) -> None:
    found = written(run("annotate", model, new, *options.split()))
    assert len(found) == 8
    for one in found:
        check_faithful(one)
    others = 2 if "3" in options else 0
    assert {len(one.get("alternatives", [])) for one in found} == {others}


def test_draws_differ_by_seed_and_repeat(model: Path, new: Path) -> None:
    one, same, other = (
        run("annotate", model, new, "--search", "sample", "--seed", seed).out for seed in (1, 1, 2)
    )
    assert one == same != other


def test_free_writing_says_what_it_did_to_the_text(model: Path, new: Path, tmp_path: Path) -> None:
    result = run("annotate", model, new, "--free")
    found = records(result.out)
    wrong = [one for one in found if "problem" in one]
    for one in found:
        assert fields(one)[:6] == FIELDS
        assert (one["spans"] is None) == (one in wrong)
        assert ("problem" in one) == (one in wrong)
        if one["spans"] is not None:
            check_faithful(one)
    assert wrong, "the model has learned its texts by heart: take a smaller one"
    assert (
        result.err
        == f"{len(wrong)} of 8 outputs are not their text plus tags; `problem` says why\n"
    )
    path = tmp_path / "note.txt"
    path.write_text(wrong[0]["text"])
    result = run("annotate", model, path, "--free")
    assert result.out == wrong[0]["annotated"]
    assert result.err.endswith("text plus tags; --format jsonl says which\n")


DOCUMENTS = """doc_id,start,orig_text
b,0,Dear Dr. Ames:
a,0,One line
b,16,seen 12 March 😀 by Bo
"""


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_rows_of_a_document_become_one_again(suffix: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(DOCUMENTS, encoding="utf-8")
    out, corpus = tmp_path / f"out.{suffix}", tmp_path / "corpus"
    check_written(run("annotate", model, tmp_path / "new.csv", "--out", out), out)
    assert run("export", "brat", out, corpus, "--lossy").code == 0
    texts = {name: content.decode() for name, content in snapshot(corpus).items()}
    assert texts["b.txt"] == "Dear Dr. Ames:\n\nseen 12 March 😀 by Bo"
    assert texts["a.txt"] == "One line"
    for line in texts["b.ann"].splitlines():
        _, place, covered = line.split("\t")
        start, end = map(int, place.split()[1:])
        assert texts["b.txt"][start:end] == covered


def test_another_format_is_what_export_would_write(
    model: Path, notes: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "out.jsonl"
    check_written(run("annotate", model, notes, "--out", lines), lines)
    for format_ in ("brat", "spacy-jsonl", "conll"):
        direct, exported = tmp_path / f"{format_}-direct", tmp_path / f"{format_}-exported"
        result = run("annotate", model, notes, "--format", format_, "--lossy", "--out", direct)
        assert (result.code, result.out) == (0, "")
        said = run("export", format_, lines, exported, "--lossy").err
        assert said.replace(str(exported), str(direct)) == result.err
        if format_ == "brat":
            assert snapshot(direct) == snapshot(exported)
            assert snapshot(direct).keys() > {"a.txt", "a.ann", "sub/deep/b.ann"}
            again = ("annotate", model, notes, "--format", format_, "--lossy", "--out", direct)
            assert "add --overwrite to replace it" in refusal(run(*again))
            assert run(*again, "--overwrite").code == 0
        else:
            assert direct.read_bytes() == exported.read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_what_a_format_cannot_hold_is_lost_when_that_is_said(model: Path, tmp_path: Path) -> None:
    """No text is annotated twice: the run that failed at its end is resumed."""
    (tmp_path / "new.csv").write_text("doc_id,start,orig_text\n../up,0,Dr. Ames\n")
    out = tmp_path / "out"
    arguments = ("annotate", model, tmp_path / "new.csv", "--out", out, "--lossy")
    result = run(*arguments, "--format", "brat")
    assert result.code == 2
    note, message = result.err.splitlines()
    assert note == "1 text done. Add --resume to the same command to go on after them."
    assert "the id '../up', which cannot be a file's name" in message
    assert not out.exists()
    assert run(*arguments, "--format", "spacy-jsonl", "--resume").code == 0
    assert records(out.read_text())[0]["id"] == "../up"
    assert not out.with_name("out.partial").exists()


def test_a_folder_becomes_a_folder(model: Path, notes: Path, tmp_path: Path) -> None:
    for name, options in {"asked": ("--format", "inline"), "guessed": ()}.items():
        out = tmp_path / name
        check_written(run("annotate", model, notes, "--out", out, *options), out)
        found = snapshot(out)
        assert found.keys() == NOTES.keys()
        for path, content in NOTES.items():
            assert strip_tags(found[path].decode()).encode() == content
    assert snapshot(notes) == NOTES
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "asked", "guessed"}


def test_a_folder_becomes_lines(model: Path, notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    check_written(run("annotate", model, notes, "--out", out), out)
    found = records(out.read_bytes().decode())
    assert [(one["id"], one["text"].encode()) for one in found] == list(NOTES.items())
    for one in found:
        check_faithful(one)
    assert written(run("annotate", model, notes)) == found


def test_a_pipe_is_one_text(model: Path) -> None:
    result = run("annotate", model, "-", stdin=NOTE)
    assert (result.code, result.err) == (0, "")
    assert strip_tags(result.out).encode() == NOTE
    assert run("annotate", model, "-", "--input-format", "text", stdin=NOTE) == result
    (found,) = written(run("annotate", model, "-", "--format", "jsonl", stdin=NOTE))
    assert (found["id"], found["annotated"]) == ("standard input", result.out)


def test_a_file_is_one_text(model: Path, notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "annotated.txt"
    check_written(run("annotate", model, notes / "a.txt", "--out", out), out)
    assert out.read_bytes().decode() == run("annotate", model, "-", stdin=NOTE).out


def test_nothing_in_gives_nothing_out(model: Path) -> None:
    assert run("annotate", model, "-") == (0, "", "")
    (found,) = written(run("annotate", model, "-", "--format", "jsonl"))
    assert (found["text"], found["annotated"], found["spans"]) == ("", "", [])


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_a_pipe_is_a_table_where_that_is_said(format_: str, model: Path) -> None:
    content = {
        "csv": b'orig_text,n\n"Dr. Ames",1\n"",2\n',
        "jsonl": b'{"orig_text": "Dr. Ames", "n": 1}\n{"orig_text": ""}\n',
    }[format_]
    found = written(run("annotate", model, "-", "--input-format", format_, stdin=content))
    assert [(one["id"], one["text"]) for one in found] == [("1", "Dr. Ames"), ("2", "")]


def test_texts_survive_and_csv_reads_back(model: Path, tmp_path: Path) -> None:
    texts = [
        "",
        " two  spaces ",
        "0012",
        "naïve 👩‍⚕️ NA",
        "a\r\nb\rc\r",
        'say "{{NAME}}", {{\\X}}',
        "\n",
    ]
    path, out = tmp_path / "texts.jsonl", tmp_path / "out.csv"
    path.write_text("".join(json.dumps({"note": text}) + "\n" for text in texts))
    found = written(run("annotate", model, path, "--column", "note"))
    assert [one["text"] for one in found] == texts
    check_written(run("annotate", model, path, "--column", "note", "--out", out), out)
    rows = list(read_rows(out, columns=["text", "annotated", "spans"], keys=["id"]))
    assert [row.values["text"] for row in rows] == texts
    assert [row.values["annotated"] for row in rows] == [one["annotated"] for one in found]
    assert [json.loads(row.values["spans"]) for row in rows] == [one["spans"] for one in found]


def test_a_long_text_is_read_to_its_end(model: Path) -> None:
    text = "Dr. Ames saw her on 12 March. " * 100
    (found,) = written(run("annotate", model, "-", "--format", "jsonl", stdin=text.encode()))
    check_faithful(found)
    assert found["text"] == text
    assert found["windows"] > 1


def test_a_translator_writes_other_texts(translator: Path, new: Path, tmp_path: Path) -> None:
    found = written(run("annotate", translator, new, "--column", "annotated_text"))
    assert [one["text"] for one in found] == [pair.target for pair in read_pairs(new)]
    for one in found:
        assert fields(one) == FIELDS
        assert one["spans"] is None
    out = tmp_path / "out.jsonl"
    result = run("annotate", translator, new, "--column", "annotated_text", "--out", out)
    assert result == (0, "", f"Wrote {out}: 8 texts.\n")


def test_a_note_on_problems_is_that_of_the_task() -> None:
    assert describe_problem(has_spans=True) == "are not their text plus tags"
    assert describe_problem(has_spans=False) == "were cut at the limit of their length"


def test_what_cannot_be_read_is_left_out_and_counted(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    good, bad = '{"orig_text": "Dr. Ames"}\n', '{"orig_text": "Dr. \\ud800"}\n'
    path.write_text(good + bad * 7 + good)
    result = run("annotate", model, path, "--skip-bad")
    assert (result.code, [one["id"] for one in records(result.out)]) == (0, ["1", "9"])
    told = result.err.splitlines()
    assert told[0] == "7 could not be read and were left out (--skip-bad):"
    assert [line.split(" (")[0] for line in told[1:6]] == [
        f"  {path}: row {row}" for row in range(2, 7)
    ]
    assert told[6:] == ["  and 2 more"]


def test_a_bad_text_of_a_folder_is_left_out(model: Path, notes: Path, tmp_path: Path) -> None:
    (notes / "sub" / "bad.txt").write_bytes(b"x\xff")
    out = tmp_path / "out"
    result = run("annotate", model, notes, "--out", out, "--skip-bad")
    assert result.code == 0
    *told, last = result.err.splitlines()
    assert last.startswith(f"Wrote {out}: 3 texts, ")
    assert told == [
        "1 could not be read and was left out (--skip-bad):",
        f"  {notes / 'sub' / 'bad.txt'}: line 1: found the byte 0xFF at offset 1, which is not "
        "UTF-8 text. Save the file as UTF-8.",
    ]
    assert snapshot(out).keys() == NOTES.keys()


MIXED = (
    '{"doc_id": "a", "patient": 7, "orig_text": "Dr. Ames", "seen": {"on": [1, null]}}\n'
    '{"doc_id": "a", "patient": null, "orig_text": "Ames", "seen": "12 May"}\n'
)


def test_other_columns_travel(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "mixed.jsonl"
    table.write_text(MIXED)
    result = run("annotate", model, table, "--keep-columns")
    assert (result.code, result.err) == (0, "")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [(line["patient"], line["seen"]) for line in lines] == [
        (7, {"on": [1, None]}),
        (None, "12 May"),
    ]
    assert lines[0].keys() == {"doc_id", "patient", "seen", *FIELDS}
    result = run("annotate", model, table, "--keep-columns", "patient", "--format", "csv")
    assert result.out.partition("\n")[0].endswith('"alternatives","patient"')
    out = tmp_path / "out.csv"
    assert run("annotate", model, table, "--keep-columns", "doc_id", "seen", "--out", out).code == 0
    rows = list(read_rows(out, columns=["seen", "doc_id"]))
    assert [tuple(row.values.values()) for row in rows] == [
        ('{"on": [1, null]}', "a"),
        ("12 May", "a"),
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--keep-columns",), "--keep-columns: the output has a column 'score' of its own."),
        (("--keep-columns", "score"), "--keep-columns: the output has a column 'score' of its"),
        (("--keep-columns", "visit"), "in.csv: there is no column 'visit'."),
        (("--keep-columns", "--format", "doccano"), "--format doccano has no place for other"),
    ],
)
def test_columns_that_cannot_travel_are_refused(
    options: tuple[str, ...], problem: str, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "in.csv"
    table.write_text("score,orig_text\n1,Dr. Ames\n")
    out = tmp_path / "out.jsonl"
    before = snapshot(tmp_path)
    message = refusal(run("annotate", model, table, "--out", out, *options))
    assert message.replace(f"{tmp_path}/", "").startswith(problem)
    assert snapshot(tmp_path) == before


def test_a_row_with_a_column_of_its_own_has_no_place_in_csv(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "in.jsonl"
    table.write_text('{"orig_text": "a", "x": 1}\n{"orig_text": "b", "y": 2}\n')
    assert run("annotate", model, table, "--keep-columns").code == 0
    as_csv = ("annotate", model, table, "--keep-columns", "--format", "csv")
    result = run(*as_csv)
    assert result.code == 2
    assert f"annoseq: {table}: row 2 has the column 'y', which the first row lacks." in result.err
    result = run(*as_csv, "--skip-bad")
    assert (result.code, result.out.count("\n")) == (0, 2)


def test_a_later_row_must_not_have_a_column_of_the_output_either(
    model: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    table.write_text('{"orig_text": "a"}\n{"orig_text": "b", "problem": "mine", "id": "x"}\n')
    annotate = ("annotate", model, table, "--keep-columns", "--out", out)
    assert refusal(run(*annotate)) == (
        f"{table}: row 2: the output has a column 'id' of its own. Rename this column, or name "
        "those to keep with --keep-columns."
    )
    assert run(*annotate, "--skip-bad").code == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["1"]
