from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.cli.output import note, say
from annoseq.torchrun import Launch, launched

if TYPE_CHECKING:
    import pytest

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


def start_as(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_process_is_alone_unless_a_launcher_says_otherwise() -> None:
    assert launched() == Launch(rank=0, local_rank=0, processes=1)
    assert launched().is_main


def test_a_launcher_numbers_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK="5", LOCAL_RANK="1", WORLD_SIZE="8", **MEETING)
    assert launched() == Launch(rank=5, local_rank=1, processes=8)
    assert not launched().is_main
    start_as(monkeypatch, RANK="0", LOCAL_RANK="0")
    assert launched().is_main


def test_one_process_is_alone_though_it_was_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", **MEETING)
    assert launched() == Launch()


def test_a_number_of_processes_alone_is_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters set it for programs of all kinds."""
    start_as(monkeypatch, WORLD_SIZE="8", RANK="3")
    assert launched() == Launch()


def test_only_the_main_process_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in "01":
        start_as(monkeypatch, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", **MEETING)
        say(f"result {rank}")
        note(f"remark {rank}")
    assert capsys.readouterr() == ("result 0\n", "remark 0\n")
