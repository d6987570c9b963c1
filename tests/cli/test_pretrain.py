"""`annoseq pretrain`, and taggers that begin with what it wrote."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import SECRET, refusal, run, snapshot, start

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ("--tagger.hidden", "8", "--tagger.embedding", "8", "--tagger.buckets", "1024")
ON_CPU = (*SMALL, "--device", "cpu")


@pytest.fixture(scope="module")
def language_model(shelf: Path, table: Path) -> Path:
    path = shelf / "lm"
    result = run("pretrain", table, "--out", path, *ON_CPU)
    assert result.code == 0, result
    assert result.out.splitlines()[-1].startswith("perplexity ")
    assert result.err.splitlines()[-1] == (
        f"saved {path}; next: annoseq train PAIRS --language-model {path} --tagger.hidden 8 "
        "--tagger.embedding 8 --tagger.buckets 1024 --out MODEL"
    )
    assert snapshot(path).keys() == {"config.json", "weights.safetensors", "card.md"}
    assert not path.with_name("lm.training").exists()
    return path


def test_a_tagger_begins_with_it(language_model: Path, table: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    options = ("--language-model", language_model, "--lm-weight", "0.1", "--epochs", "1")
    result = run("train", table, "--out", model, *options, *ON_CPU)
    assert result.code == 0, result
    assert "\nlanguage model: lm (" in result.err
    assert "- **language model**: began with the weights of lm (" in (model / "card.md").read_text()
    assert run("annotate", model, table).code == 0
    assert refusal(
        run(
            *("train", table, "--out", tmp_path / "more", "--go-on-from", model),
            *("--language-model", language_model),
        )
    ) == (
        "--language-model was settled when the model of --go-on-from was first trained. "
        "Leave --language-model off, or train a new model."
    )


def test_texts_of_several_inputs_are_read_once(table: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.txt").write_text("The patient was seen on Monday.")
    (tmp_path / "notes" / "two.txt").write_text(" \n")
    texts = tmp_path / "texts.csv"
    texts.write_text("text\nThe patient was seen on Monday.\nShe is well.\n")
    out = tmp_path / "lm"
    result = run("pretrain", tmp_path / "notes", texts, "--column", "text", "--out", out, *ON_CPU)
    assert result.code == 0, result
    assert result.err.splitlines()[:2] == [
        "4 texts given; 2 left out, which are blank or equal to another",
        "texts: 2, of 11 tokens",
    ]
    assert refusal(run("pretrain", texts, "--out", tmp_path / "other")) == (
        f"{texts}: there is no column 'orig_text'. Its columns are 'text'. Name one of these. "
        "--column names it."
    )


def test_refusals(language_model: Path, table: Path, tmp_path: Path) -> None:
    assert refusal(run("pretrain", "--out", tmp_path / "lm")) == (
        "there are no texts to learn from. Name a table, a file or a folder."
    )
    blank = tmp_path / "blank.txt"
    blank.write_text(" ")
    assert refusal(run("pretrain", blank, "--out", tmp_path / "lm")) == (
        "1 text given, and none that is not blank. Give texts."
    )
    before = snapshot(language_model)
    assert "exists already" in refusal(run("pretrain", table, "--out", language_model, *ON_CPU))
    assert snapshot(language_model) == before
    assert refusal(run("pretrain", table, "--out", tmp_path / "lm", "--resume")) == (
        f"there is no interrupted training at {tmp_path / 'lm.training'}. Leave --resume off to "
        "begin one."
    )
    assert refusal(
        run("train", table, "--out", tmp_path / "m", "--language-model", language_model)
    ) == (
        f"--language-model {language_model}: it has --tagger.hidden 8, and the tagger 128. Give "
        "--tagger.hidden 8, or pre-train again with --tagger.hidden 128."
    )


@pytest.mark.parametrize(
    "options",
    [("--epochs", "1", "--max-lr", "1e30"), ("--epochs", "3", "--max-lr", "1e4")],
    ids=["after the last step", "of more than a perplexity can tell"],
)
def test_a_loss_that_is_no_number_is_told_of(
    options: tuple[str, ...], table: Path, tmp_path: Path
) -> None:
    result = run("pretrain", table, "--out", tmp_path / "lm", *ON_CPU, *options)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "annoseq: the loss is no longer a number, or too high a one. Pre-train with a lower "
        f"--max-lr, which is {float(options[-1]):g}."
    )
    assert not (tmp_path / "lm").exists()


def test_a_table_is_read_in_its_encoding(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.csv", tmp_path / "lm"
    texts.write_bytes("id|orig_text\n1|Señora\n2|Niño\n".encode("cp1252"))
    options = ("--out", out, *ON_CPU, "--epochs", "1", "--delimiter", "|")
    assert "such as --encoding cp1252" in refusal(run("pretrain", texts, *options))
    assert run("pretrain", texts, *options, "--encoding", "cp1252").code == 0


@pytest.mark.parametrize(
    ("slow", "told"),
    [
        ("annoseq.training.pretraining._encode", "before the first epoch. Give the same command"),
        ("annoseq.models.language_model.write_tensors", "Add --resume to the same command"),
    ],
)
def test_an_interrupt_tells_how_to_go_on(
    slow: str, told: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("pretrain", table, "--out", tmp_path / "lm", *ON_CPU, "--epochs", "1")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(slow, interrupted)
        result = run(*options)
    assert result.code == 130
    assert told in result.err
    assert run(*options, *(["--resume"] if "--resume" in told else [])).code == 0


@pytest.mark.parametrize(
    ("name", "value"), [("--tagger.features", "shape"), ("--tagger.encoder-layers", "2")]
)
def test_options_of_a_pre_trained_encoder_are_refused(
    name: str, value: str, table: Path, tmp_path: Path
) -> None:
    assert refusal(run("pretrain", table, "--out", tmp_path / "lm", name, value)) == (
        f"{name} is for a pre-trained encoder, and a language model has none. Leave {name} off."
    )


def test_a_file_of_an_unknown_kind_is_refused_with_advice_that_helps(tmp_path: Path) -> None:
    (tmp_path / "note.text").write_text("She is well.\n")
    message = refusal(run("pretrain", tmp_path / "note.text", "--out", tmp_path / "lm"))
    assert message.endswith("If it is one whole text, give it a name that ends in .txt.")


@pytest.mark.e2e
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on(by: signal.Signals, table: Path, tmp_path: Path) -> None:
    options = (*ON_CPU, "--epochs", "20", "--batch-size", "8")
    whole, cut = tmp_path / "whole" / "lm", tmp_path / "cut" / "lm"
    for path in (whole, cut):
        path.parent.mkdir()
    assert run("pretrain", table, "--out", whole, *options).code == 0
    command = start("pretrain", table, "--out", cut, *options)
    assert command.stdout is not None
    for _ in range(3):
        command.stdout.readline()
    command.send_signal(by)
    _, err = command.communicate(timeout=60)
    assert "Traceback" not in err
    assert not cut.exists()
    assert "is an interrupted training. Add --resume to go on with it" in refusal(
        run("pretrain", table, "--out", cut, *options)
    )
    message = refusal(run("pretrain", table, "--out", cut, *options, "--resume", "--words", "9"))
    assert "was begun with words 6000, and now it is 9." in message
    other = refusal(run("train", table, "--out", cut, "--device", "cpu", "--resume"))
    assert "was begun with training of a language model, and now it is of a model." in other
    assert run("pretrain", table, "--out", cut, *options, "--resume").code == 0
    name = "weights.safetensors"
    assert snapshot(cut)[name] == snapshot(whole)[name]


def test_target_texts_of_pairs_are_told_of(table: Path, tmp_path: Path) -> None:
    options = ("--column", "annotated_text", "--out", tmp_path / "lm", *ON_CPU)
    result = run("pretrain", table, *options)
    assert result.code == 0
    assert " texts with tags, which are read as they stand. If these are the target" in result.err


@pytest.mark.parametrize("command", ["annotate", "evaluate"])
def test_it_is_no_model(language_model: Path, table: Path, command: str) -> None:
    assert refusal(run(command, language_model, table)) == (
        f"{language_model} is a language model, with whose weights a tagger begins (annoseq train "
        "--language-model), and no model yet. Give a folder that `annoseq train --out` wrote."
    )


def test_messages_hold_no_text(tmp_path: Path) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text(f"orig_text\n{SECRET} was seen by Dr. {SECRET}.\nShe is well.\n")
    result = run("pretrain", texts, "--out", tmp_path / "lm", *ON_CPU)
    assert result.code == 0
    assert SECRET not in result.out + result.err
