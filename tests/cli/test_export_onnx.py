"""`annoseq export onnx`, and commands that read what it wrote."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pair, write_pairs
from tests.calibrated import calibrated_model, pairs
from tests.cli.command import long_refusal, refusal, run
from tests.encoders import FAMILIES
from tests.fidelity import random_annotator
from tests.onnx_files import write_tiny_file

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_TORCH = """
import sys

BLOCKED = {"torch", "accelerate", "safetensors", "onnx", "onnxscript", "transformers"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Blocker())
from annoseq.cli import main
main()
"""
"""A program that runs a command as if torch, and what only the export needs, was not installed."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def file(home: Path) -> Path:
    return write_tiny_file(home / "tagger.onnx")


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    calibrated_model().save(home / "model", card="# Model card\n")
    return home / "model"


@pytest.fixture(scope="module")
def gold(home: Path) -> Path:
    write_pairs(pairs(), home / "pairs.csv", overwrite=False)
    return home / "pairs.csv"


def run_without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_texts_are_annotated_evaluated_and_redacted_without_torch(
    file: Path, gold: Path, tmp_path: Path
) -> None:
    annotated = run_without_torch("annotate", file, gold, "--target-coverage", "0.9")
    assert annotated.returncode == 0, annotated.stderr
    rows = [json.loads(line) for line in annotated.stdout.splitlines()]
    assert len(rows) == 80
    assert any(row["spans"] for row in rows)
    report = tmp_path / "report.html"
    evaluated = run_without_torch("evaluate", file, gold, "--report", report)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "coverage of identifiers" in evaluated.stdout
    assert "Model card" in report.read_text()
    redacted = run_without_torch("redact", file, gold, "--out", tmp_path / "redacted")
    assert redacted.returncode == 0, redacted.stderr
    assert (tmp_path / "redacted").is_dir()


def test_a_model_folder_is_refused_without_torch(folder: Path, gold: Path, tmp_path: Path) -> None:
    for arguments in (("annotate", folder, gold), ("export", "onnx", folder, tmp_path / "x.onnx")):
        refused = run_without_torch(*arguments)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"annoseq: {folder}: a model folder needs torch, which is not installed. Run: pip "
            "install annoseq; or give an ONNX file, which `annoseq export onnx` writes where torch "
            "is.\n"
        )


def test_the_resumed_run_of_another_model_is_refused(
    file: Path, folder: Path, gold: Path, tmp_path: Path
) -> None:
    """A folder and its export do not give the same last digits."""
    from annoseq.inference.annotator import Annotator

    assert Annotator.load(file).fingerprint != Annotator.load(folder).fingerprint


def test_options_that_do_not_go_together_are_refused(
    folder: Path, gold: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.onnx"
    message = refusal(run("export", "onnx", folder, out, "--int8"))
    assert message.startswith("--int8 needs rows to measure what it costs.")
    message = refusal(run("export", "onnx", folder, out, "--validation", gold))
    assert message == "--validation is for --int8 alone. Leave it off, or add --int8."
    message = long_refusal(run("export", "onnx", folder, tmp_path / "x.bin"))
    assert "Use a name that ends in .onnx." in message
    message = long_refusal(run("export", "onnx", folder, out, "--max-recall-loss", "1"))
    assert "Give a share of at least 0 and less than 1, such as 0.002." in message
    out.write_bytes(b"")
    assert "exists" in refusal(run("export", "onnx", folder, out))


def test_what_is_no_tagger_is_refused(model: Path, file: Path, tmp_path: Path) -> None:
    message = refusal(run("export", "onnx", model, tmp_path / "x.onnx"))
    assert message == (
        "a model of the kind gru writes its output token by token, and an ONNX file holds taggers "
        "only. Use the model folder, or train with --model tagger."
    )
    message = refusal(run("export", "onnx", file, tmp_path / "x.onnx"))
    assert "there is no such folder" in message


def test_missing_packages_are_told_with_their_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert refusal(run("export", "onnx", folder, tmp_path / "x.onnx")) == (
        "the export needs onnxscript, which is not installed. Run: pip install 'annoseq[onnx]'"
    )


def test_the_other_formats_are_still_exported(gold: Path, tmp_path: Path) -> None:
    assert run("export", "conll", gold, tmp_path / "x.conll").code == 0
    assert (tmp_path / "x.conll").is_file()


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["flat tagger", "nested tagger"])
def test_an_exported_tagger_annotates_as_its_folder(name: str, tmp_path: Path) -> None:
    from annoseq.inference.annotator import Annotator
    from tests.fidelity import hard_texts

    calibrated_model(name).save(tmp_path / "model", card="# Model card\n")
    file, gold = tmp_path / "tagger.onnx", tmp_path / "pairs.csv"
    write_pairs(pairs(), gold, overwrite=False)
    result = run("export", "onnx", tmp_path / "model", file)
    assert result.code == 0, result.err
    assert result.err.startswith(f"wrote {file}: ")
    folder, exported = Annotator.load(tmp_path / "model"), Annotator.load(file)
    texts = list(hard_texts(60, seed="export"))
    for options in ({}, {"target_coverage": 0.9}, {"target_recall": 0.9}):
        expected = folder.annotate(texts, advance=lambda done: None, **options)  # type: ignore[call-overload]
        found = exported.annotate(texts, advance=lambda done: None, **options)  # type: ignore[call-overload]
        assert [one.annotated for one in found] == [one.annotated for one in expected]
        for ours, theirs in zip(found, expected, strict=True):
            scores = [[span.score for span in one.spans] for one in (ours, theirs)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.slow
def test_int8_is_measured_and_refused_where_it_costs_recall(
    folder: Path, gold: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tagger.onnx"
    options = ("--int8", "--validation", gold)
    result = run("export", "onnx", folder, file, *options, "--max-recall-loss", "0.99")
    assert result.code == 0, result.err
    assert "int8: recall " in result.err
    evaluated = run_without_torch("evaluate", file, gold, "--report", tmp_path / "r.html")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "Quantization was measured on" in (tmp_path / "r.html").read_text()
    size = file.stat().st_size
    plain = tmp_path / "plain.onnx"
    assert run("export", "onnx", folder, plain).code == 0
    assert size < plain.stat().st_size
    empty = tmp_path / "empty.csv"
    write_pairs([Pair("Dr. Ames", "Dr. Ames", 1)], empty, overwrite=False)
    refused = run("export", "onnx", folder, file, "--int8", "--validation", empty, "--overwrite")
    assert "have no spans, so that the recall of --int8 cannot be measured" in refusal(refused)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("tagger without labels", "nested tagger of convolutions", "nested tagger of attention"),
        *(f"tagger with a pre-trained {family}" for family in FAMILIES),
        "nested tagger with a pre-trained roberta",
        "nested tagger with a pre-trained xlm-roberta",
    ],
)
def test_every_encoder_can_be_exported(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annoseq.inference.annotator import Annotator
    from annoseq.training.onnx_export import export_onnx
    from tests.fidelity import FLAT, TAGGERS, hard_texts

    monkeypatch.setitem(TAGGERS, name, TAGGERS.get(name, (FLAT, "lstm")))
    model, file = random_annotator(name).model, tmp_path / "tagger.onnx"
    hasher = model.tokenizer.feature_hasher  # type: ignore[union-attr]
    network = copy.deepcopy(model.network, {id(hasher): hasher})  # shared with the tokenizer
    for weights in network.parameters():
        weights.data.mul_(0.3)  # so that no score is so large that its digits are rounded
    annotator = Annotator(replace(model, network=network))
    export_onnx(annotator.model, file)
    texts = list(hard_texts(60, seed="encoders"))
    expected = annotator.annotate(texts, advance=lambda done: None)
    found = Annotator.load(file).annotate(texts, advance=lambda done: None)
    assert [one.annotated for one in found] == [one.annotated for one in expected]
    for ours, theirs in zip(found, expected, strict=True):
        scores = [[span.score for span in one.spans or ()] for one in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
