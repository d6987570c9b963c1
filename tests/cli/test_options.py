from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch

import annoseq
from annoseq.cli.options import DatasetOptions
from annoseq.config import ColumnsConfig, DataConfig
from tests.cli.command import refusal, run

if TYPE_CHECKING:
    from pathlib import Path

VERBS = [
    "sample",
    "check",
    "show-batch",
    "prepare",
    "pretrain",
    "find-lr",
    "train",
    "sweep",
    "annotate",
    "evaluate",
]

MESSAGES = {
    "train": (
        "PAIRS is missing: table of pairs, or a folder that `annoseq prepare` wrote. "
        "See `annoseq train --help`."
    ),
    "train P": "--out is missing: model folder to write. See `annoseq train --help`.",
    "train P --out": "--out has no value: model folder to write. See `annoseq train --help`.",
    "train P --out M --epochs 0": "--epochs: found '0'. Give a number above 0, or 'auto'.",
    "train P --out M --epochs few": "--epochs: found 'few'. Give a whole number, or 'auto'.",
    "train P --out M --epochs 1.5": "--epochs: found '1.5'. Give a whole number, or 'auto'.",
    "train P --out M --max-lr -1": "--max-lr: found '-1'. Give a number above 0, or 'auto'.",
    "train P --out M --max-lr fast": "--max-lr: found 'fast'. Give a number, or 'auto'.",
    "train P --out M --max-lr inf": "--max-lr: found 'inf'. Give a finite number, or 'auto'.",
    "train P --out M --valid-share 2": "--valid-share: found '2'. Give a number below 1.",
    "train P --out M --seed -1": "--seed: found '-1'. Give a number of at least 0.",
    f"train P --out M --seed {2**63}": (
        "--seed: found '9223372036854775808'. Give a number below 9.22337e+18."
    ),
    "train P --out M --max-vocab 2": "--max-vocab: found '2'. Give a number of at least 8.",
    "train P --out M --gru.hidden 0": "--gru.hidden: found '0'. Give a number above 0.",
    "train P --out M --gru 5": (
        "--gru: found '5'. Give one of its settings: --gru.embedding, --gru.hidden, "
        "--gru.layers, --gru.embedding-dropout, --gru.encoder-dropout, --gru.decoder-dropout, "
        "--gru.output-dropout."
    ),
    "train P --out M --device tpu": (
        "--device: found 'tpu'. "
        "Give cpu, cuda, cuda:1, mps, or auto: the accelerator if there is one."
    ),
    "train P --out M --model nope": (
        "--model: found 'nope'. Give 'auto', 'tagger', 'gru', 'attention' or 'transformer'."
    ),
    "train P --out M --model attention --gru.hidden 4": (
        "--gru.hidden belongs to --model gru, and the model is attention."
    ),
    "train P --out M --model gru --attention.hidden 4": (
        "--attention.hidden belongs to --model attention, and the model is gru."
    ),
    "find-lr P --model attention --gru.embedding-dropout 0.1": (
        "--gru.embedding-dropout belongs to --model gru, and the model is attention."
    ),
    "train P --out M --model attention --attention.hidden 0": (
        "--attention.hidden: found '0'. Give a number above 0."
    ),
    "train P --out M --attention 5": (
        "--attention: found '5'. Give one of its settings: --attention.embedding, "
        "--attention.hidden, --attention.layers, --attention.dropout."
    ),
    "train P --out M --teacher-forcing 1.5": (
        "--teacher-forcing: found '1.5'. Give a number of at most 1, or 'auto' or 'falling'."
    ),
    "train P --out M --teacher-forcing -0.1": (
        "--teacher-forcing: found '-0.1'. Give a number of at least 0, or 'auto' or 'falling'."
    ),
    "train P --out M --teacher-forcing rising": (
        "--teacher-forcing: found 'rising'. Give a number, or 'auto' or 'falling'."
    ),
    "train P --out M --forcing-end-epoch 3": (
        "--forcing-end-epoch belongs to --teacher-forcing falling, and teacher forcing is auto."
    ),
    "train P --out M --teacher-forcing falling --forcing-end-epoch 0": (
        "--forcing-end-epoch: found '0'. Give a number above 0."
    ),
    "train P --out M --loss sum": "--loss: found 'sum'. Give 'auto', 'padded' or 'token'.",
    "train P --out M --label-smoothing 1": "--label-smoothing: found '1'. Give a number below 1.",
    "train P --out M --early-stopping -1": (
        "--early-stopping: found '-1'. Give a number of at least 0."
    ),
    "train P --out M --keep worst": "--keep: found 'worst'. Give 'best' or 'last'.",
    "train P --out M --task guess": (
        "--task: found 'guess'. Give 'auto', 'annotate' or 'translate'."
    ),
    "train P --out M --modle": (
        "Unknown option: --modle. Did you mean --model? See `annoseq train --help`."
    ),
    "train P --out M --resume=later": (
        "--resume: found 'later'. Give nothing, or =true or =false."
    ),
    "train P --out M --plot curves.bmp": (
        "--plot: found 'curves.bmp'. Use a name that ends in one of .png, .svg, .pdf."
    ),
    "train P --out M --out N": (
        "--out is given more than once. Give it once. See `annoseq train --help`."
    ),
    "find-lr P --plot lr": ("--plot: found 'lr'. Use a name that ends in one of .png, .svg, .pdf."),
    "sample M --rows 0": "--rows: found '0'. Give a number of at least 1.",
    "sample M --rows many": "--rows: found 'many'. Give a whole number.",
    "show-batch P --rows 0": "--rows: found '0'. Give a number of at least 1.",
    "check P --rows -1": "--rows: found '-1'. Give a number of at least 0.",
    "check P --head -1": "--head: found '-1'. Give a number of at least 0.",
    "check P --tail -1": "--tail: found '-1'. Give a number of at least 0.",
    "check P more": "found 'more', which is one argument too many. See `annoseq check --help`.",
    "check P --input-format doc": (
        "--input-format: found 'doc'. Give one of csv, tsv, jsonl, parquet, xlsx."
    ),
    "evaluate M P --show -1": "--show: found '-1'. Give a number of at least 0.",
    "evaluate M P --part some": "--part: found 'some'. Give one of auto, all, valid, train.",
    "evaluate M P --json": "--json has no value: scores to write as JSON. "
    "See `annoseq evaluate --help`.",
    # The folds are drawn by --split-by.
    "ensemble cross-fit P --out M --valid V --split-by row --valid-share 0.1": (
        "--valid-share is for a split of the pairs, and with --valid there is none: all of the "
        "pairs are trained on. Leave --valid-share or --valid off."
    ),
    **{
        f"{command} --valid V --split-seed 1": (
            "--split-seed is for a split of the pairs, and with --valid there is none: all of the "
            "pairs are trained on. Leave --split-seed or --valid off."
        )
        for command in (
            "train P --out M",
            "find-lr P",
            "show-batch P",
            "prepare P --out M",
            "sweep P --out M --epochs 1,2",
        )
    },
    "nope": (
        'Unknown command "nope". Available commands: sample, check, show-batch, prepare, '
        "pretrain, find-lr, train, ensemble, ... See `annoseq --help`."
    ),
}


@pytest.mark.parametrize("line", MESSAGES)
def test_a_bad_command_line_is_explained(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(run(*line.split())) == MESSAGES[line]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("verb", ["train", "find-lr", "annotate", "evaluate"])
def test_a_device_that_is_not_there_is_refused(
    verb: str, table: Path, model: Path, tmp_path: Path
) -> None:
    arguments = {
        "train": (table, "--out", tmp_path / "model"),
        "find-lr": (table, "--plot", tmp_path / "lr.png"),
        "annotate": (model, table, "--out", tmp_path / "out.jsonl"),
        "evaluate": (model, table, "--json", tmp_path / "scores.json"),
    }[verb]
    message = refusal(run(verb, *arguments, "--device", "cuda"))
    assert message.startswith("--device cuda was asked for, but torch finds")
    assert "Use --device auto" in message
    assert list(tmp_path.iterdir()) == []


def test_a_precision_that_the_cpu_lacks_is_refused(table: Path, tmp_path: Path) -> None:
    arguments = ("--out", tmp_path / "model", "--device", "cpu", "--precision", "float16")
    message = refusal(run("train", table, *arguments))
    assert message == "--precision float16 needs a GPU; the CPU computes in float32 here."


@pytest.mark.parametrize("verb", VERBS)
def test_help_describes_every_option_by_types_that_a_user_knows(verb: str) -> None:
    result = run(verb, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"Usage: annoseq {verb}" in result.out
    assert not re.search(r"\b(TUPLE|LIST|DICT|NONETYPE)\b", result.out)
    assert "[default: ()]" not in result.out
    options = [line for line in result.out.splitlines() if line.startswith(("│ --", "│ *  --"))]
    assert all(len(line.strip("│ *").split("  ")) > 1 for line in options)


def test_help_groups_the_commands_by_stage() -> None:
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    panels: dict[str, list[str]] = {}
    for line in result.out.splitlines():
        if line.startswith("╭─ "):
            commands = panels.setdefault(line.split()[1], [])
        elif line.startswith("│ ") and line[2] != " ":
            commands.append(line.split()[1])
    assert panels == {
        "Data": ["sample", "check", "show-batch", "prepare", "vectors"],
        "Train": ["pretrain", "find-lr", "train", "ensemble", "sweep"],
        "Annotate": ["annotate", "redact", "review", "label-studio", "serve"],
        "Measure": ["evaluate", "score", "certify", "curve", "audit", "compare"],
        "Exchange": ["import", "export"],
        "Options": ["--help", "--version"],
    }
    assert run().out == result.out


def test_the_version_is_told() -> None:
    assert run("--version") == (0, f"{annoseq.__version__}\n", "")


def test_a_command_that_is_printed_reads_the_same_rows() -> None:
    assert DatasetOptions().same_rows() == ""
    given = DatasetOptions(
        data=DataConfig(split_seed=0, valid_share=0.1, normalize=True),
        columns=ColumnsConfig(source="my note"),
        skip_bad=True,
    )
    options = given.same_rows()
    assert sorted(options.split(" --")) == [
        "",
        "normalize",
        "skip-bad",
        "source 'my note'",
        "split-seed 0",
        "valid-share 0.1",
    ]
