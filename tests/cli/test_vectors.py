"""vectors train and show: vectors of the pairs' own text, and a look at them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from annoseq.vectors.lookup import open_vectors
from tests.cli.command import SECRET, refusal, run, snapshot
from tests.imports import HEAVY, imported_by

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("--width", "8", "--epochs", "1", "--buckets", "100")


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "v.bin"
    assert run("vectors", "train", table, "--out", path, *QUICK).code == 0
    return path


@pytest.fixture
def compass(tmp_path: Path) -> Path:
    path = tmp_path / "v.vec"
    path.write_text("4 3\nnorth 0 2 0\neast 3 0 0\nnorthish 0.1 1 0\nAmes 1 1 1\n")
    return path


@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_train_writes_vectors_and_says_that_they_are_private(
    algorithm: str, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "v.bin"
    result = run("vectors", "train", table, "--out", path, "--algorithm", algorithm, *QUICK)
    assert (result.code, result.out) == (0, "")
    words = len(open_vectors(path).first_words(10_000))
    assert result.err == (
        f"wrote {path}: {words:,} words, 8 wide. It lists words of your text: "
        "keep it as private as the text itself\n"
    )
    assert words > 30
    assert [path.name for path in tmp_path.iterdir()] == ["v.bin"]


def test_the_same_command_writes_the_same_file(trained: Path, table: Path, tmp_path: Path) -> None:
    run("vectors", "train", table, "--out", tmp_path / "v.bin", *QUICK)
    assert (tmp_path / "v.bin").read_bytes() == trained.read_bytes()


def test_train_takes_the_columns_and_the_task_that_are_named(tmp_path: Path) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text("fr\ten\nbonjour tous\thello all\nbonjour\thello\n")
    columns = ("--source", "fr", "--target", "en")
    for task, words in {"auto": ["bonjour", "hello"], "annotate": ["bonjour"]}.items():
        path = tmp_path / f"{task}.bin"
        result = run("vectors", "train", table, "--out", path, *columns, "--task", task, *QUICK)
        assert result.code == 0
        assert sorted(open_vectors(path).first_words(9)) == words


def test_train_replaces_a_file_only_when_asked(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"mine")
    message = refusal(run("vectors", "train", table, "--out", path, *QUICK))
    assert message == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert snapshot(tmp_path) == {"v.bin": b"mine"}
    assert run("vectors", "train", table, "--out", path, "--overwrite", *QUICK).code == 0
    assert open_vectors(path).width == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "v.vec"), "--out: found 'v.vec'. Use a name that ends in .bin."),
        (
            ("--out", "v.bin", "--minn", "7"),
            "--minn 7 is above --maxn 6. Make it smaller, or --maxn 0 for no subwords.",
        ),
        (("--out", "v.bin", "--width", "0"), "--width: found '0'. Give a number above 0."),
        (
            ("--out", "v.bin", "--algorithm", "glove"),
            "--algorithm: found 'glove'. Give 'skipgram' or 'cbow'.",
        ),
        (
            ("--out", "v.bin", "--min-count", "9999"),
            r"none of \d+ words of the pairs is there at least 9,999 times\. "
            r"Give more pairs, or a smaller --min-count\.",
        ),
    ],
)
def test_bad_options_are_explained(
    options: tuple[str, ...],
    message: str,
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = refusal(run("vectors", "train", table, *options))
    assert found == message or re.fullmatch(message, found)
    assert list(tmp_path.iterdir()) == []


def test_train_does_not_quote_a_bad_table(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(f"orig_text,annotated_text\n{SECRET},a,b\n")
    message = refusal(run("vectors", "train", table, "--out", tmp_path / "v.bin", *QUICK))
    assert "row 1" in message


def test_train_names_what_to_install_before_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    message = refusal(run("vectors", "train", tmp_path / "none.csv", "--out", tmp_path / "v.bin"))
    assert message == (
        "Training vectors needs gensim, which is not installed. "
        "Install it with: pip install 'annoseq[vectors]'"
    )


def test_show_prints_vectors_norms_and_neighbours(compass: Path) -> None:
    result = run("vectors", "show", compass, "north", "sgot", "--head", 2, "--neighbours", 2)
    assert result == (
        0,
        "north: seen, norm 2.0000\n"
        "  vector   0.0000 2.0000 ... (3 values)\n"
        "  nearest  northish 0.995, Ames 0.577\n"
        "sgot: missing, neither the word nor its subwords have a vector\n",
        "",
    )


def test_show_tells_seen_from_composed(trained: Path) -> None:
    words = ("the", "thrombectomy", "revascularization")
    shown = run("vectors", "show", trained, *words).out
    assert "the: seen, norm 0." in shown
    for word in words[1:]:
        lines = (
            rf"^{word}: composed, norm \d\.\d{{4}}\n  vector   (-?0\.\d{{4}} ?){{8}}\n  nearest  "
        )
        assert re.search(lines, shown, re.M)


def test_show_searches_no_further_than_asked(compass: Path) -> None:
    shown = run("vectors", "show", compass, "north", "--first", 2, "--head", 0).out
    assert shown == "north: seen, norm 2.0000\n  nearest  east 0.000\n"


@pytest.mark.parametrize("kind", ["data", "model"])
def test_show_searches_the_words_of_data_or_of_a_model(
    kind: str, trained: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    shown = run("vectors", "show", trained, "thrombectomy", "--vocabulary", folder).out
    nearest = re.findall(r"^  nearest  (.*)$", shown, re.M)
    assert len(nearest[0].split(", ")) == 5
    assert "<pad>" not in shown
    assert "{{" not in shown


def test_show_lists_the_words_without_a_vector(data: Path, compass: Path, trained: Path) -> None:
    result = run("vectors", "show", compass, "--vocabulary", data, "--missing")
    assert result.code == 0
    listed = result.out.splitlines()
    assert len(listed) == len(set(listed)) > 20
    assert "<pad>" not in listed
    assert re.fullmatch(
        rf"of [\d,]+ words, with a vector: \d+, composed of subwords: 0, missing: {len(listed)}"
        r"\n",
        result.err,
    )
    complete = run("vectors", "show", trained, "the", "--vocabulary", data, "--missing")
    assert complete.out.startswith("the: seen")


def test_show_needs_words_or_a_vocabulary(compass: Path) -> None:
    assert refusal(run("vectors", "show", compass)) == (
        "there are no words to show. Name some, or add --missing."
    )
    assert refusal(run("vectors", "show", compass, "--missing")) == (
        "--missing needs the words to look for: add --vocabulary DATA."
    )
    assert refusal(run("vectors", "show", compass, "the", " ")) == (
        "one of the words to show is empty. Leave it out."
    )


def test_show_explains_bad_files(tmp_path: Path, compass: Path) -> None:
    path = tmp_path / "v.bin"
    message = refusal(run("vectors", "show", path, "a"))
    assert message.startswith(f"{path}: there is no such file. Give a .bin, .vec or .vec.gz")
    path.write_bytes(b"")
    assert refusal(run("vectors", "show", path, "a")).startswith(f"{path}: the file is empty.")
    message = refusal(run("vectors", "show", compass, "a", "--vocabulary", tmp_path))
    assert message == (
        f"{tmp_path}: source.json: No such file or directory. "
        "Give a folder that `annoseq prepare` or `annoseq train` wrote."
    )
    (tmp_path / "source.json").write_text("{}")
    message = refusal(run("vectors", "show", compass, "a", "--vocabulary", tmp_path))
    assert message.startswith(f"{tmp_path}: source.json: not a tokenizer file:")


def test_help_lists_both_and_describes_every_option() -> None:
    overview = run("vectors", "--help")
    assert overview.code == 0
    assert run("vectors").out == overview.out
    for verb in ("train", "show"):
        assert f"│ {verb} " in overview.out
        shown = run("vectors", verb, "--help")
        assert f"Usage: annoseq vectors {verb}" in shown.out
        options = [line for line in shown.out.splitlines() if line.startswith(("│ --", "│ *  --"))]
        assert all(len(line.strip("│ *").split("  ")) > 1 for line in options)


def test_help_and_show_do_without_gensim(compass: Path) -> None:
    begin = "import sys; from annoseq.cli import main; sys.argv = ['annoseq', 'vectors', "
    shown = imported_by(f"{begin}'show', {str(compass)!r}, 'north']; main()")
    assert shown & {"gensim", "torch", "pandas", "pyarrow"} == set()
    assert imported_by(f"{begin}'--help']; main()") & {*HEAVY, "gensim", "pydantic"} == set()
