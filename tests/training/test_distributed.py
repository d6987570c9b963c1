"""Several processes that train one model do what one would do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Never

import pytest
import torch

from annoseq.data.pairs import write_pairs
from annoseq.errors import TrainingError
from annoseq.sample import sample_pairs
from annoseq.tokenization.batching import collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.training.distributed import ProcessGroup
from tests.cli.command import TINY, Result, finish
from tests.encoders import encoder_folder
from tests.training import together

if TYPE_CHECKING:
    from annoseq.tokenization.dataset import Dataset

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def start_two(*arguments: object, folder: Path) -> list[Result]:
    """Start a module in two processes, as torchrun does; wait for both."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", *map(str, arguments)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **meeting,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
            },
        )
        for rank in range(2)
    ]
    try:
        # The second is waited for first: if it fails, the main process waits for it in vain.
        return [finish(process) for process in reversed(started)][::-1]
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Results of `together` in each of two processes."""
    folder = tmp_path_factory.mktemp("two")
    ended = start_two("tests.training.together", folder, folder=folder)
    assert [one.code for one in ended] == [0, 0], ended[0].err + ended[1].err
    assert (ended[0].out == "", ended[1].out) == (False, "")
    return [torch.load(folder / f"{rank}.results", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return together.some_data()


def weights_differ(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one["weights"].keys() == other["weights"].keys()
    return max(
        float((value - other["weights"][name]).abs().max())
        for name, value in one["weights"].items()
    )


@pytest.mark.e2e
@pytest.mark.parametrize("model", together.STILL_MODELS)
def test_two_processes_have_the_loss_curve_and_the_weights_of_one(
    two: list[dict[str, Any]], data: Dataset, model: str
) -> None:
    one, both = together.without_dropout(data, together.STILL_MODELS[model]), two[0][model]
    assert len(both["losses"]) == 10
    assert both["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert both["valid_losses"] == pytest.approx(one["valid_losses"], rel=1e-5)
    for ours, theirs in zip(both["accuracies"], one["accuracies"], strict=True):
        assert ours == pytest.approx(theirs, abs=0.01)  # an argmax may fall the other way
    assert weights_differ(both, one) < 1e-4


@pytest.mark.e2e
@pytest.mark.parametrize("model", together.STILL_MODELS)
def test_two_processes_add_up_the_parts_of_their_shares(
    two: list[dict[str, Any]], data: Dataset, model: str
) -> None:
    one = together.in_parts(data, together.STILL_MODELS[model])
    both = two[0]["in parts"][model]
    assert both["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert weights_differ(both, one) < 1e-4
    assert weights_differ(two[1]["in parts"][model], both) == 0


@pytest.mark.e2e
def test_the_range_test_is_that_of_one_process(two: list[dict[str, Any]], data: Dataset) -> None:
    expected = together.range_test(data)
    assert len(expected) == 5
    assert two[0]["range test"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.e2e
def test_all_processes_have_the_same_model(two: list[dict[str, Any]]) -> None:
    runs = [[*(one[model] for model in together.STILL_MODELS)] for one in two]
    runs = [[*run, one["with dropout"]["at once"]] for run, one in zip(runs, two, strict=True)]
    for ours, theirs in zip(*runs, strict=True):
        assert ours["losses"] == theirs["losses"]
        assert ours["accuracies"] == theirs["accuracies"]
        assert weights_differ(ours, theirs) == 0


@pytest.mark.e2e
def test_an_interrupted_run_is_resumed_by_all(two: list[dict[str, Any]]) -> None:
    for one in two:
        at_once, resumed = one["with dropout"]["at once"], one["with dropout"]["resumed"]
        assert at_once["losses"] == resumed["losses"]
        assert weights_differ(at_once, resumed) == 0


@pytest.mark.e2e
def test_every_process_draws_for_itself(two: list[dict[str, Any]]) -> None:
    ours, theirs = (one["with dropout"]["drawn"] for one in two)
    assert not torch.equal(ours, theirs)
    assert torch.equal(ours, torch.rand(4, generator=torch.Generator().manual_seed(42)))


@pytest.mark.e2e
def test_all_notice_that_the_loss_is_no_number(two: list[dict[str, Any]]) -> None:
    assert two[0]["divergence"] == two[1]["divergence"]
    assert two[0]["divergence"].startswith("the loss is no longer a number in epoch 1.")


def test_by_itself_a_process_changes_nothing() -> None:
    alone = ProcessGroup.join(CPU)
    assert alone == ProcessGroup()
    assert alone.is_main
    batch = collate([0, 1], [Seq2SeqEncoding([4], [5])] * 2)
    assert alone.share(batch) == (batch, True)
    assert alone.seed(42) == 42
    assert alone.sum([1, 2.5]) == [1, 2.5]
    assert alone.gather([torch.ones(2)])[0][0].tolist() == [1, 1]
    module = torch.nn.Linear(1, 1)
    assert alone.module(module) is module
    assert alone.all_reduce(torch.tensor(3.0)).item() == 3
    with alone.no_sync(module):
        module(torch.ones(1)).sum().backward()
    assert module.bias.grad == torch.ones(1)


@pytest.mark.parametrize(("rows", "processes"), [(7, 3), (3, 3), (2, 3), (1, 4)])
def test_every_row_is_counted_by_one_process_and_keeps_its_width(rows: int, processes: int) -> None:
    examples = [Seq2SeqEncoding([4] * (1 + row), [5] * (9 - row)) for row in range(rows)]
    batch = collate(range(rows), examples)
    counted = []
    for rank in range(processes):
        share, counts = ProcessGroup(rank, processes).share(batch)
        assert len(share.rows) == len(share.source) == len(share.source_lengths) >= 1
        assert share.target is not None
        assert batch.target is not None
        assert torch.equal(share.source, batch.source[share.rows])
        assert torch.equal(share.target, batch.target[share.rows])
        assert torch.equal(share.source_lengths, batch.source_lengths[share.rows])
        counted += share.rows if counts else []
    assert sorted(counted) == list(range(rows))


def test_only_the_main_process_reports() -> None:
    said: list[str] = []
    for rank in range(3):
        ProcessGroup(rank, 3).once(said.append)(f"from {rank}")
    assert said == ["from 0"]


def test_processes_that_do_not_meet_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, cpu: bool) -> Never:
        raise torch.distributed.DistNetworkError("The server socket has failed\nand more")

    fake: Any = ModuleType("accelerate")
    fake.PartialState = refuse
    monkeypatch.setitem(sys.modules, "accelerate", fake)
    launch(monkeypatch, rank=1)
    with pytest.raises(TrainingError) as caught:
        ProcessGroup.join(CPU)
    assert str(caught.value) == (
        "the processes do not find each other: The server socket has failed. Give every torchrun "
        "the same --rdzv-endpoint: a machine that the others reach, and a free port."
    )


def test_a_process_of_several_joins_with_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def meet(*, cpu: bool) -> SimpleNamespace:
        asked.append(cpu)
        return SimpleNamespace(process_index=1, num_processes=2)

    fake: Any = ModuleType("accelerate")
    fake.PartialState = meet
    monkeypatch.setitem(sys.modules, "accelerate", fake)
    launch(monkeypatch, rank=1)
    joined = ProcessGroup.join(CPU)
    assert (joined.rank, joined.count, joined.device) == (1, 2, CPU)
    assert not joined.is_main
    assert asked == [True]
    assert ProcessGroup.join(torch.device("cuda", 1)).device == torch.device("cuda", 1)
    assert asked == [True, False]


def launch(monkeypatch: pytest.MonkeyPatch, *, rank: int) -> None:
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "WORLD_SIZE": "2"}
    for name, value in {**meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "pairs.csv")


def write_table(path: Path) -> Path:
    write_pairs(sample_pairs(40, seed=1), path, overwrite=False)
    return path


@pytest.mark.e2e
def test_the_command_trains_in_two_processes(table: Path) -> None:
    main, other = start_two("annoseq", "train", table, "--out", "model", *TINY, folder=table.parent)
    assert (main.code, other) == (0, Result(0, "", "")), main.err + other.err
    assert main.out.startswith("epoch  train_loss")
    assert main.out.endswith("GB (cpu, the first of 2 processes)\n")
    assert "saved model" in main.err
    assert {path.name for path in table.parent.iterdir()} == {"pairs.csv", "model"}


def torchrun(*arguments: object, folder: Path) -> Result:
    program = Path(sys.executable).with_name("torchrun")
    words = [program, "--standalone", "--nproc-per-node", 2, *arguments]
    process = subprocess.Popen(
        list(map(str, words)),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return finish(process)


@pytest.mark.slow
@pytest.mark.parametrize("program", [("-m", "annoseq"), ("--no-python", "annoseq")])
def test_torchrun_trains_a_model(table: Path, program: tuple[str, ...]) -> None:
    ended = torchrun(*program, "train", table, "--out", "model", *TINY, folder=table.parent)
    assert ended.code == 0, ended.err
    assert ended.out.count("epoch  train_loss") == 1
    assert (table.parent / "model" / "weights.safetensors").exists()


@pytest.mark.slow
def test_torchrun_tunes_a_pre_trained_encoder(table: Path) -> None:
    options = ("--encoder", encoder_folder("bert"), "--epochs", 1, "--device", "cpu")
    ended = torchrun(
        "-m", "annoseq", "train", table, "--out", "model", *options, folder=table.parent
    )
    assert ended.code == 0, ended.err
    assert (table.parent / "model" / "encoder" / "model.safetensors").exists()


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(table: Path) -> None:
    """The main process alone refuses to overwrite; the other would wait for it for ever."""
    (table.parent / "model").mkdir()
    (table.parent / "model" / "mine.txt").touch()
    ended = torchrun("-m", "annoseq", "train", table, "--out", "model", *TINY, folder=table.parent)
    assert ended.code != 0
    assert "annoseq: model exists already." in ended.err
