"""A tagger with a pre-trained encoder, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.models.onnx_model import OnnxModel
from tests.cli.command import refusal, run, snapshot
from tests.cli.test_export_onnx import run_without_torch
from tests.cli.test_train_of_taggers import FILES, QUICK
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

FILES_OF_ENCODER = {"config.json", "model.safetensors", "tokenizer.json", "NOTICE.txt"}


@pytest.fixture(scope="module")
def tagger(shelf: Path, table: Path) -> Path:
    path = shelf / "tagger-with-encoder"
    encoder = encoder_folder("roberta")
    result = run("train", table, "--out", path, *QUICK, "--encoder", encoder)
    assert result.code == 0, result
    assert "\nencoder: tiny-roberta (roberta, 2 layers of 8, sha256 " in result.err
    return path


def test_its_folder_holds_the_tuned_encoder(tagger: Path) -> None:
    assert snapshot(tagger).keys() == FILES | {f"encoder/{name}" for name in FILES_OF_ENCODER}
    config = json.loads((tagger / "config.json").read_text())
    record = config["encoder"]
    assert (record["name"], record["model_type"], record["layers"]) == (
        "tiny-roberta",
        "roberta",
        2,
    )
    training = config["training"]
    assert (training["warmup"], training["freeze"], training["max_lr"]) == (0.1, "embeddings", 1e-3)
    card = (tagger / "card.md").read_text()
    assert (
        "- **pre-trained encoder**: tiny-roberta, roberta, 2 layers of 8, tuned but for its word "
        f"embeddings; sha256 of the original weights {record['fingerprint']}; licence: mit, as its "
        "README.md says (`encoder/NOTICE.txt`)\n"
    ) in card
    for name in ("config.json", "card.md", "encoder/config.json"):
        assert str(encoder_folder("roberta")) not in (tagger / name).read_text()


@pytest.mark.parametrize("command", ["annotate", "evaluate", "redact"])
def test_it_is_used_like_any_model(tagger: Path, table: Path, tmp_path: Path, command: str) -> None:
    options = ("--out", tmp_path / "clean") if command == "redact" else ()
    result = run(command, tagger, table, *options)
    assert result.code == 0, result


@pytest.mark.e2e
def test_it_is_exported_to_onnx_and_runs_without_torch_and_transformers(
    tagger: Path, table: Path, tmp_path: Path
) -> None:
    exact = tmp_path / "tagger.onnx"
    result = run("export", "onnx", tagger, exact)
    assert result.code == 0, result
    expected = run("annotate", tagger, table)
    found = run_without_torch("annotate", exact, table)
    assert (found.returncode, found.stderr) == (0, "")
    for ours, theirs in zip(found.stdout.splitlines(), expected.out.splitlines(), strict=True):
        one, other = json.loads(ours), json.loads(theirs)
        assert one["annotated"] == other["annotated"]
        assert one["score"] == pytest.approx(other["score"], rel=1e-4, abs=1e-4)
    metadata = OnnxModel.load(exact).metadata
    assert metadata.encoder is not None
    assert "Permission is hereby granted." in metadata.encoder.notice


@pytest.mark.slow
def test_it_is_quantized(tagger: Path, table: Path, tmp_path: Path) -> None:
    exact, small = tmp_path / "tagger.onnx", tmp_path / "int8.onnx"
    int8 = ("--int8", "--validation", table, "--max-recall-loss", "0.99")
    for file, options in ((exact, ()), (small, int8)):
        result = run("export", "onnx", tagger, file, *options)
        assert result.code == 0, result
    assert run("annotate", small, table).code == 0
    assert small.stat().st_size < exact.stat().st_size


def test_its_training_goes_on_and_the_encoder_with_it(
    tagger: Path, table: Path, tmp_path: Path
) -> None:
    options = ("--epochs", 1, "--freeze", "none", "--encoder-lr", 1e-2, "--device", "cpu")
    result = run("train", table, "--out", tmp_path / "more", "--go-on-from", tagger, *options)
    assert result.code == 0, result
    records = [
        json.loads((path / "config.json").read_text())["encoder"]
        for path in (tagger, tmp_path / "more")
    ]
    assert records[0] == records[1]
    name = "encoder/model.safetensors"
    assert (tagger / name).read_bytes() != (tmp_path / "more" / name).read_bytes()
    assert ", tuned; sha256" in (tmp_path / "more" / "card.md").read_text()


def test_a_tuned_encoder_begins_another_model(tagger: Path, table: Path, tmp_path: Path) -> None:
    options = ("--encoder", tagger / "encoder", "--tagger.encoder-layers", 1, "--epochs", 1)
    shape = ("--tagger.features", "shape", "--tagger.encoder", "linear", "--freeze", "encoder")
    result = run("train", table, "--out", tmp_path / "m", *QUICK[:-4], *options, *shape)
    assert result.code == 0, result
    assert "encoder: tagger-with-encoder/encoder (roberta, 1 layer of 8" in result.err
    assert ", not tuned; sha256" in (tmp_path / "m" / "card.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--encoder", "{encoder}", "--model", "gru"),
            "--encoder is for the tagger, and the model is gru. Leave it off, or use --model "
            "tagger.",
        ),
        (
            ("--encoder-lr", 1e-3),
            "--encoder-lr is for a pre-trained encoder, and the model has none. Leave --encoder-lr "
            "off, or name an encoder with --encoder.",
        ),
        (
            ("--tagger.features", "shape"),
            "--tagger.features is for a pre-trained encoder. Leave --tagger.features off, or name "
            "an encoder with --encoder.",
        ),
        (
            ("--go-on-from", "{tagger}", "--encoder", "{encoder}"),
            "--encoder was settled when the model of --go-on-from was first trained. Leave "
            "--encoder off, or train a new model.",
        ),
        (
            ("--encoder", "/no/such/folder"),
            "--encoder /no/such/folder: there is no such folder. Give a folder with the files of a "
            "pre-trained encoder, or its name on the Hugging Face hub.",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tagger: Path, table: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    paths = {"encoder": encoder_folder("roberta"), "tagger": tagger}
    given = [str(option).format(**paths) for option in options]
    assert refusal(run("train", table, "--out", tmp_path / "m", *given)) == message
    assert not (tmp_path / "m").exists()


def test_the_range_test_takes_an_encoder(short: Path) -> None:
    result = run("find-lr", short, *QUICK[:-4], "--steps", 4, "--encoder", encoder_folder("bert"))
    assert result.code == 0, result
    assert "suggested --max-lr" in result.out
