"""Refusals of `annoseq annotate`: one line that says what is allowed, and no files left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import SECRET, check_written, refusal, run, snapshot

MESSAGES = {
    "--search fast": (
        "--search: found 'fast'. Give 'greedy', 'beam', 'sample', 'top-k' or 'nucleus'."
    ),
    "--search top-k --k 0": "--k: found '0'. Give a number above 0.",
    "--search nucleus --p 0": "--p: found '0'. Give a number above 0.",
    "--search nucleus --p 2": "--p: found '2'. Give a number of at most 1.",
    "--search sample --temperature 0": "--temperature: found '0'. Give a number above 0.",
    "--search sample --temperature inf": "--temperature: found 'inf'. Give a finite number.",
    "--search sample --samples 0": "--samples: found '0'. Give a number above 0.",
    "--search beam --beam-size 0": "--beam-size: found '0'. Give a number above 0.",
    "--search beam --beam-size 1.5": "--beam-size: found '1.5'. Give a whole number.",
    "--search beam --length-penalty -1": (
        "--length-penalty: found '-1'. Give a number of at least 0."
    ),
    "--search beam --beam-size 2 --n-best 3": (
        "--n-best 3 outputs do not come from --beam-size 2: it must be at least as large."
    ),
    "--k 5": "--k belongs to --search top-k, and the search is greedy.",
    "--beam-size 5": "--beam-size belongs to --search beam, and the search is greedy.",
    "--search top-k --p 0.9": "--p belongs to --search nucleus, and the search is top-k.",
    "--chunk-size 0": "--chunk-size: found '0'. Give a number of at least 1.",
    "--format xml": (
        "--format: found 'xml'. Give one of inline, jsonl, csv, parquet, xlsx, brat, i2b2, "
        "meddocan, folders, inline-xml, conll, pubtator, doccano, label-studio, spacy-jsonl, "
        "spacy, spans."
    ),
    "--format brat": "--format brat writes a folder. Name it with --out.",
    "--format conll": "--format conll writes a file. Name it with --out.",
    "--format spans --out out.txt": (
        "out.txt: the suffix '.txt' stands for no known format. Use a name that ends in one of "
        ".csv, .tsv, .jsonl, .ndjson, .parquet, .xlsx (.gz may follow), or name the format: csv, "
        "tsv, jsonl, parquet, xlsx."
    ),
    "--format brat --lossy --out notes --overwrite": (
        "notes was not written by annoseq, so that --overwrite does not replace it. "
        "Choose another name, or remove it first."
    ),
    "--lossy": "--lossy has no meaning for the format jsonl. Leave it off.",
    "--format inline": (
        "--format inline writes whole texts, and the input is a table. Use --format jsonl or csv."
    ),
    "--input-format doc": (
        "--input-format: found 'doc'. Give one of text, csv, tsv, jsonl, parquet, xlsx."
    ),
    "--input-format text --column note": (
        "--column belongs to a table, and the input is text. Leave it off."
    ),
    "--resume": "--resume goes on with the interrupted run of --out. Give --out.",
    "--out out.tsv": (
        "--out out.tsv: its suffix stands for no format that is written here. "
        "Use a name that ends in .jsonl, .csv, .parquet or .xlsx, or add --format jsonl or csv."
    ),
    "--out out.jsonl --resume": (
        "there is no interrupted run at out.jsonl.partial. Leave --resume off to begin one."
    ),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a table and a folder of texts."""
    (tmp_path / "new.csv").write_text(f"orig_text\nDr. {SECRET}\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text(f"Dr. {SECRET}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(here: Path, *arguments: object, stdin: bytes = b"") -> str:
    """Return the line that a command refuses with, after checking that nothing has changed."""
    before = {path: path.is_dir() or path.read_bytes() for path in here.rglob("*")}
    message = refusal(run("annotate", *arguments, stdin=stdin))
    after = {path: path.is_dir() or path.read_bytes() for path in here.rglob("*")}
    assert after == before
    return message


@pytest.mark.parametrize("options", MESSAGES)
def test_an_option_that_makes_no_sense(options: str, here: Path, model: Path) -> None:
    assert refused(here, model, "new.csv", *options.split()) == MESSAGES[options]


def test_seeds_and_temperatures_are_for_draws(here: Path, model: Path) -> None:
    for option in ("--seed", "--temperature", "--samples"):
        message = refused(here, model, "new.csv", "--search", "beam", option, 1)
        assert message.startswith(f"{option} belongs to --search sample")
        assert "top-k" in message
        assert "nucleus" in message
        assert message.endswith(", and the search is beam.")


def test_a_column_that_is_missing(here: Path, model: Path) -> None:
    for out in ((), ("--out", "out.jsonl")):
        assert refused(here, model, "new.csv", "--column", "nope", *out) == (
            "new.csv: there is no column 'nope'. Its columns are 'orig_text'. Name one of these. "
            "Use --column."
        )
    assert run("annotate", model, "new.csv", "--out", "out.jsonl").code == 0


@pytest.mark.parametrize("name", ["absent", "absent.csv", "absent.txt"])
def test_an_input_that_is_missing(name: str, here: Path, model: Path) -> None:
    message = refused(here, model, name, "--out", "out")
    assert message.startswith(f"{name}: there is no such file")


def test_a_file_that_is_neither_text_nor_table(here: Path, model: Path) -> None:
    (here / "note.doc").write_text(SECRET)
    message = refused(here, model, "note.doc")
    assert message.startswith("note.doc: the suffix '.doc' stands for no known format. ")
    assert message.endswith(" If it is one whole text, add --input-format text.")


@pytest.mark.parametrize("out", [(), ("--out", "out.jsonl")])
def test_a_row_that_is_not_utf8(out: tuple[str, ...], here: Path, model: Path) -> None:
    (here / "new.csv").write_bytes(f"orig_text\nfine\n{SECRET} \xff\n".encode("latin-1"))
    assert refused(here, model, "new.csv", *out) == (
        "new.csv: row 2 (line 3): found the byte 0xFF at offset 25 (uncompressed, counted from 0), "
        "which is not UTF-8 text. Save the table as UTF-8, or name its encoding, such as "
        "--encoding cp1252 (Excel in Western Europe)."
    )


def test_a_lone_surrogate(here: Path, model: Path) -> None:
    (here / "new.jsonl").write_text(
        '{"orig_text": "fine"}\n{"orig_text": "' + SECRET + ' \\ud800"}\n'
    )
    assert refused(here, model, "new.jsonl", "--out", "out.jsonl") == (
        "new.jsonl: row 2 (line 2): column 'orig_text' holds a lone surrogate, which is half a "
        "character. Write the character whole."
    )


def test_a_text_that_is_not_utf8(here: Path, model: Path) -> None:
    (here / "notes" / "b.txt").write_bytes(f"{SECRET} \xff".encode("latin-1"))
    rest = (
        "line 1: found the byte 0xFF at offset 10, which is not UTF-8 text. Save the file as UTF-8."
    )
    assert refused(here, model, "notes", "--out", "out") == f"notes/b.txt: {rest}"
    content = (here / "notes" / "b.txt").read_bytes()
    assert refused(here, model, "-", stdin=content) == f"standard input: {rest}"


@pytest.mark.parametrize("out", [(), ("--out", "out"), ("--out", "out.csv")])
def test_a_folder_without_texts(out: tuple[str, ...], here: Path, model: Path) -> None:
    (here / "empty").mkdir()
    assert refused(here, model, "empty", *out) == (
        "empty: there is no .txt file in this folder or below it."
    )


def test_a_model_that_is_missing(here: Path) -> None:
    assert refused(here, "absent", "new.csv", "--out", "out.jsonl") == (
        "absent: there is no such folder. Give the folder that `annoseq train --out` wrote."
    )


def test_texts_run_together(here: Path, model: Path) -> None:
    """Annotated texts one after the other, without a mark between them, are of no use."""
    assert refused(here, model, "notes", "--format", "inline") == (
        "--format inline writes a file for every text of a folder. "
        "Name a folder with --out, or use --format jsonl or csv."
    )


@pytest.mark.parametrize(
    "out", ["notes", "notes/out", "notes/../notes/out", "out.jsonl", "new.csv"]
)
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_an_output_folder_that_would_be_in_the_way(
    out: str, overwrite: tuple[str, ...], here: Path, model: Path
) -> None:
    (here / "out.jsonl").mkdir()
    (here / "out.jsonl" / "mine.txt").write_text("mine")
    message = refused(here, model, "notes", "--format", "inline", "--out", out, *overwrite)
    if "notes" in out:
        brat = ("--format", "brat", "--lossy", "--out", out)
        assert refused(here, model, "notes", *brat, *overwrite) == message
    if "notes" in out:
        assert message == f"--out {out} is inside notes, which is read. Name a folder outside."
    else:
        assert message == f"{out} exists already. Choose another name, or remove it first."


def test_an_output_that_is_there(here: Path, model: Path) -> None:
    (here / "out.jsonl").write_text("mine")
    arguments = ("annotate", model, "new.csv", "--out", "out.jsonl")
    assert refused(here, *arguments[1:]) == (
        "out.jsonl exists already. Choose another name, or add --overwrite to replace it."
    )
    check_written(run(*arguments, "--overwrite"), Path("out.jsonl"))
    assert (here / "out.jsonl").read_text() == run("annotate", model, "new.csv").out


@pytest.mark.parametrize("out", ["new.csv/out.jsonl", "/proc/self/out.jsonl"])
def test_a_place_that_cannot_be_written(out: str, here: Path, model: Path) -> None:
    message = refused(here, model, "new.csv", "--out", out)
    assert message.startswith(f"{out} cannot be written: ")
    assert message.endswith("choose a folder that exists, is writable and has room.")


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_an_output_without_a_name(out: str, here: Path, model: Path) -> None:
    message = refused(here, model, "new.csv", "--out", out, "--format", "jsonl", "--overwrite")
    assert message == f"{out} has no name of its own. Name a file or folder within it."
    assert snapshot(here).keys() == {"new.csv", "notes/a.txt"}
