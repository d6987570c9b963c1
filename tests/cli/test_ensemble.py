"""`annoseq ensemble` and `annoseq train --teacher`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.training.cross_fitting import CrossFitting
from tests.cli.command import refusal, run, snapshot
from tests.cli.test_interrupt import interrupting
from tests.cli.test_train_of_taggers import QUICK

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def members(shelf: Path, table: Path) -> list[Path]:
    """Return two taggers of the table."""
    paths = [shelf / "member1", shelf / "member2"]
    for seed, path in enumerate(paths):
        assert run("train", table, "--out", path, *QUICK, "--seed", seed).code == 0
    return paths


@pytest.fixture(scope="module")
def ensemble(shelf: Path, table: Path, members: list[Path]) -> Path:
    path, more = shelf / "ensemble", shelf / "more.csv"
    assert run("sample", more, "--rows", 140).code == 0
    pairs = ("--pairs", more)
    result = run("ensemble", "join", *members, "--out", path, *pairs, "--device", "cpu")
    assert result.code == 0, result
    assert result.err.splitlines()[-1].startswith(f"saved {path}: 2 members, calibrated on ")
    return path


@pytest.fixture(scope="module")
def crossed(shelf: Path, table: Path) -> Path:
    path = shelf / "crossed"
    options = ("--folds", 2, "--workers", 1, "--split-seed", 42, *QUICK)
    result = run("ensemble", "cross-fit", table, "--out", path, *options)
    assert result.code == 0, result
    same = f"{table} --split-seed 42"
    assert f"next: annoseq train {same} --teacher {path} --out MODEL" in result.err
    assert not path.with_name("crossed.folds").exists()
    assert "not calibrated (too few spans in the pairs)" in result.err
    folds = json.loads((path / "ensemble.json").read_text())["folds"]
    assert (folds["count"], folds["seed"], len(folds["checksum"])) == (2, 42, 64)
    return path


def test_an_ensemble_annotates_evaluates_and_redacts(
    ensemble: Path, table: Path, tmp_path: Path
) -> None:
    result = run("annotate", ensemble, table, "--device", "cpu")
    assert result.code == 0
    assert len(result.out.splitlines()) == 40
    scored = run("evaluate", ensemble, table, "--device", "cpu")
    assert scored.code == 0
    assert "those kept for validation" in scored.err
    covered = run(
        *("redact", ensemble, table, "--out", tmp_path / "out", "--device", "cpu"),
        *("--target-coverage", 0.5),
    )
    assert covered.code == 0, covered
    assert "# Ensemble card" in (ensemble / "card.md").read_text()


def test_an_ensemble_may_be_replaced_and_is_not_one_model(
    ensemble: Path, members: list[Path], table: Path, tmp_path: Path
) -> None:
    assert "exists already" in refusal(run("ensemble", "join", *members, "--out", ensemble))
    other = tmp_path / "other"
    for options in ((), ("--overwrite",)):
        result = run("ensemble", "join", *members, "--out", other, "--device", "cpu", *options)
        assert result.code == 0, result
        assert "2 members, not calibrated (no --pairs were given)" in result.err
    for command in (
        ("export", "onnx", ensemble, tmp_path / "m.onnx"),
        ("train", table, "--go-on-from", ensemble, "--out", tmp_path / "more"),
        ("ensemble", "join", ensemble, members[0], "--out", tmp_path / "joined"),
        (*("ensemble", "join", ensemble, members[0]), "--out", tmp_path / "o", "--vectors", table),
    ):
        assert refusal(run(*command)) == (
            f"{ensemble} is an ensemble, and one model is needed. Give one of its members, or a "
            "model that learned from it: annoseq train --teacher."
        )


def test_an_ensemble_is_not_written_into_a_member(members: list[Path]) -> None:
    before = snapshot(members[0])
    out = members[0] / "new" / "ensemble"
    assert refusal(run("ensemble", "join", *members, "--out", out)) == (
        f"--out {out} is inside of the member {members[0]}. Name another folder."
    )
    assert snapshot(members[0]) == before


def test_an_ensemble_needs_two_models(members: list[Path], tmp_path: Path) -> None:
    one = run("ensemble", "join", members[0], "--out", tmp_path / "o")
    assert refusal(one) == "an ensemble has at least 2 members. Name another model folder."
    vectors = ("--vectors", tmp_path / "none.vec")
    assert "no member reads a file of word vectors" in refusal(
        run("ensemble", "join", *members, "--out", tmp_path / "o", *vectors)
    )


def test_the_spans_of_a_model_that_writes_are_votes(
    members: list[Path], model: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    join = ("ensemble", "join", members[0], model, "--out", out, "--device", "cpu")
    result = run(*join, "--vote-weight", 1.5)
    assert result.code == 0, result
    assert json.loads((out / "ensemble.json").read_text())["vote_weight"] == 1.5
    assert "- **votes**: 1 writer, 1.5 nats a vote" in (out / "card.md").read_text()
    result = run("annotate", out, table, "--device", "cpu")
    assert len(result.out.splitlines()) == 40
    pupil = tmp_path / "pupil"
    teachers = ("--teacher", out, "--teacher", model)
    result = run("train", table, "--out", pupil, *QUICK, *teachers)
    assert result.code == 0, result
    card = (pupil / "card.md").read_text()
    assert "o (1 tagger and 1 writer; sha256" in card
    assert "model (1 writer; sha256" in card


def test_the_weight_of_a_vote_is_chosen_on_new_rows(
    members: list[Path], model: Path, shelf: Path, ensemble: Path, tmp_path: Path
) -> None:
    join = ("ensemble", "join", members[0], model, "--out", tmp_path / "o", "--device", "cpu")
    result = run(*join, "--pairs", shelf / "more.csv")
    assert result.code == 0, result
    *_, chosen, note, saved = result.err.splitlines()
    assert chosen == "a vote weighs 0 nats, of 0, 0.25, 0.5, 1, 1.5, 2, 3, 4"
    assert note == "note: the models that write bring nothing here, and take time: leave them out"
    assert saved.startswith(f"saved {tmp_path / 'o'}: 2 members, calibrated on ")
    assert refusal(run(*join, "--overwrite")) == (
        "the weight of a vote is chosen on rows that no member was trained on, with at least 100 "
        "spans, and there are 0. Give --pairs with more, or --vote-weight."
    )
    for weight in ("-1", "1e+308", "nan"):
        assert refusal(run(*join, "--overwrite", "--vote-weight", weight)) == (
            f"a --vote-weight of {weight} was given. Give 0 to 1,000, such as 1."
        )
    only = run("ensemble", "join", *members, "--out", tmp_path / "p", "--vote-weight", 1)
    assert refusal(only) == (
        "--vote-weight is for models that write their output, and all of these are taggers. "
        "Leave it off."
    )


def test_vectors_that_no_member_reads_are_refused(ensemble: Path, table: Path) -> None:
    assert refusal(run("annotate", ensemble, table, "--vectors", "none.vec")) == (
        "no member reads a file of word vectors. Leave --vectors off."
    )


def test_only_taggers_are_cross_fitted(table: Path, tmp_path: Path) -> None:
    writer = run("ensemble", "cross-fit", table, "--out", tmp_path / "o", "--model", "gru")
    assert refusal(writer) == (
        "an ensemble averages taggers, and the model is gru. Leave --model off, or use --model "
        "tagger."
    )


def test_what_cannot_be_cross_fitted_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    few, plain = tmp_path / "few.csv", tmp_path / "plain.csv"
    lines = [f"no name {number},no name {number}" for number in range(20)]
    plain.write_text("\n".join(["orig_text,annotated_text", *lines]))
    assert run("sample", few, "--rows", 5).code == 0
    command = ("ensemble", "cross-fit", "--out", tmp_path / "o", "--folds", 3, *QUICK)
    assert refusal(run(*command, few)).startswith("the table has 4 documents, and at least 6 are ")
    assert refusal(run(*command, plain, "--task", "annotate")) == (
        "without fold 1 the documents have no span to train on. Give more annotated pairs, or "
        "fewer --folds."
    )
    assert {path.name for path in tmp_path.iterdir()} == {"few.csv", "plain.csv"}


def test_cross_fitting_is_resumed_with_the_same_options(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    command = ("ensemble", "cross-fit", table, "--out", out, "--folds", 2, *QUICK)
    assert refusal(run(*command, "--resume")) == (
        f"there is no ensemble at {out}.folds. Leave --resume off to begin one."
    )


def test_the_setting_that_differs_is_named(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o"
    command = ("ensemble", "cross-fit", table, "--out", out, "--folds", 2, "--workers", 1, *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(CrossFitting, "work", lambda *_, report: interrupting(report))
        assert run(*command).code == 130
    assert refusal(run(*command, "--resume", "--seed", 5)) == (
        f"{out}.folds was begun with seed 42, and now it is 5. Resume with the same data and "
        "options, or choose another --out."
    )
    assert run(*command, "--resume").code == 0


def test_a_pupil_learns_from_ensembles_and_taggers(
    crossed: Path, members: list[Path], table: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Dr. Moss saw Mr. Finch.\n")
    teachers = ("--teacher", crossed, "--teacher", members[0], "--unlabelled", texts)
    out = tmp_path / "pupil"
    result = run("train", table, "--out", out, *QUICK, *teachers)
    assert result.code == 0, result
    assert "teachers: crossed, member1; 33 training rows and 1 unlabelled row" in result.err
    assert "targets" not in {path.suffix for path in tmp_path.iterdir()}
    assert "member1 (1 tagger; sha256 of the weights" in (out / "card.md").read_text()
    assert run("annotate", out, table, "--device", "cpu").code == 0
    assert snapshot(out).keys() >= {"config.json", "weights.safetensors"}


def test_a_foreign_file_of_the_name_of_the_targets_stays(
    members: list[Path], table: Path, tmp_path: Path
) -> None:
    out, notes = tmp_path / "pupil", tmp_path / "pupil.targets"
    notes.write_text("my notes\n")
    command = ("train", table, "--out", out, *QUICK)
    assert refusal(run(*command, "--teacher", members[0])) == (
        f"{notes} was not written by annoseq, or is damaged, and the teachers' expectations would "
        "be kept there during training. Move or delete it, or choose another name for --out."
    )
    assert not out.exists()
    assert run(*command).code == 0
    assert notes.read_text() == "my notes\n"


def test_options_of_teachers_need_one(table: Path, tmp_path: Path, model: Path) -> None:
    command = ("train", table, "--out", tmp_path / "o")
    assert refusal(run(*command, "--teacher-weight", 0.7)) == (
        "--teacher-weight belongs to --teacher. Give one, or leave --teacher-weight off."
    )
    assert refusal(run(*command, "--unlabelled", table)) == (
        "--unlabelled belongs to --teacher. Give one, or leave --unlabelled off."
    )
    assert refusal(run("train", "-", *command[2:], "--teacher", model, "--unlabelled", "-")) == (
        "standard input cannot be read twice. Give a file of pairs, or of --unlabelled."
    )
    assert refusal(run(*command, "--teacher", model, "--model", "gru")) == (
        "--teacher is for the tagger, and the model is gru. Leave it off, or use --model tagger."
    )
