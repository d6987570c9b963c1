"""A tagger that reads words by the vectors of a file, from the command line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import refusal, run, snapshot
from tests.cli.test_train_of_taggers import QUICK
from tests.vectors.test_static_embeddings import write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDLESS = (
    "{}: this model needs no file of word vectors: it was trained without, or has taken them into "
    "its weights. Leave --vectors off."
)


@pytest.fixture(scope="module")
def vectors(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return vectors of the table's own text."""
    path = tmp_path_factory.mktemp("vectors") / "v.bin"
    options = ("--width", 8, "--epochs", 1, "--buckets", 100)
    assert run("vectors", "train", table, "--out", path, *options).code == 0
    return path


@pytest.fixture(scope="module")
def tagger(shelf: Path, table: Path, vectors: Path) -> Path:
    path = shelf / "tagger-with-vectors"
    result = run("train", table, "--out", path, *QUICK, "--vectors", vectors)
    assert result.code == 0, result
    assert "vectors: " in result.err
    assert " words with a vector, " in result.err
    return path


@pytest.fixture
def moved(tagger: Path, vectors: Path, tmp_path: Path) -> Iterator[Path]:
    """Return the file, moved away from where it was in training."""
    path = tmp_path / "moved.bin"
    shutil.move(vectors, path)
    yield path
    shutil.move(path, vectors)


def test_a_tagger_with_vectors_annotates(tagger: Path, table: Path) -> None:
    result = run("annotate", tagger, table)
    assert result.code == 0, result
    assert len(result.out.splitlines()) == 40
    card = (tagger / "card.md").read_text()
    assert "- **word vectors**: v.bin, 8 wide, " in card


@pytest.mark.parametrize("command", ["annotate", "evaluate", "redact"])
def test_commands_find_a_file_that_has_moved(
    command: str, tagger: Path, table: Path, moved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = {"annotate": (), "evaluate": ("--part", "all"), "redact": ("--out", out)}[command]
    vectors = json.loads((tagger / "config.json").read_text())["vectors"]["path"]
    assert refusal(run(command, tagger, table, *options)) == (
        f"{tagger}: its word vectors, v.bin, cannot be read at {vectors}, where they were in "
        "training. Name the file with --vectors."
    )
    result = run(command, tagger, table, *options, "--vectors", moved)
    assert result.code == 0, result
    assert result.out


def test_only_members_that_read_vectors_are_given_them(
    tagger: Path, table: Path, moved: Path, tmp_path: Path
) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run("train", table, "--out", plain, *QUICK).code == 0
    result = run("ensemble", "join", plain, tagger, "--out", out, "--vectors", moved)
    assert result.code == 0, result
    assert run("annotate", out, table, "--vectors", moved).code == 0


def test_a_teacher_reads_the_moved_vectors_of_its_pupil(
    tagger: Path, table: Path, moved: Path, tmp_path: Path
) -> None:
    plain, joined, out = (tmp_path / name for name in ("plain", "joined", "out"))
    assert run("train", table, "--out", plain, *QUICK).code == 0
    members = (plain, tagger, "--vectors", moved)
    assert run("ensemble", "join", *members, "--out", joined).code == 0
    teachers = ("--teacher", tagger, "--teacher", joined, "--teacher", plain)
    command = ("train", table, "--out", out, *QUICK, *teachers)
    assert run(*command, "--vectors", moved).code == 0
    other = write_folder(tmp_path / "static")
    for vectors in ((), ("--vectors", other)):
        message = refusal(run(*command, "--overwrite", *vectors))
        assert message.startswith(f"{tagger}: its word vectors, v.bin, cannot be read at ")
        assert message.endswith(
            " Name the file with --vectors. The pupil of --teacher then reads it, too; if it is "
            "not to, put the file back where it was."
        )


def test_another_file_is_refused(tagger: Path, table: Path, vectors: Path, tmp_path: Path) -> None:
    other = tmp_path / "v.bin"
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    assert refusal(run("annotate", tagger, table, "--vectors", other)) == (
        f"{other}: these are not the word vectors that {tagger} was trained with, v.bin of "
        "8 values. Name that file with --vectors."
    )
    assert refusal(run("annotate", tagger, table, "--vectors", tmp_path / "none.bin")) == (
        f"{tmp_path / 'none.bin'}: there is no such file. Give a .bin, .vec or .vec.gz file of "
        "word vectors."
    )


def test_redacted_texts_do_not_replace_the_vectors(
    tagger: Path, table: Path, moved: Path, tmp_path: Path
) -> None:
    result = run("redact", tagger, table, "--out", tmp_path, "--vectors", moved, "--overwrite")
    assert refusal(result).startswith(f"--out {tmp_path} and {moved}, which is read, lie in each")
    assert moved.exists()


def test_training_goes_on_with_a_file_that_has_moved(
    tagger: Path, table: Path, moved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "more"
    more = ("--out", out, "--go-on-from", tagger, "--epochs", 1)
    assert "cannot be read at" in refusal(run("train", table, *more))
    assert snapshot(out) == {}
    assert run("train", table, *more, "--vectors", moved).code == 0
    config = json.loads((out / "config.json").read_text())
    assert (config["epochs"], config["vectors"]["path"]) == (3, str(moved))


def test_models_that_read_no_vectors_take_none(
    model: Path, table: Path, data: Path, vectors: Path, tmp_path: Path
) -> None:
    assert refusal(run("annotate", model, table, "--vectors", vectors)) == NEEDLESS.format(model)
    plain = tmp_path / "plain"
    assert run("train", data, "--out", plain, *QUICK).code == 0
    more = ("--out", tmp_path / "more", "--go-on-from", plain, "--vectors", vectors)
    assert refusal(run("train", table, *more)) == NEEDLESS.format(plain)


def test_a_tagger_reads_words_by_static_embeddings(table: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "static")
    out = tmp_path / "model"
    result = run("train", table, "--out", out, *QUICK, "--vectors", folder)
    assert result.code == 0, result
    assert "- **word vectors**: static, 2 wide, " in (out / "card.md").read_text()
    assert run("annotate", out, table).code == 0
    (folder / "tokenizer.json").unlink()
    assert refusal(run("annotate", out, table)) == (
        f"{out}: its word vectors, static, cannot be read at {folder}, where they were in "
        "training. Name the file with --vectors."
    )


def test_a_sweep_of_taggers_takes_vectors(short: Path, vectors: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    sizes = ("--tagger.hidden", "8,16", "--tagger.embedding", 8, "--tagger.buckets", 1024)
    options = (*sizes, "--epochs", 1, "--device", "cpu", "--vectors", vectors)
    assert run("sweep", short, "--out", out, *options).code == 0
    config = json.loads((out / "best" / "config.json").read_text())
    assert config["vectors"]["width"] == 8
