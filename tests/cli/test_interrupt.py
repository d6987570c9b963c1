"""Training that is cut short goes on where it was, and ends as if it had not been."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Never

import pytest

from annoseq.training import distillation, learner
from tests.cli.command import TINY, Result, refusal, run, snapshot, start
from tests.cli.test_train_of_taggers import QUICK

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = (*TINY[:4], "--device", "cpu", "--batch-size", "2", "--epochs", "30")
"""Several batches an epoch, and more epochs than pass before a signal arrives."""


def cut_short(pairs: Path, out: Path, *, by: signal.Signals) -> Result:
    """Begin to train in a process of its own, and send it a signal after the second epoch."""
    command = start("train", pairs, "--out", out, *TRAINING)
    assert command.stdout is not None
    seen = [command.stdout.readline() for _ in range(3)]
    command.send_signal(by)
    rest, err = command.communicate(timeout=60)
    return Result(command.returncode, "".join(seen) + rest, err)


@pytest.fixture(scope="module")
def whole(short: Path, shelf: Path) -> Path:
    """Return a model whose training was not cut short."""
    out = shelf / "whole"
    assert run("train", short, "--out", out, *TRAINING).code == 0
    assert not out.with_name("whole.training").exists()
    return out


@pytest.mark.e2e
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_training_goes_on_where_it_was(
    by: signal.Signals, short: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    cut = cut_short(short, out, by=by)
    assert "Traceback" not in cut.err
    assert not out.exists()
    if by == signal.SIGINT:
        assert cut.code == 130
        assert cut.err.splitlines()[-1] == (
            "annoseq: interrupted. Add --resume to the same command to go on after the last "
            "complete epoch."
        )
        assert [path.name for path in tmp_path.iterdir()] == ["model.training"]
    assert refusal(run("train", short, "--out", out, *TRAINING)) == (
        f"{out}.training is an interrupted training. Add --resume to go on with it, "
        "or --overwrite to start again."
    )
    before = snapshot(tmp_path)
    message = refusal(run("train", short, "--out", out, *TRAINING, "--resume", "--max-lr", "0.5"))
    assert message == (
        f"{out}.training was begun with max_lr 0.001, and now it is 0.5. "
        "Resume with the same data and options, or delete it and start again."
    )
    assert snapshot(tmp_path) == before
    result = run("train", short, "--out", out, *TRAINING, "--resume")
    assert result.code == 0
    first = [line.split()[0] for line in result.out.splitlines()[1:-1]]
    assert [word for word in first if word.isdigit()] == [str(epoch) for epoch in range(1, 31)]
    assert snapshot(out)["weights.safetensors"] == snapshot(whole)["weights.safetensors"]
    assert not out.with_name("model.training").exists()


def interrupting(*_: object) -> Never:
    raise KeyboardInterrupt


def test_before_the_first_checkpoint_there_is_nothing_to_resume(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", short, "--out", tmp_path / "model", *TRAINING)
    told = "annoseq: interrupted before the first epoch. Give the same command again to begin.\n"
    with monkeypatch.context() as patch:
        patch.setattr(learner, "write_checkpoint", lambda *_, plan, state: interrupting())
        cut = run(*command)
        assert (cut.code, cut.err.endswith(told)) == (130, True)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "model.training").write_text("of before")
        cut = run(*command, "--overwrite")
        assert (cut.code, cut.err.endswith(told)) == (130, True)
    assert run(*command, "--overwrite").code == 0


def test_what_teachers_expect_is_kept_for_the_same_command(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, out = tmp_path / "teacher", tmp_path / "model"
    assert run("train", table, "--out", teacher, *QUICK).code == 0
    command = ("train", table, "--out", out, *QUICK, "--teacher", teacher)
    with monkeypatch.context() as patch:
        patch.setattr(distillation, "ask_teachers", interrupting)
        cut = run(*command)
        assert cut.err.endswith("the first epoch. Give the same command again to begin.\n")
        assert {path.name for path in tmp_path.iterdir()} == {"teacher"}
    with monkeypatch.context() as patch:
        patch.setattr(learner, "write_checkpoint", lambda *_, plan, state: interrupting())
        cut = run(*command)
        assert cut.err.endswith(
            "annoseq: interrupted before the first epoch. Give the same command again to begin. "
            f"{out}.targets keeps what the teachers expect for it.\n"
        )
    monkeypatch.setattr(distillation, "ask_teachers", None)
    assert run(*command).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"teacher", "model"}


def test_there_must_be_something_to_resume(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert refusal(run("train", data, "--out", out, *TINY, "--resume")) == (
        f"there is no interrupted training at {out}.training. Leave --resume off to begin one."
    )


def test_a_checkpoint_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.training"
    checkpoint.write_text("not a checkpoint")
    assert refusal(run("train", data, "--out", tmp_path / "model", *TINY, "--resume")) == (
        f"{checkpoint} is damaged and cannot be resumed. Delete it and start without --resume."
    )
    result = run("train", data, "--out", tmp_path / "model", *TINY, "--overwrite")
    assert result.code == 0
    assert not checkpoint.exists()
