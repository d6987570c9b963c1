"""`annoseq train --workers`: the model of one process, killed, interrupted and resumed."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
import pytest
from safetensors.numpy import load_file

from annoseq.devices import ComputeDevice
from tests.cli.command import finish, refusal, run, snapshot, start
from tests.cli.test_train_of_taggers import NARROW
from tests.training.test_distributed import launch

if TYPE_CHECKING:
    import subprocess


STILL = ("--tagger.dropout", 0, "--tagger.word-dropout", 0)
TRAINING = (*NARROW, *STILL, "--batch-size", 5, "--keep", "last", "--device", "cpu")
WORKERS = ("--workers", 2)


@pytest.mark.e2e
def test_two_workers_train_the_model_of_one_process(table: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run("train", table, "--out", one, *TRAINING, "--epochs", 2)
    together = run("train", table, "--out", two, *TRAINING, "--epochs", 2, *WORKERS)
    assert (alone.code, together.code) == (0, 0), together.err
    assert alone.err.replace("one", "two") == together.err.replace("one", "two")
    assert together.out.count("epoch") == 1
    assert together.out.endswith("(cpu, the first of 2 processes)\n")
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (one, two))
    assert max(abs(ours[name] - theirs[name]).max() for name in ours) < 1e-4
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def begin(table: Path, out: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a training, and return it with all its workers after the second epoch."""
    command = start("train", table, "--out", out, *TRAINING, "--epochs", 60, *WORKERS)
    assert command.stdout is not None
    for _ in range(3):
        assert command.stdout.readline()
    return command, psutil.Process(command.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["a worker's end", signal.SIGINT, signal.SIGKILL])
def test_a_training_is_cut_short_and_resumed(
    by: Literal["a worker's end"] | signal.Signals, table: Path, tmp_path: Path
) -> None:
    out, folders = tmp_path / "model", set(Path(tempfile.gettempdir()).glob("annoseq-workers-*"))
    command, workers = begin(table, out)
    if isinstance(by, str):
        next(each for each in workers if "spawn_main" in " ".join(each.cmdline())).kill()
    else:
        if by == signal.SIGINT:  # a terminal interrupts all processes
            for worker in workers:
                worker.send_signal(by)
        command.send_signal(by)
    result = finish(command)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    if by == signal.SIGKILL:
        assert (result.code, result.err.count("annoseq:")) == (-by, 0)
    elif by == signal.SIGINT:
        assert result.code == 130
        assert result.err.splitlines()[-1].startswith("annoseq: interrupted. Add --resume to")
    else:
        assert result.code == 2
        assert result.err.splitlines()[-1] == (
            "annoseq: a worker was ended by SIGKILL; the system does that where memory is short. "
            "Use fewer --workers; --resume goes on after the last epoch."
        )
    assert "Traceback" not in result.err
    assert {path.name for path in tmp_path.iterdir()} - {".model.lock"} == {"model.training"}
    if by != signal.SIGKILL:
        assert set(Path(tempfile.gettempdir()).glob("annoseq-workers-*")) <= folders
    resumed = ("train", table, "--out", out, *TRAINING, "--epochs", 60, "--resume")
    assert "processes" in refusal(run(*resumed))
    assert run(*resumed, *WORKERS).code == 0
    assert "weights.safetensors" in snapshot(out)


def test_every_process_reads_the_pairs(table: Path, tmp_path: Path) -> None:
    result = run("train", "-", "--out", tmp_path / "m", *WORKERS, stdin=table.read_bytes())
    assert refusal(result) == (
        "--workers 2 needs files, because every process reads the input, and standard input can be "
        "read once. Write it to a file, or leave --workers off."
    )


def test_workers_are_for_cpus(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(_: object) -> ComputeDevice:
        import torch

        return ComputeDevice(torch.device("cuda"), torch.float32)

    monkeypatch.setattr(ComputeDevice, "select", choose)
    assert refusal(run("train", table, "--out", tmp_path / "m", *WORKERS)) == (
        "--workers 2 is for CPUs, and cuda would train. Leave it off, or add --device cpu; "
        "torchrun trains on several GPUs."
    )


def test_torchrun_starts_its_own_processes(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(monkeypatch, rank=0)
    assert (
        refusal(run("train", table, "--out", tmp_path / "m", "--device", "cpu", *WORKERS))
        == "--workers 2 starts processes, and torchrun has started some. Leave it off."
    )
