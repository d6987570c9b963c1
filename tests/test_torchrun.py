from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.cli.output import print_note, print_result
from annoseq.torchrun import TorchrunEnvironment, torchrun_environment

if TYPE_CHECKING:
    import pytest

RENDEZVOUS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


def start_as(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_without_a_launcher_there_is_one_process() -> None:
    assert torchrun_environment() == TorchrunEnvironment(rank=0, local_rank=0, world_size=1)
    assert torchrun_environment().is_main


def test_ranks_are_those_of_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK="5", LOCAL_RANK="1", WORLD_SIZE="8", **RENDEZVOUS)
    assert torchrun_environment() == TorchrunEnvironment(rank=5, local_rank=1, world_size=8)
    assert not torchrun_environment().is_main
    start_as(monkeypatch, RANK="0", LOCAL_RANK="0")
    assert torchrun_environment().is_main


def test_a_world_of_one_process_is_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", **RENDEZVOUS)
    assert torchrun_environment() == TorchrunEnvironment()


def test_a_world_size_without_a_rendezvous_is_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters set it for programs of all kinds."""
    start_as(monkeypatch, WORLD_SIZE="8", RANK="3")
    assert torchrun_environment() == TorchrunEnvironment()


def test_only_the_main_process_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in "01":
        start_as(monkeypatch, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", **RENDEZVOUS)
        print_result(f"result {rank}")
        print_note(f"remark {rank}")
    assert capsys.readouterr() == ("result 0\n", "remark 0\n")
