"""annoseq sweep."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest

from annoseq.models.serialization import TrainedModel
from annoseq.vectors.lookup import fingerprint_vectors
from tests.cli.command import Result, finish, interrupt, refusal, run, snapshot, start

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ("--gru.embedding", "8", "--gru.hidden", "8", "--gru.layers", "1", "--device", "cpu")
LISTS = ("--epochs", "1,2", "--max-lr", "1e-2,5e-2")
RANGES = ("--search", "--trials", "3", "--max-lr", "1e-4:1e-1", "--batch-size", "16,32")
FILES = {"best", "config.json", "runs", "runs.csv", "sweep.png"}


@pytest.fixture(scope="module")
def swept(short: Path, shelf: Path) -> tuple[Path, Result]:
    """Return the folder of a sweep of four runs, and what it printed."""
    out = shelf / "sweep"
    return out, run("sweep", short, "--out", out, *LISTS, *SMALL)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without_times(folder: Path) -> list[dict[str, str]]:
    return [{**row, "seconds": ""} for row in rows_of(folder)]


def test_a_sweep_leaves_table_picture_and_the_best_model(swept: tuple[Path, Result]) -> None:
    out, result = swept
    assert result.code == 0
    assert {path.name for path in out.iterdir()} == FILES
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    rows = rows_of(out)
    assert sorted((row["epochs"], row["max_lr"]) for row in rows) == [
        *(("1", "0.01"), ("1", "0.05"), ("2", "0.01"), ("2", "0.05"))
    ]
    bests = [float(row["best_score"]) for row in rows]
    assert bests == sorted(bests, reverse=True)
    training = TrainedModel.load(out / "best").config.training
    best = (str(training.epochs), str(training.max_lr))
    assert best == (rows[0]["epochs"], rows[0]["max_lr"])


def test_a_sweep_prints_a_line_for_each_run_and_the_table(swept: tuple[Path, Result]) -> None:
    out, result = swept
    *lines, heading, first, _, _, last = result.out.splitlines()
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(
            rf"run {number} of 4 \(epochs [12], max_lr 0.0[15]\): finished after [12] epochs?, "
            r"best token accuracy \d\.\d{4} in epoch [12], \d s",
            line,
        )
    assert len(lines) == 4
    names = ["run", "epochs", "max_lr", "start", "end", "best"]
    assert heading.split()[:6] == names
    assert first.split()[0] == rows_of(out)[0]["run"]
    assert last.split()[-1] == "finished"
    notes = result.err.splitlines()[1:]
    assert [note for note in notes if not note.startswith("warning: ")] == [
        "The best was chosen by these validation rows, so its figures flatter it.",
        f"saved {out}/best; next: annoseq evaluate {out}/best PAIRS, with new pairs",
    ]


def test_the_best_model_is_that_of_its_run_alone(
    swept: tuple[Path, Result], short: Path, tmp_path: Path
) -> None:
    row = rows_of(swept[0])[0]
    training = ("--epochs", row["epochs"], "--max-lr", row["max_lr"])
    assert run("train", short, "--out", tmp_path / "model", *training, *SMALL).code == 0
    one, other = (snapshot(folder) for folder in (swept[0] / "best", tmp_path / "model"))
    assert one["weights.safetensors"] == other["weights.safetensors"]


def test_what_has_ended_is_not_made_again(swept: tuple[Path, Result], short: Path) -> None:
    out, first = swept
    before = without_times(out)
    result = run("sweep", short, "--out", out, *LISTS, *SMALL, "--resume")
    assert result.code == 0
    assert result.out == "".join(first.out.splitlines(keepends=True)[4:])
    assert without_times(out) == before


def test_a_sweep_is_not_replaced_unless_asked(swept: tuple[Path, Result], short: Path) -> None:
    out, _ = swept
    assert refusal(run("sweep", short, "--out", out, *LISTS, *SMALL)) == (
        f"{out} exists already. Add --resume if it is this sweep, interrupted; "
        "choose another name, or add --overwrite to replace it."
    )


def test_another_sweep_is_not_resumed(swept: tuple[Path, Result], short: Path) -> None:
    out, _ = swept
    options = ("--epochs", "1,3", *LISTS[2:], *SMALL, "--resume")
    assert refusal(run("sweep", short, "--out", out, *options)) == (
        f"{out} was begun with --epochs 1,2, and now it is 1,3. "
        "Resume with the same data and options, or choose another --out."
    )


def test_other_pairs_are_not_resumed(swept: tuple[Path, Result], data: Path) -> None:
    out, _ = swept
    message = refusal(run("sweep", data, "--out", out, *LISTS, *SMALL, "--resume"))
    assert message.startswith(f"{out} was begun with pairs ")


def test_other_validation_pairs_are_not_resumed(tmp_path: Path) -> None:
    names = {"train": ["Ames", "Bond", "Cole"], "one": ["Dale"], "other": ["Earl", "Ford"]}
    for table, people in names.items():
        rows = "\n".join(f"Dr. {name},Dr. {{{{NAME}}}}{name}{{{{/NAME}}}}" for name in people)
        (tmp_path / f"{table}.csv").write_text(f"orig_text,annotated_text\n{rows}\n")
    out = tmp_path / "sweep"
    command = ("sweep", tmp_path / "train.csv", "--out", out, "--epochs", 1, *SMALL, "--valid")
    assert run(*command, tmp_path / "one.csv").code == 0
    message = refusal(run(*command, tmp_path / "other.csv", "--resume"))
    assert message.startswith(f"{out} was begun with validation pairs ")


def test_there_must_be_a_sweep_to_resume(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    assert refusal(run("sweep", short, "--out", out, *LISTS, *SMALL, "--resume")) == (
        f"there is no sweep at {out}. Leave --resume off to begin one."
    )
    assert snapshot(tmp_path) == {}


def test_a_run_that_diverges_does_not_end_the_sweep(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    result = run("sweep", short, "--out", out, "--max-lr", "1e30,1e-2", "--epochs", 1, *SMALL)
    assert result.code == 0
    assert result.out.startswith("run 1 of 2 (max_lr 1e+30): diverged after 0 epochs, ")
    assert [row["state"] for row in rows_of(out)] == ["finished", "diverged"]


def test_a_search_draws_its_runs(short: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "search"
    result = run("sweep", short, "--out", out, *RANGES, "--epochs", 1, *SMALL)
    assert result.code == 0
    assert {path.name for path in out.iterdir()} == FILES | {"study.db"}
    rates = [float(row["max_lr"]) for row in rows_of(out)]
    assert len(set(rates)) == 3
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    more = (*RANGES[:2], "4", *RANGES[3:], "--epochs", 1, *SMALL, "--resume")
    result = run("sweep", short, "--out", out, *more)
    assert result.out.startswith("run 4 of 4 (max_lr ")
    assert len(rows_of(out)) == 4
    (out / "runs.csv").unlink()
    fewer = run("sweep", short, "--out", out, *RANGES, "--epochs", 1, *SMALL, "--resume")
    assert fewer.code == 0
    assert "have not ended" not in fewer.err
    assert len(rows_of(out)) == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (LISTS, "4 runs, 6 epochs in all\n"),
        (("--model", "gru,attention", "--gru.hidden", "8,16"), "3 runs\n"),
        (RANGES, "3 runs, chosen from --max-lr, --batch-size\n"),
        (("--compile", "--seed", "1,2,3"), "3 runs\n"),
    ],
)
def test_a_dry_run_counts(options: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    result = run("sweep", "pairs.csv", "--out", tmp_path / "sweep", *options, "--dry-run")
    assert (result.code, result.out, result.err) == (0, expected, "")
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--epochs 5,,10", "--epochs: found '5,,10', in which a value is missing. "),
        ("--epochs 5,0", "--epochs: found '0'. Give a number above 0, or 'auto'."),
        ("--max-lr 1e-3,fast", "--max-lr: found 'fast'. Give a number, or 'auto'."),
        ("--max-lr 1e-4:1e-2", "--max-lr 0.0001:0.01 is a range, which only --search draws from"),
        ("--search --max-lr 1e-2:1e-4", "--max-lr: found '1e-2:1e-4'. Give a range of numbers"),
        ("--search", "--search has nothing to choose from. Give a range or a list, "),
        ("--trials 5", "--trials belongs to a search. Add --search, or leave --trials off."),
        ("--no-prune", "--no-prune belongs to a search. Add --search, or leave --no-prune off."),
        ("--search --trials 0", "--trials: found '0'. Give a number above 0."),
        ("--workers 0", "--workers: found '0'. Give a number above 0."),
        (
            "--model gru --attention.hidden 8",
            "--attention.hidden belongs to --model attention, and the model",
        ),
        ("--resume --overwrite", "--resume goes on with what --overwrite removes. Give one of"),
        ("--device cuda:77", "--device cuda:77 was asked for, but torch finds"),
    ],
)
def test_bad_options_are_refused_in_a_line(options: str, message: str, tmp_path: Path) -> None:
    result = run("sweep", "pairs.csv", "--out", tmp_path / "sweep", *options.split())
    assert refusal(result).startswith(message)
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("search", [(), ("--search", "--max-lr", "1e-4:1e-2")])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--loss token,padded",
            "--loss is for sequence-to-sequence models, and this one is a tagger. ",
        ),
        (
            "--tokens bpe",
            "--tokens is for sequence-to-sequence models; this one is a tagger and has no ",
        ),
    ],
)
def test_what_a_tagger_has_no_use_for_is_refused_before_any_run(
    search: tuple[str, ...], options: str, message: str, tmp_path: Path
) -> None:
    table, out = tmp_path / "pairs.csv", tmp_path / "sweep"
    run("sample", table, "--rows", 40)
    result = run("sweep", table, "--out", out, *options.split(), *search)
    assert refusal(result).startswith(message)
    assert not out.exists()


@pytest.mark.e2e
def test_an_interrupted_sweep_keeps_what_has_ended(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    lists = ("--epochs", "2,2000", "--max-lr", "1e-2")
    command = start("sweep", short, "--out", out, *lists, *SMALL)
    assert command.stdout is not None
    assert command.stdout.readline().startswith("run 1 of 2 (epochs 2): finished")
    result = interrupt(command)
    assert result.code == 130
    assert result.err.endswith(
        "annoseq: interrupted after 1 run. Add --resume to the same command to go on.\n"
    )
    assert [row["epochs"] for row in rows_of(out)] == ["2"]
    assert (out / "sweep.png").exists()
    assert (out / "best" / "config.json").exists()


@pytest.mark.slow  # every process imports torch
@pytest.mark.parametrize("mode", [("--epochs", "1,2", "--max-lr", "1e-2,5e-2"), RANGES])
def test_workers_share_the_runs(mode: tuple[str, ...], short: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    result = finish(start("sweep", short, "--out", out, *mode, *SMALL, "--workers", 2))
    assert result.code == 0, result.err
    runs = [json.loads(path.read_text()) for path in (out / "runs").glob("*.json")]
    numbers = sorted(one["number"] for one in runs)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == (3 if "--search" in mode else 4)
    best = max(float(one["score"]) for one in runs)
    assert float(rows_of(out)[0]["best_score"]) == best
    training = TrainedModel.load(out / "best").config.training
    assert str(training.max_lr) == rows_of(out)[0]["max_lr"]


@pytest.mark.slow
def test_killed_workers_are_taken_over(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    lists = ("--epochs", "2,60", "--max-lr", "1e-2,5e-2")
    command = start("sweep", short, "--out", out, *lists, *SMALL, "--workers", 2)
    assert command.stdout is not None
    command.stdout.readline()
    assert interrupt(command).code == 130
    again = run("sweep", short, "--out", out, *lists, *SMALL, "--resume")
    assert again.code == 0
    whole = tmp_path / "whole"
    run("sweep", short, "--out", whole, *lists, *SMALL)
    assert without_times(out) == without_times(whole)
    one, other = (snapshot(folder / "best") for folder in (out, whole))
    assert one["weights.safetensors"] == other["weights.safetensors"]


def test_every_run_begins_with_the_vectors(short: Path, tmp_path: Path) -> None:
    vectors, out = tmp_path / "v.vec", tmp_path / "sweep"
    vectors.write_text("2 12\nDr" + " 1" * 12 + "\nAmes" + " 2" * 12 + "\n")
    options = ("--gru.hidden", "8,10", "--epochs", 1, "--device", "cpu", "--vectors", vectors)
    assert run("sweep", short, "--out", out, *options).code == 0
    assert TrainedModel.load(out / "best").config.network.gru.embedding == 12
    message = refusal(run("sweep", short, "--out", out, *options[:-2], "--resume"))
    before = fingerprint_vectors(vectors)[:12]
    assert f"{out} was begun with --vectors {before}, and now it is not given. " in message
    vectors.write_text("2 12\nDr" + " 1" * 12 + "\nAmes" + " 3" * 12 + "\n")
    message = refusal(run("sweep", short, "--out", out, *options, "--resume"))
    assert f", and now it is {fingerprint_vectors(vectors)[:12]}. " in message


def test_vectors_that_no_run_can_begin_with_are_refused_first(short: Path, tmp_path: Path) -> None:
    vectors, out = tmp_path / "v.vec", tmp_path / "sweep"
    vectors.write_text("1 4\nDr 1 1 1 1\n")
    options = ("--gru.embedding", "4,8", "--vectors", vectors)
    assert refusal(run("sweep", short, "--out", out, *options)) == (
        "--gru.embedding 8 was given, and the vectors have 4 values. "
        "Leave --gru.embedding off, or use other vectors."
    )
    options = ("--gru.hidden", "4,8", "--vectors", tmp_path / "none.bin")
    assert "none.bin" in refusal(run("sweep", short, "--out", out, *options))
    assert not out.exists()
