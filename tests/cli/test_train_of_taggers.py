"""The tagger, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

NARROW = ("--tagger.hidden", 16, "--tagger.embedding", 8, "--tagger.buckets", 1024)
QUICK = (*NARROW, "--epochs", 2, "--device", "cpu")
FILES = {"card.md", "config.json", "history.json", "tagging.json", "weights.safetensors"}


@pytest.fixture(scope="module")
def lexicons(shelf: Path) -> tuple[object, ...]:
    """Return options that name two lists and a file of patterns."""
    names, places, patterns = (shelf / name for name in ("names.txt", "places.txt", "mrn.toml"))
    names.write_text("Ames\nBond\n")
    places.write_text("New York\n")
    patterns.write_text("[mrn]\npattern = '\\d{4,}'\n")
    return ("--lexicon", names, "--lexicon", places, "--patterns", patterns)


@pytest.fixture(scope="module")
def tagger(shelf: Path, table: Path, lexicons: tuple[object, ...]) -> Path:
    path = shelf / "tagger"
    result = run("train", table, "--out", path, *QUICK, *lexicons)
    assert result.code == 0, result
    assert result.err.splitlines()[0] == "annotate: 33 training and 7 validation rows; 10 labels"
    assert (
        "warning: not calibrated, as the validation rows have fewer than 100 spans: scores are no "
        "probabilities, and --target-recall and --target-coverage are not there\n"
    ) in result.err
    header, *epochs = result.out.splitlines()
    assert header.split() == [
        *("epoch", "train_loss", "valid_loss", "span_precision", "span_recall", "span_f1", "time")
    ]
    assert [line.split()[0] for line in epochs[:2]] == ["1", "2"]
    return path


def test_the_tagger_is_what_train_trains(tagger: Path) -> None:
    assert snapshot(tagger).keys() == FILES
    config = json.loads((tagger / "config.json").read_text())
    assert config["network"]["model"] == "tagger"
    assert config["network"]["tagger"]["hidden"] == 16
    lexicon_matcher = json.loads((tagger / "tagging.json").read_text())["lexicon_matcher"]
    assert lexicon_matcher["lists"] == {"names": ["ames", "bond"], "places": ["new\x1f\x1fyork"]}
    assert lexicon_matcher["patterns"] == {"mrn": {"pattern": "\\d{4,}", "ignore_case": False}}
    card = (tagger / "card.md").read_text()
    assert "- **lists and patterns**: list names, list places, pattern mrn\n" in card
    assert "The user's own lists are in `tagging.json`" in card


def test_the_tagger_annotates_a_table(tagger: Path, table: Path) -> None:
    result = run("annotate", tagger, table)
    assert result.code == 0
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert len(lines) == 40
    assert all(line["score"] <= 0 for line in lines)


def test_training_of_a_tagger_goes_on(
    tagger: Path, table: Path, tmp_path: Path, lexicons: tuple[object, ...]
) -> None:
    out = tmp_path / "more"
    more = ("--out", out, "--go-on-from", tagger)
    assert run("train", table, *more, "--epochs", 1).code == 0
    assert json.loads((out / "config.json").read_text())["epochs"] == 3
    one, other = (folder / "tagging.json" for folder in (tagger, out))
    assert one.read_bytes() == other.read_bytes()
    assert refusal(run("train", table, *more, "--overwrite", *lexicons)) == (
        "--lexicon, --patterns and --gazetteers were settled when the model was first trained. "
        "Leave them off, or train a new model."
    )
    assert refusal(run("train", table, *more, "--overwrite", "--tagger.hidden", 8)) == (
        "--tagger.hidden was settled when the model of --go-on-from was first trained. "
        "Leave --tagger.hidden off, or train a new model."
    )


def test_training_goes_on_with_labels_that_are_new(tagger: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "more.csv", tmp_path / "more"
    rows = [f"Boat {n},{{{{SHIP}}}}Boat{{{{/SHIP}}}} {n}" for n in range(30)]
    table.write_text("\n".join(["orig_text,annotated_text", *rows]) + "\n")
    options = ("--epochs", 6, "--max-lr", 0.05, "--batch-size", 4)
    result = run("train", table, "--out", out, "--go-on-from", tagger, *options)
    assert result.code == 0, result.err
    known = json.loads((tagger / "tagging.json").read_text())["labels"]
    assert json.loads((out / "tagging.json").read_text())["labels"] == [*known, "SHIP"]
    found = json.loads(run("annotate", out, table).out.splitlines()[0])
    assert [span["label"] for span in found["spans"]] == ["SHIP"]


def test_spans_that_are_nested_too_deep_to_go_on_with_are_counted(
    tagger: Path, tmp_path: Path
) -> None:
    table = tmp_path / "nested.csv"
    label = json.loads((tagger / "tagging.json").read_text())["labels"][0]
    nested = f"{{{{OUTER}}}}Boat {{{{{label}}}}}one{{{{/{label}}}}}{{{{/OUTER}}}}"
    table.write_text("\n".join(["orig_text,annotated_text", *[f"Boat one,{nested}"] * 10]) + "\n")
    out = tmp_path / "more"
    result = run("train", table, "--out", out, "--go-on-from", tagger, "--epochs", 1)
    assert result.code == 0, result.err
    assert "warning: 8 spans left out, nested deeper than in the training of" in result.err


def test_find_lr_suggests_a_rate_for_a_tagger(short: Path, lexicons: tuple[object, ...]) -> None:
    result = run("find-lr", short, *NARROW, *lexicons)
    assert result.code == 0, result
    assert result.out.startswith("suggested --max-lr ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--vectors", "some.vec"),
            "some.vec: there is no such file. Give a .bin, .vec or .vec.gz file of word vectors.",
        ),
        (
            ("--lexicon", "no-such.txt"),
            "--lexicon no-such.txt cannot be read: No such file or directory.",
        ),
        (
            ("--patterns", "no-such.toml"),
            "--patterns no-such.toml cannot be read: No such file or directory. "
            "Name a file that can be read.",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], message: str, data: Path, tmp_path: Path
) -> None:
    assert refusal(run("train", data, "--out", tmp_path / "m", *QUICK, *options)) == message
    assert snapshot(tmp_path) == {}


def test_lists_are_for_the_tagger(data: Path, tmp_path: Path, lexicons: tuple[object, ...]) -> None:
    message = refusal(run("train", data, "--out", tmp_path / "m", "--model", "gru", *lexicons))
    assert message == (
        "--lexicon, --patterns and --gazetteers are for the tagger, and the model is gru. Leave "
        "them off, or use --model tagger."
    )


def test_a_tagger_does_not_translate(table: Path, tmp_path: Path) -> None:
    columns = ("--source", "annotated_text", "--target", "orig_text", "--task", "translate")
    message = refusal(run("train", table, "--out", tmp_path / "m", "--model", "tagger", *columns))
    assert message == (
        "the tagger adds tags to a text, and here the target is not the source plus tags. "
        "Use --model attention."
    )


@pytest.mark.parametrize(
    ("options", "option"),
    [(("--free",), "--free"), (("--search", "beam", "--beam-size", 2), "--beam-size")],
)
def test_a_tagger_does_not_search(
    options: tuple[object, ...], option: str, tagger: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    assert refusal(run("annotate", tagger, table, "--out", out, *options)) == (
        f"{option} is for sequence-to-sequence models, and this one is a tagger: it finds the "
        f"likeliest tags in one pass. Leave {option} off."
    )
    assert snapshot(tmp_path) == {}
