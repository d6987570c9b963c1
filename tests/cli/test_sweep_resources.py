"""Sweeps of taggers with an encoder, a language model, lexicons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.models.serialization import TrainedModel
from annoseq.training.pretraining import Pretraining
from tests.cli.command import refusal, run
from tests.encoders import encoder_folder
from tests.models.tiny import TINY_TAGGER

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ("hidden", "embedding", "buckets")
SMALL = [word for name in SIZES for word in (f"--tagger.{name}", str(getattr(TINY_TAGGER, name)))]
SMALL += ["--model", "tagger", "--device", "cpu"]


@pytest.fixture(scope="module")
def language_model(shelf: Path) -> Path:
    """Write a language model of a tiny tagger."""
    folder = shelf / "lm-of-sweep"
    Pretraining(["She is well.", "He is not."], tagger=TINY_TAGGER, device="cpu").save(folder)
    return folder


def test_the_rate_of_an_encoder_is_chosen(table: Path, tmp_path: Path) -> None:
    out, encoder = tmp_path / "sweep", encoder_folder("bert")
    options = (*SMALL, "--encoder", encoder, "--epochs", 1, "--encoder-lr", "1e-4,1e-3")
    assert run("sweep", table, "--out", out, *options).code == 0
    config = TrainedModel.load(out / "best").config
    assert config.encoder is not None
    assert config.training.max_lr == 1e-3  # that of a tagger with an encoder
    other = encoder_folder("roberta")
    options = (*SMALL, "--encoder", other, "--epochs", 1, "--encoder-lr", "1e-4,1e-3")
    message = refusal(run("sweep", table, "--out", out, *options, "--resume"))
    assert message.startswith(f"{out} was begun with --encoder ")


def test_every_run_begins_with_the_language_model(
    table: Path, language_model: Path, tmp_path: Path
) -> None:
    out, names = tmp_path / "sweep", tmp_path / "names.txt"
    names.write_text("Ames\nBond\n")
    options = ("--language-model", language_model, "--lexicon", names, "--lm-weight", "0,0.1")
    assert run("sweep", table, "--out", out, *SMALL, *options, "--epochs", 1).code == 0
    model = TrainedModel.load(out / "best")
    assert model.config.language_model is not None
    assert model.config.language_model.name == language_model.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tagger.hidden", "8,16"), "it has --tagger.hidden 16, and the tagger 8. "),
        (("--encoder", "ENCODER"), "and with --encoder the tagger reads others beside them. "),
        (("--model", "tagger,gru"), "--language-model is for the tagger, and the model is gru. "),
    ],
)
def test_what_no_run_can_begin_with_is_refused_first(
    options: tuple[str, ...], message: str, table: Path, language_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sweep"
    given = [str(encoder_folder("bert")) if word == "ENCODER" else word for word in options]
    kept = SMALL[2:] if "--tagger.hidden" in options else SMALL
    kept = [word for word in kept if "--model" not in options or word not in {"--model", "tagger"}]
    found = run("sweep", table, "--out", out, *kept, *given, "--language-model", language_model)
    assert message in refusal(found)
    assert not out.exists()


def test_options_of_an_encoder_need_one(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    found = run("sweep", table, "--out", out, *SMALL, "--encoder-lr", "1e-4,1e-3")
    assert "or name an encoder with --encoder." in refusal(found)
    encoder = encoder_folder("bert")
    options = (*SMALL, "--encoder", encoder, "--lm-weight", "0,0.1")
    message = refusal(run("sweep", table, "--out", out, *options))
    assert message.endswith("Leave --lm-weight or --encoder off.")
    assert not out.exists()


def test_a_missing_file_is_told_before_the_table_is_read(tmp_path: Path) -> None:
    for option in ("--encoder", "--language-model", "--lexicon", "--patterns"):
        options = ("--out", tmp_path / "sweep", *SMALL, option, tmp_path / "none")
        message = refusal(run("sweep", tmp_path / "no-table.csv", *options))
        assert str(tmp_path / "none") in message
